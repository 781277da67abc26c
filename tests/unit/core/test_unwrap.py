from dataclasses import replace
from typing import Any

import pytest

from outrider.core.action import Ask, Definition
from outrider.core.grant import covers, parse_grant
from outrider.core.manifest import complete
from outrider.core.unwrap import MOST_LAYERS, entry_of, unwrapped
from outrider.core.vocabulary import (
    ActionEffect,
    FieldLabel,
    Phase,
    ProtocolName,
    ResourceType,
    Sensitivity,
)
from tests.support.builders import CRM, NOW_UNIX_S, a_manifest

WRAP: dict[str, Any] = {"name": "$.tool", "arguments": "$.args"}
NESTED: Any = {"name": "$.call.tool", "arguments": "$.call.args", "upstream": "$.call.server"}
TOOLS: Any = CRM["tools"]
MANIFEST = a_manifest(
    crm={
        **CRM,
        "tools": {
            **TOOLS,
            "run_tool": {"unwrap": WRAP},
            "run_there": {"unwrap": WRAP | {"upstream": "people"}},
            "run_anywhere": {"unwrap": NESTED},
        },
    },
    outside={"destination": {"zone": "external"}, "tools": {"post": {"effect": "send"}}},
)
MAIL = {"to": "a@b.example", "body": "hello"}


def an_ask(name: str, arguments: Any, **changes: Any) -> Ask:
    fields: dict[str, Any] = {
        "protocol": ProtocolName.MCP,
        "name": "tools/call",
        "resource_type": ResourceType.TOOL,
        "upstream": "crm",
        "resource": name,
        "arguments": arguments,
        "definition": Definition(digest="sha256:1", pinned=True),
    }
    return Ask(**fields | changes)


def judged(name: str, arguments: Any, **changes: Any) -> tuple[str, str, Any]:
    action = complete(an_ask(name, arguments, **changes), MANIFEST)
    return action.resource_id, action.effect.value, action.ask.arguments


def test_a_call_through_a_meta_tool_is_judged_as_the_call_it_carries() -> None:
    action = complete(an_ask("run_tool", {"tool": "send_email", "args": MAIL}), MANIFEST)
    assert (action.resource_id, action.effect, action.declared) == (
        "crm/send_email",
        ActionEffect.SEND,
        True,
    )
    assert action.ask.arguments == MAIL
    assert action.ask.via == "crm/run_tool"
    assert [place.host for place in action.destinations] == ["crm.internal", "b.example"]
    assert ("/to", "destination") in [(pointer, role.value) for pointer, role in action.roles]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        pytest.param(
            "run_tool", {"tool": "get_ticket"}, ("crm/get_ticket", "read", {}), id="no-arguments"
        ),
        pytest.param(
            "run_tool",
            {"tool": "nobody_said", "args": {}},
            ("crm/nobody_said", "execute", {}),
            id="an-undeclared-tool-is-execute",
        ),
        pytest.param(
            "run_tool",
            {"tool": "Send_Email", "args": MAIL},
            ("crm/Send_Email", "execute", MAIL),
            id="names-are-never-folded",
        ),
        pytest.param(
            "run_there",
            {"tool": "send_email", "args": MAIL},
            ("people/send_email", "execute", MAIL),
            id="same-name-on-another-upstream",
        ),
        pytest.param(
            "run_anywhere",
            {"call": {"server": "crm", "tool": "send_email", "args": MAIL}},
            ("crm/send_email", "send", MAIL),
            id="the-call-names-the-upstream",
        ),
        pytest.param(
            "run_tool",
            {"tool": "run_tool", "args": {"tool": "send_email", "args": MAIL}},
            ("crm/send_email", "send", MAIL),
            id="a-meta-tool-within-a-meta-tool",
        ),
        pytest.param(
            "run_tool",
            {"tool": "get_ticket", "args": {}, "params._meta": {"x": 1}, "header.x-as": "root"},
            ("crm/get_ticket", "read", {"params._meta": {"x": 1}, "header.x-as": "root"}),
            id="what-is-told-beside-the-arguments-comes-along",
        ),
    ],
)
def test_what_is_carried(name: str, arguments: Any, expected: Any) -> None:
    assert judged(name, arguments) == expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("run_tool", {}, id="no-name"),
        pytest.param("run_tool", {"tool": 1, "args": {}}, id="a-name-of-no-text"),
        pytest.param("run_tool", {"tool": "..", "args": {}}, id="a-name-of-dots"),
        pytest.param("run_tool", {"tool": "a/b", "args": {}}, id="a-name-with-a-slash"),
        pytest.param("run_tool", {"tool": "get_ticket\u200b"}, id="a-name-with-what-does-not-show"),
        pytest.param("run_tool", {"tool": "get_ticket", "args": "{}"}, id="arguments-as-text"),
        pytest.param("run_tool", {"tool": "get_ticket", "args": None}, id="arguments-null"),
        pytest.param("run_tool", {"tool": "get_ticket", "as": "root"}, id="more-beside"),
        pytest.param(
            "run_tool", {"tool": "get_ticket", "args": {"header.x": 1}}, id="an-inner-header"
        ),
        pytest.param(
            "run_tool", {"tool": "get_ticket", "args": {"params._meta": 1}}, id="an-inner-meta"
        ),
        pytest.param(
            "run_anywhere",
            {"call": {"server": "crm", "tool": "get_ticket", "retry": True}},
            id="more-beside-further-down",
        ),
        pytest.param(
            "run_anywhere", {"call": {"server": "unknown", "tool": "get_ticket"}}, id="no-upstream"
        ),
        pytest.param("run_anywhere", {"call": "get_ticket"}, id="nothing-where-it-should-be"),
    ],
)
def test_what_cannot_be_read_is_execute_on_the_meta_tool(name: str, arguments: Any) -> None:
    found = judged(name, arguments)
    assert found == (f"crm/{name}", "execute", arguments)


