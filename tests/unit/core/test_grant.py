from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.grant import covers, meet, narrower, parse_grant
from outrider.core.vocabulary import ActionEffect, BodyKind, Phase, Sensitivity
from tests.support.builders import NOW_UNIX_S, a_destination, a_grant, an_action, an_ask


def gap(grant, action=None, now_unix_s: float = NOW_UNIX_S) -> tuple[str | None, str] | None:
    found = covers(grant, action or an_action(), now_unix_s=now_unix_s)
    return None if found is None else (found.pointer, found.detail)


def test_an_action_inside_every_dimension_is_covered() -> None:
    assert gap(a_grant()) is None


@pytest.mark.control("TS-01")
@pytest.mark.parametrize(
    ("grant", "sentence"),
    [
        pytest.param(a_grant(tools=["crm2/*"]), "does not name this tool", id="other-upstream"),
        pytest.param(a_grant(tools=["crm/get"]), "does not name this tool", id="prefix-only"),
        pytest.param(a_grant(tools=None), "does not name this tool", id="no-tools"),
        pytest.param(a_grant(effects=["write"]), "this effect", id="effect"),
        pytest.param(a_grant(effects=None), "this effect", id="no-effects"),
        pytest.param(a_grant(sensitivity="public"), "more sensitive", id="sensitivity"),
        pytest.param(a_grant(sensitivity=None), "more sensitive", id="no-sensitivity"),
        pytest.param(a_grant(destinations=["internal"]), "this destination", id="host"),
        pytest.param(a_grant(destinations=None), "this destination", id="no-hosts"),
        pytest.param(a_grant(not_before="2026-11-23T09:30:01Z"), "not valid yet", id="early"),
        pytest.param(a_grant(expires_at="2026-11-23T09:30:00Z"), "has expired", id="expired"),
    ],
)
def test_an_action_outside_one_dimension_is_not_covered(grant: Any, sentence: str) -> None:
    found = gap(grant)
    assert found is not None
    assert found[0] is None
    assert sentence in found[1]


def test_a_grant_holds_from_its_start_until_its_end() -> None:
    grant = a_grant(not_before="2026-11-23T09:30:00Z", expires_at="2026-11-23T10:30:00+01:00")
    assert grant.not_before_unix_s == grant.expires_unix_s == NOW_UNIX_S
    later = a_grant(not_before="2026-11-23T09:30:00Z", expires_at="2026-11-23T09:30:01Z")
    assert gap(later) is None
    assert gap(later, now_unix_s=NOW_UNIX_S + 1) is not None


@pytest.mark.parametrize(
    ("host", "pointer", "covered"),
    [
        pytest.param("b.example", "/to", True, id="granted"),
        pytest.param("evil.example", "/to", False, id="not-granted"),
        pytest.param(None, "/to", False, id="no-host-found"),
        pytest.param("evil.example", None, False, id="in-the-message"),
    ],
)
def test_every_destination_must_be_granted(
    host: str | None, pointer: str | None, covered: bool
) -> None:
    grant = a_grant(destinations=["crm.internal", "b.example"])
    action = an_action(destinations=(a_destination(), a_destination(host, pointer=pointer)))
    found = gap(grant, action)
    assert (found is None) is covered
    assert found is None or found[0] == pointer


def test_a_host_that_cannot_be_found_is_not_covered_by_the_star_either() -> None:
    assert gap(a_grant(destinations=["*"]), an_action(destinations=(a_destination(None),)))


@pytest.mark.control("TS-03")
def test_arguments_are_held_to_their_rule() -> None:
    grant = a_grant(arguments={"crm/get_ticket": {"/ticket_id": {"prefix": "t-"}}})
    assert gap(grant) is None
    other = an_action(ask=an_ask(arguments={"ticket_id": "x-1"}))
    assert gap(grant, other) == ("/ticket_id", "an argument is outside what the grant allows")
    another_tool = an_action(ask=an_ask(resource="find", arguments={"any": 1}))
    assert gap(grant, another_tool) is None


