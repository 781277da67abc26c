"""Templates of tasks as policy data says them."""

from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.grant import covers
from outrider.core.template import parse_templates
from outrider.core.vocabulary import ActionEffect, Sensitivity
from tests.support.builders import NOW_UNIX_S, an_action

TRIAGE: dict[str, Any] = {
    "grant": {"tools": ["crm/*"], "effects": ["read", "send"], "destinations": ["*"], "calls": 5},
    "usual": {"tools": ["crm/*"], "effects": ["read"], "destinations": ["crm.internal"]},
    "register": {"by": ["control:operator"], "agents": ["spiffe://acme.test/*"]},
}


def test_a_template_has_a_grant_and_what_is_usual() -> None:
    triage = parse_templates({"triage": TRIAGE})["triage"]
    assert (triage.name, triage.grant.limits.calls) == ("triage", 5)
    assert triage.usual is not None
    secret = an_action(sensitivity=Sensitivity.SECRET)
    assert covers(triage.usual, secret, now_unix_s=NOW_UNIX_S) is None
    sends = an_action(effect=ActionEffect.SEND)
    assert covers(triage.usual, sends, now_unix_s=NOW_UNIX_S) is not None


def test_what_is_usual_is_as_granted_where_nothing_else_is_said() -> None:
    told = {"t": {"grant": TRIAGE["grant"], "usual": {"effects": ["read"]}}}
    usual = parse_templates(told)["t"].usual
    assert usual is not None
    assert (usual.tools, usual.destinations) == (("crm/*",), ("*",))
    assert [effect.value for effect in usual.effects] == ["read"]


def test_without_a_word_on_what_is_usual_nothing_is_known_of_it() -> None:
    assert parse_templates({"t": {"grant": {}}})["t"].usual is None


def test_without_data_there_are_none() -> None:
    assert parse_templates(None) == {}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param([], "no object by name", id="list"),
        pytest.param({"No": {"grant": {}}}, "'No' is no name of a template", id="name"),
        pytest.param({"t": {}}, "templates.t: give {grant}", id="no-grant"),
        pytest.param({"t": 1}, "templates.t: give {grant}", id="no-object"),
        pytest.param(
            {"t": {"grant": {}, "usuall": {}}}, "templates.t.usuall is unknown", id="unknown"
        ),
        pytest.param({"t": {"grant": {"tools": 1}}}, "templates.t.grant.tools", id="grant"),
        pytest.param(
            {"t": {"grant": {}, "usual": {"calls": 1}}}, "t.usual.calls is unknown", id="usual"
        ),
        pytest.param({"t": {"grant": {}, "usual": []}}, "t.usual: give", id="usual-list"),
    ],
)
def test_a_template_that_cannot_be_read_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_templates(document)
    assert named in str(refused.value)