def test_a_call_wrapped_too_often_is_not_taken_apart() -> None:
    arguments: Any = {"tool": "get_ticket", "args": {}}
    for _ in range(MOST_LAYERS - 1):
        arguments = {"tool": "run_tool", "args": arguments}
    assert judged("run_tool", arguments)[0] == "crm/get_ticket"
    assert judged("run_tool", {"tool": "run_tool", "args": arguments})[:2] == (
        "crm/run_tool",
        "execute",
    )


def test_what_was_taken_apart_stays_as_it_is() -> None:
    once = unwrapped(an_ask("run_tool", {"tool": "send_email", "args": MAIL}), MANIFEST)
    assert unwrapped(once, MANIFEST) is once
    plain = an_ask("send_email", MAIL)
    assert unwrapped(plain, MANIFEST) is plain


def test_a_schema_that_does_not_hold_outside_does_not_hold_inside() -> None:
    asked = an_ask("run_tool", {"tool": "get_ticket"}, schema_valid=False)
    assert unwrapped(asked, MANIFEST).schema_valid is False
    assert unwrapped(replace(asked, schema_valid=True), MANIFEST).schema_valid is None


def test_while_listing_a_meta_tool_is_read() -> None:
    asked = an_ask("run_tool", None, phase=Phase.LIST)
    action = complete(asked, MANIFEST)
    assert (action.resource_id, action.effect, action.reversible) == (
        "crm/run_tool",
        ActionEffect.READ,
        True,
    )


def test_an_inner_upstream_without_a_place_lies_where_its_carrier_does_in_its_own_zone() -> None:
    manifest = a_manifest(
        crm={**CRM, "tools": {"run": {"unwrap": {**WRAP, "upstream": "outside"}}}},
        outside={"destination": {"zone": "external"}, "tools": {"post": {"effect": "send"}}},
    )
    bare = replace(manifest, hosts={"crm": "crm.internal:443"})
    action = complete(an_ask("run", {"tool": "post"}), bare)
    assert [(place.host, place.zone) for place in action.destinations] == [
        ("crm.internal", "external"),
        ("crm.internal", "internal"),
    ]
    known = complete(an_ask("run", {"tool": "post"}), manifest)
    assert [(place.host, place.zone) for place in known.destinations] == [
        ("outside.internal", "external"),
        ("crm.internal", "internal"),
    ]


GRANT = {"tools": ["crm/*"], "effects": ["read"], "destinations": ["*"], "sensitivity": "secret"}