def test_several_rules_of_one_tool_must_all_hold() -> None:
    rules = [{"/ticket_id": {"prefix": "t-"}}, {"/ticket_id": {"max_length": 4}}]
    grant = a_grant(arguments={"crm/get_ticket": rules})
    assert gap(grant) is None
    assert gap(grant, an_action(ask=an_ask(arguments={"ticket_id": "t-4711"}))) is not None


def test_a_constrained_tool_is_not_called_with_a_body_nobody_reads() -> None:
    grant = a_grant(arguments={"crm/get_ticket": {"/ticket_id": {}}})
    opaque = an_action(ask=an_ask(arguments=None, body=BodyKind.OPAQUE))
    assert gap(grant, opaque) == (None, "the grant constrains arguments, and this body is not read")
    assert gap(grant, an_action(ask=an_ask(arguments=None, body=BodyKind.NONE))) is None


def test_while_listing_arguments_and_their_destinations_are_not_asked() -> None:
    grant = a_grant(arguments={"crm/get_ticket": {"/ticket_id": {"required": True}}})
    listed = an_ask(phase=Phase.LIST, arguments=None)
    both = (a_destination(), a_destination(None, pointer="/to"))
    assert gap(grant, an_action(ask=listed, destinations=both)) is None
    own = (a_destination("evil.example"),)
    assert gap(grant, an_action(ask=listed, destinations=own)) is not None
    assert gap(grant, an_action(ask=listed, effect=ActionEffect.PAY)) is not None


@pytest.mark.parametrize(
    ("tools", "covered"),
    [
        pytest.param(["*"], True, id="star"),
        pytest.param(["crm/send"], True, id="one-tool"),
        pytest.param(["*/x"], True, id="any-upstream"),
        pytest.param(["cr*/x"], True, id="prefix"),
        pytest.param(["crm2/*"], False, id="near-miss"),
        pytest.param([], False, id="none"),
    ],
)
def test_plumbing_needs_only_some_tool_of_the_upstream(tools: list[str], covered: bool) -> None:
    action = an_action(
        ask=an_ask(plumbing=True, resource="tools/list"),
        effect=ActionEffect.ADMIN,
        sensitivity=Sensitivity.SECRET,
        destinations=(),
    )
    assert (gap(a_grant(tools=tools), action) is None) is covered
    ended = a_grant(tools=tools, expires_at="2026-01-01T00:00:00Z")
    assert gap(ended, action) is not None


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "agent: a grant is a map"),
        ({"toolz": 1}, "agent.toolz is no part of a grant; give one of arguments, bytes, calls"),
        *[
            ({key: value}, f"agent.{key} is {value!r}; give a whole number")
            for key in ("calls", "tokens", "records", "bytes")
            for value in (-1, 1.0, True, "5", 2**53)
        ],
        ({"period_s": 0}, "agent.period_s is 0; give 1 to"),
        ({"tools": "crm/*"}, "agent.tools: give a list"),
        ({"tools": ["crm/*"] * 300}, "at most 256"),
        ({"tools": ["crm"]}, "agent.tools: 'crm': give <upstream>/<name>"),
        ({"tools": ["/x"]}, "give <upstream>/<name>"),
        ({"tools": ["crm/"]}, "give <upstream>/<name>"),
        ({"tools": ["crm/a*b"]}, "end of a segment"),
        ({"tools": [1]}, "give a string"),
        ({"effects": ["reed"]}, "agent.effects: 'reed': give one of read, write"),
        ({"destinations": ["https://x"]}, "agent.destinations: 'https://x'"),
        ({"sensitivity": "high"}, "agent.sensitivity is 'high'; give one of public"),
        ({"sensitivity": 1}, "agent.sensitivity is 1"),
        ({"not_before": "tomorrow"}, "agent.not_before is 'tomorrow'"),
        ({"expires_at": "2026-11-23T09:30:00"}, "agent.expires_at"),
        ({"expires_at": 5}, "agent.expires_at is 5"),
        ({"arguments": []}, "agent.arguments: give a map"),
        ({"arguments": {"crm/*": {}}}, "no globs here"),
        ({"arguments": {"crm": {}}}, "no <upstream>/<name>"),
        ({"arguments": {"crm/x": {"a": {}}}}, "agent.arguments.crm/x: 'a' is no JSON pointer"),
    ],
)
def test_a_grant_that_cannot_be_used_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_grant(document, "agent")
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("change", "is_narrower"),
    [
        pytest.param({}, True, id="equal"),
        pytest.param({"tools": ["crm/get_*"]}, True, id="tools"),
        pytest.param({"tools": ["crm/*", "crm2/x"]}, False, id="tools-wider"),
        pytest.param({"effects": ["read"]}, True, id="effects"),
        pytest.param({"effects": ["read", "send", "pay"]}, False, id="effects-wider"),
        pytest.param({"destinations": []}, True, id="destinations"),
        pytest.param({"destinations": ["*.internal"]}, False, id="destinations-wider"),
        pytest.param({"sensitivity": "public"}, True, id="sensitivity"),
        pytest.param({"sensitivity": "secret"}, False, id="sensitivity-wider"),
        pytest.param({"expires_at": "2026-12-01T00:00:00Z"}, True, id="an-end"),
        pytest.param({"not_before": "2026-12-01T00:00:00Z"}, True, id="a-start"),
        pytest.param({"arguments": {"crm/x": {}}}, True, id="a-rule-added"),
        pytest.param({"calls": 5}, True, id="a-bound-added"),
        pytest.param(
            {"delegation": {"depth": 1, "to": ["spiffe://acme.test/*"]}}, False, id="more"
        ),
        pytest.param({"period_s": 60}, False, id="comes-again"),
    ],
)
def test_narrower_in_each_dimension(change: dict[str, Any], is_narrower: bool) -> None:
    assert narrower(a_grant(**change), a_grant()) is is_narrower


