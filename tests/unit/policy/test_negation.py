"""`not` over what may be missing: refused where engines differ, let pass where they agree."""

import pytest

from tests.support.policy_gate import gated

REFUSED_NEGATIONS = [
    "not input.resource.id in data.outrider.tiers",
    'not startswith(input.resource.id, "a")',
    "not s[input.resource.id]",
    'not lower(input.resource.id) == "a"',
    "not f(input.resource.id)",
    "not input.context.time.unix_s > 3",
    "not [input.resource.id] == [1]",
    "not entry.role in s",
    "not f(maybe)",
    "not f(g(1))",
    "not g(1)[input.version]",
]
ALLOWED_NEGATIONS = [
    "not input.resource.id",
    'not input.resource.id == "const"',
    "not maybe",
    "not f(input)",
    "not input.resource.id == input.action.name",
    "not v in s",
    "not v in constant",
    'not startswith(v, "a")',
    "not f(v)",
    "not s[v]",
    "not known(v)",
    "not count(s) == 0",
    "not count([i | some i in [1]]) == 0",
]
AROUND = """
s contains 1
constant := {1, 2}
maybe if input.resource.id
f(_) if true
g(a) := 1 if { a == 2 }
default known(_) := false
known(1) := true
x if {
	some v in [1]
	some entry in data.outrider.tiers
	entry != v
	%s
}
"""


@pytest.mark.parametrize("negation", REFUSED_NEGATIONS)
def test_refuses_a_negation_that_a_missing_value_silences(negation):
    assert [check for check, _ in gated(AROUND % negation)] == ["negation"]


@pytest.mark.parametrize("negation", ALLOWED_NEGATIONS)
def test_lets_a_negation_pass_that_both_engines_read_alike(negation):
    assert gated(AROUND % negation) == []