@pytest.mark.control("TS-01")
@pytest.mark.parametrize(
    ("arguments", "tools", "covered"),
    [
        pytest.param({"tool": "get_ticket", "args": {}}, ["crm/*"], True, id="granted"),
        pytest.param({"tool": "send_email", "args": MAIL}, ["crm/*"], False, id="inner-effect"),
        pytest.param({"tool": "get_ticket", "args": {}}, ["crm/run_tool"], False, id="inner-name"),
        pytest.param({"tool": "get_ticket", "x": 1}, ["crm/*"], False, id="not-taken-apart"),
    ],
)
def test_a_grant_covers_the_inner_call(arguments: Any, tools: Any, covered: bool) -> None:
    grant = parse_grant(GRANT | {"tools": tools}, "grant")
    action = complete(an_ask("run_tool", arguments), MANIFEST)
    assert (covers(grant, action, now_unix_s=NOW_UNIX_S) is None) is covered


# --- resources, and answers that are fetched ---------------------------------------------------

LABELLED = a_manifest(
    crm={
        **CRM,
        "tools": {
            "run_tool": {"unwrap": WRAP},
            "read": {
                "effect": "read",
                "sensitivity": "secret",
                "arguments": {"id": {"role": "selector"}},
                "records": "$.rows",
                "result": [
                    {"path": "$.a", "label": "secret", "when": {"argument": "id", "prefix": "x"}},
                    {"path": "$.b", "label": "platform", "when": {"argument": "id", "prefix": "x"}},
                    {"path": "$.c", "label": "platform"},
                ],
            },
        },
    }
)


def fetching(tool: str, upstream: str = "crm") -> Ask:
    called = an_ask(tool, None, upstream=upstream)
    return an_ask(
        "tasks/result",
        {"taskId": "t"},
        resource_type=ResourceType.API,
        effect=ActionEffect.READ,
        plumbing=True,
        answers=called,
    )


def test_an_answer_that_is_fetched_is_what_is_said_of_its_call() -> None:
    entry = entry_of(fetching("read"), LABELLED)
    assert (entry.sensitivity, entry.records) == (Sensitivity.SECRET, ("rows",))
    assert entry.arguments == ()
    action = complete(fetching("read"), LABELLED)
    assert (action.effect, action.sensitivity) == (ActionEffect.READ, Sensitivity.SECRET)
    assert (action.roles, action.reversible) == ((), True)


def test_what_depended_on_the_arguments_is_taken_for_the_worse() -> None:
    labels = {
        one.path: (one.label, one.when) for one in entry_of(fetching("read"), LABELLED).result
    }
    assert labels == {("a",): (FieldLabel.SECRET, None), ("c",): (FieldLabel.PLATFORM, None)}


def test_the_answer_of_a_meta_tool_may_be_any() -> None:
    entry = entry_of(fetching("run_tool"), LABELLED)
    assert (entry.sensitivity, entry.declared, entry.result) == (Sensitivity.SECRET, False, ())


@pytest.mark.parametrize("upstream", ["crm", "nowhere"])
def test_the_answer_of_what_nobody_declared_is_undeclared(upstream: str) -> None:
    assert not entry_of(fetching("unknown", upstream), LABELLED).declared


@pytest.mark.parametrize("upstream", ["crm", "nowhere"])
@pytest.mark.parametrize(
    ("uri", "hosts", "role", "reached"),
    [
        pytest.param("https://a.example/x?k=1", ("a.example",), "destination", 2, id="network"),
        pytest.param("memo:///x", (), "selector", 1, id="own"),
    ],
)
def test_a_resources_uri_is_an_argument_whatever_the_manifest_says(
    upstream: str, uri: str, hosts: tuple[str, ...], role: str, reached: int
) -> None:
    ask = an_ask(
        uri,
        {"uri": uri},
        upstream=upstream,
        resource_type=ResourceType.RESOURCE,
        effect=ActionEffect.READ,
        hosts=hosts,
    )
    action = complete(ask, LABELLED)
    assert [(pointer, found.value) for pointer, found in action.roles] == [("/uri", role)]
    assert [place.host for place in action.destinations[1:]] == list(hosts)
    assert len(action.destinations) == reached
    assert entry_of(ask, LABELLED).arguments[-1].type == "url"
    listed = complete(replace(ask, arguments=None, phase=Phase.LIST), LABELLED)
    assert [place.host for place in listed.destinations[1:]] == list(hosts)