def test_a_rule_removed_is_wider_unless_the_tool_is_gone() -> None:
    outer = a_grant(arguments={"crm/x": {"/a": {}}})
    assert not narrower(a_grant(), outer)
    assert narrower(a_grant(tools=["crm/y"]), outer)
    assert narrower(a_grant(arguments={"crm/x": [{"/b": {}}, {}]}), outer)


def test_meet_is_written_as_a_grant_that_reads_the_same() -> None:
    left = a_grant(expires_at="2026-12-01T00:00:00.5Z", arguments={"crm/x": {"/a": {"max": 1}}})
    right = a_grant(
        tools=["crm/get_*", "crm/x"],
        effects=["read"],
        destinations=["*"],
        sensitivity="internal",
        not_before="2026-11-01T00:00:00Z",
        arguments={"crm/x": [{"/a": {"max": 1}}, {"/a": {"min": 0}}], "crm/y": {}},
        calls=7,
        spend={"limit": 2.5, "unit": "usd"},
    )
    both = meet(left, right)
    assert both.document == {
        "tools": ["crm/get_*", "crm/x"],
        "effects": ["read"],
        "destinations": ["crm.internal"],
        "arguments": {"crm/x": [{"/a": {"max": 1}}, {"/a": {"min": 0}}], "crm/y": {}},
        "sensitivity": "internal",
        "not_before": "2026-11-01T00:00:00.000000Z",
        "expires_at": "2026-12-01T00:00:00.500000Z",
        "calls": 7,
        "spend": {"limit": "2.5", "unit": "usd"},
    }
    assert parse_grant(both.document, "again") == both


def test_meet_of_grants_without_times_has_none() -> None:
    both = meet(a_grant(), a_grant(tools=["*"]))
    assert (both.not_before_unix_s, both.expires_unix_s) == (None, None)
    assert both.tools == ("crm/*",)
