from typing import Any

import pytest

from outrider.policy.flow import Subject
from outrider.policy.proof import subjects_of
from outrider.policy.reaching import Reach, reaches
from tests.support.builders import NOW_UNIX_S
from tests.support.policy import TRIAGE, a_release

READS: Any = {
    "tools": ["*"],
    "effects": ["read"],
    "destinations": ["*"],
    "sensitivity": "secret",
}
WRITES: Any = READS | {"effects": ["read", "write", "pay"]}


def found(tools: Any, grant: Any = READS, lists: Any = None, **agents: Any) -> list[Reach]:
    data: Any = {
        "manifest": {"crm": {"destination": {"zone": "internal"}, "tools": tools}},
        "agents": {"spiffe://a.test/one": TRIAGE | {"grant": grant}}
        | {f"spiffe://a.test/{name}": entry for name, entry in agents.items()},
    }
    release = a_release(data=data)
    subject = subjects_of(release)[0]
    assert isinstance(subject, Subject)
    return reaches(subject, release, lists or {}, NOW_UNIX_S)


@pytest.mark.parametrize(
    ("tool", "lists", "why"),
    [
        pytest.param({"delete_it": {"effect": "read"}}, None, "its name says delete", id="name"),
        pytest.param(
            {"t": {"effect": "read"}},
            {"crm": {"t": {"annotations": {"readOnlyHint": False}}}},
            "the server says that it changes things",
            id="hint",
        ),
        pytest.param(
            {
                "t": {
                    "effect": "read",
                    "arguments": {"tool": {"role": "command"}, "args": {"role": "content"}},
                }
            },
            None,
            "it calls what its arguments name",
            id="meta-tool",
        ),
        pytest.param(
            {"t": {"effect": "read", "tags": ["spawn"]}}, None, "starts another agent", id="spawn"
        ),
    ],
)
def test_a_reading_grant_that_reaches_a_change_is_told_with_the_way(
    tool: Any, lists: Any, why: str
) -> None:
    (reach,) = found(tool, lists=lists)
    assert why in reach.why
    assert reach.path[:2] == ("agent spiffe://a.test/one", f"crm/{next(iter(tool))}")


@pytest.mark.parametrize(
    ("tool", "grant"),
    [
        pytest.param({"get_it": {"effect": "read"}}, READS, id="it-reads"),
        pytest.param({"delete_it": {"effect": "read"}}, WRITES, id="it-may-write-anyway"),
        pytest.param({"delete_it": {"effect": "delete"}}, READS, id="not-covered"),
        pytest.param(
            {"t": {"unwrap": {"name": "$.tool", "arguments": "$.args"}}}, READS, id="taken-apart"
        ),
    ],
)
def test_a_grant_that_reaches_none_is_let_be(tool: Any, grant: Any) -> None:
    assert found(tool, grant) == []


def test_an_agent_that_may_be_asked_on_brings_its_own_grant() -> None:
    asks = READS | {"delegation": {"depth": 1, "to": ["spiffe://a.test/*"]}}
    (reach,) = found({}, asks, two=TRIAGE | {"grant": WRITES})
    assert reach.path == ("agent spiffe://a.test/one", "agent spiffe://a.test/two", "pay, write")
    assert found({}, asks, two=TRIAGE | {"grant": READS}) == []
    assert found({}, asks, two=TRIAGE | {"grant": WRITES, "status": "offboarded"}) == []
    nobody = READS | {"delegation": {"depth": 1, "to": ["spiffe://b.test/*"]}}
    assert found({}, nobody, two=TRIAGE | {"grant": WRITES}) == []
    assert found({}, READS, two=TRIAGE | {"grant": WRITES}) == []
