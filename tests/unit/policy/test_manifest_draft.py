from typing import Any

import pytest

from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read_yaml
from outrider.policy.manifest_draft import as_text, from_operations, from_tools, from_traffic
from outrider.policy.openapi import read_openapi

TOOLS: Any = [
    {"name": "get_note", "annotations": {"readOnlyHint": True}},
    {"name": "send.it", "inputSchema": {"properties": {"to": {"type": "string"}, "on": {}}}},
]


def test_a_draft_reads_back_as_what_was_drafted() -> None:
    drafted: Any = {"owner": "me", "default": {"effect": "execute"}, "tools": from_tools(TOOLS)}
    text = as_text(drafted, "a draft")
    assert read_yaml(text, "x") == drafted
    parse_manifest({"crm": read_yaml(text, "x")})
    assert "effect: execute  # perhaps send, by its name" in text
    assert text.count("confirmed: false") == 2 + 1 + 2  # two tools, the heading, two arguments


@pytest.mark.parametrize(
    "name", ["a: b", "#", "\u202edrop", "a\nb", '"', "null", "\U000e0041", "{x}", "yes", "\\"]
)
def test_whatever_a_name_holds_stays_data_in_plain_ascii(name: str) -> None:
    drafted: Any = {"tools": {"t": {"effect": "read", "arguments": {name: {"role": "content"}}}}}
    text = as_text(drafted, "a draft")
    assert read_yaml(text, "x") == drafted
    assert text.isascii()
    assert all(char.isprintable() or char == "\n" for char in text)


def test_an_api_is_drafted_by_its_operations() -> None:
    api: Any = {
        "openapi": "3.1.0",
        "paths": {
            "/a": {
                "get": {
                    "operationId": "listA",
                    "parameters": [{"name": "q", "in": "query", "schema": {"type": "array"}}],
                }
            }
        },
    }
    drafted = from_operations(read_openapi(api, "x"))
    assert drafted == {
        "GET /a": {
            "effect": "read",
            "confirmed": False,
            "arguments": {"q": {"role": "selector", "confirmed": False}},
            "operation_id": "listA",
            "array_fields": ["q"],
        }
    }
    whole: Any = {"operations": drafted}
    assert read_yaml(as_text(whole, "a draft"), "x") == whole


def seen(name: str, arguments: Any, kind: str = "tool", phase: str = "request") -> Any:
    return {
        "resource": {"type": kind, "id": f"crm/{name}", "properties": {"upstream": "crm"}},
        "action": {"properties": {"phase": phase, "arguments": arguments}},
    }


def test_traffic_says_what_was_called_and_with_what() -> None:
    inputs = [
        seen("send", {"x": "a@b.example", "n": 3}),
        seen("send", {"x": "later", "where": ["https://a.example/"], "ok": True, "/odd": 1}),
        seen("hidden", None, phase="list"),
        seen("ping", None, kind="api"),
        seen("GET /a", {"id": "1"}, kind="api"),
        seen("notes://x", None, kind="resource"),
    ]
    found: Any = from_traffic(inputs)
    assert found == {
        "crm": {
            "tools": {
                "send": {
                    "effect": "execute",
                    "confirmed": False,
                    "arguments": {
                        "x": {"role": "destination", "confirmed": False, "type": "email"},
                        "n": {"role": "selector", "confirmed": False, "type": "number"},
                        "where": {"role": "destination", "confirmed": False, "type": "url"},
                        "ok": {"role": "control", "confirmed": False},
                    },
                }
            },
            "operations": {
                "GET /a": {
                    "effect": "execute",
                    "confirmed": False,
                    "arguments": {"id": {"role": "target", "confirmed": False, "type": "id"}},
                }
            },
        }
    }
    assert from_traffic(inputs, "other") == {}
