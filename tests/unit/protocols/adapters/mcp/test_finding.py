"""Tools that find tools: what they find is filtered as a list is."""

from typing import Any

import orjson
import pytest

from outrider.core.errors import EnforcementError
from outrider.core.manifest import parse_manifest
from tests.support.mcp_exchange import (
    Answered,
    FakeUpstream,
    Sidecar,
    a_tool,
    replies,
    request,
)

MANIFEST = parse_manifest(
    {
        "crm": {
            "tools": {
                "find": {
                    "effect": "read",
                    "offers": {
                        "items": "$.found.tools",
                        "name": "$.about.name",
                        "upstream": "mail",
                    },
                },
                "echo": {"effect": "read"},
            }
        },
        "mail": {"tools": {"send": {"effect": "send"}}},
    }
)
BOTH: Any = {"found": {"tools": [{"about": {"name": "read"}}, {"about": {"name": "send"}}]}, "n": 2}


def called(result: Any, *, tool: str = "find", hidden: Any = ("mail/send",)) -> Answered:
    upstream = FakeUpstream(a_tool("find"), a_tool("echo"))
    upstream.answers["tools/call"] = lambda message: replies(
        {"jsonrpc": "2.0", "id": message["id"], "result": result}
    )
    sidecar = Sidecar(
        upstream, manifest=MANIFEST, verdict=lambda ask: ask.resource_id not in hidden
    )
    return sidecar.post(request("tools/call", {"name": tool, "arguments": {"text": "x"}}))


def result_of(answered: Answered) -> Any:
    assert answered.fault is None, answered.fault
    return orjson.loads(answered.body)["result"]


def names_in(value: Any) -> list[Any]:
    return [item["about"]["name"] for item in value["found"]["tools"]]


def as_text(value: Any) -> Any:
    return {"content": [{"type": "text", "text": orjson.dumps(value).decode()}]}


def test_what_is_found_is_judged_under_its_own_upstream_and_hidden_where_it_must_be() -> None:
    answered = called({"structuredContent": BOTH, **as_text(BOTH)})
    result = result_of(answered)
    assert names_in(result["structuredContent"]) == ["read"]
    assert names_in(orjson.loads(result["content"][0]["text"])) == ["read"]
    asked = [ask for ask in answered.asked if ask.upstream == "mail"]
    assert [(ask.resource, ask.phase.value) for ask in asked] == [
        ("read", "list"),
        ("send", "list"),
    ]
    assert b"send" not in answered.body


def test_what_is_found_in_words_that_are_json_is_filtered_too() -> None:
    result = result_of(called(as_text(BOTH)))
    assert names_in(orjson.loads(result["content"][0]["text"])) == ["read"]
    assert "structuredContent" not in result


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"structuredContent": BOTH, **as_text("found two")}, id="all-may-be-seen"),
        pytest.param(as_text(BOTH), id="in-words"),
    ],
)
def test_where_nothing_is_hidden_nothing_is_changed(result: Any) -> None:
    assert result_of(called(result, hidden=())) == result


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"content": [{"type": "text", "text": "I found send and read"}]}, id="prose"),
        pytest.param({"content": [{"type": "text", "text": "{"}]}, id="no-json"),
        pytest.param({"content": [{"type": "text", "text": '{"found": 1}'}]}, id="no-list"),
        pytest.param({"content": []}, id="nothing"),
        pytest.param({"content": [{"type": "image", "data": "", "mimeType": "x"}]}, id="an-image"),
        pytest.param({"structuredContent": {"found": {"tools": {}}}, "content": []}, id="a-map"),
    ],
)
def test_what_lists_nothing_is_a_result_like_any_other(result: Any) -> None:
    assert result_of(called(result)) == result


def test_another_tools_result_is_left_alone() -> None:
    result = {"structuredContent": BOTH, "content": []}
    assert result_of(called(result, tool="echo")) == result


@pytest.mark.parametrize("name", [None, 1, "a b", "\u202esend", ""])
def test_what_cannot_be_called_is_not_shown(name: Any) -> None:
    value = {"found": {"tools": [{"about": {"name": name}}, {"about": {"name": "read"}}, "send"]}}
    result = result_of(called({"structuredContent": value, "content": []}))
    assert names_in(result["structuredContent"]) == ["read"]


def test_more_than_a_list_may_hold_is_refused() -> None:
    items = [{"about": {"name": f"t{number}"}} for number in range(5000)]
    answered = called({"structuredContent": {"found": {"tools": items}}, "content": []})
    assert isinstance(answered.fault, EnforcementError)
