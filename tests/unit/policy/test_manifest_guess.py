from typing import Any

import pytest

from outrider.core.manifest import parse_manifest
from outrider.policy.manifest_guess import (
    guess_arguments,
    guess_role,
    guess_tool,
    is_destination_like,
    promised,
)


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("send_email", "send"),
        ("sendEmail", "send"),
        ("get_orders", "read"),
        ("list-roles", "read"),
        ("search_and_send", "send"),
        ("DeleteFile", "delete"),
        ("run_payment", "pay"),
        ("weather", None),
        ("", None),
        ("postcode", None),
    ],
)
def test_a_name_promises_by_its_verb(name: str, effect: str | None) -> None:
    assert promised(name) == effect


@pytest.mark.parametrize(
    ("tool", "effect"),
    [
        pytest.param(
            {"name": "get_note", "annotations": {"readOnlyHint": True}}, "read", id="hint"
        ),
        pytest.param({"name": "weather", "annotations": {"readOnlyHint": True}}, "read", id="mute"),
        pytest.param({"name": "get_note"}, "execute", id="a-name-is-no-hint"),
        pytest.param(
            {"name": "get_note", "annotations": {"readOnlyHint": "yes"}}, "execute", id="text"
        ),
        pytest.param(
            {"name": "send_mail", "annotations": {"readOnlyHint": True}}, "execute", id="a-lie"
        ),
        pytest.param(
            {"name": "get", "annotations": {"readOnlyHint": True, "destructiveHint": True}},
            "execute",
            id="two-hints",
        ),
        pytest.param(
            {"name": "add", "annotations": {"destructiveHint": False}}, "execute", id="mild"
        ),
    ],
)
def test_only_a_hint_that_nothing_denies_makes_a_guess_milder(tool: Any, effect: str) -> None:
    assert guess_tool(tool) == {"effect": effect, "confirmed": False}


@pytest.mark.parametrize(
    ("name", "schema", "role"),
    [
        ("to", {"type": "string"}, ("destination", None)),
        ("x", {"type": "string", "format": "email"}, ("destination", "email")),
        ("webhook_url", {"type": "string"}, ("destination", "url")),
        ("recipients", {"type": "array"}, ("destination", None)),
        ("api_token", {"type": "string"}, ("credential", "text")),
        ("sql", {"type": "string"}, ("command", "text")),
        ("amount", {"type": "number"}, ("amount", "number")),
        ("ticketId", {"type": "string"}, ("target", "id")),
        ("file_path", {"type": "string"}, ("target", "path")),
        ("body", {"type": "string"}, ("content", "text")),
        ("send_email", {"type": "boolean"}, ("control", None)),
        ("max_tokens", {"type": "integer"}, ("selector", "number")),
        ("page", {"type": "integer"}, ("control", "number")),
        ("mystery", {"type": "string"}, ("target", None)),
        ("kind_of", {"enum": ["a"]}, ("selector", None)),
        ("mode", {"enum": ["a"]}, ("control", None)),
        ("header.authorization-token", {}, ("credential", "text")),
    ],
)
def test_roles_are_guessed_by_format_word_and_type(name: str, schema: Any, role: Any) -> None:
    assert guess_role(name, schema) == role
    assert is_destination_like(name, schema) == (role[0] == "destination")


def test_what_lies_deeper_is_named_by_pointer_and_the_manifest_takes_it() -> None:
    schema: Any = {
        "properties": {
            "message": {"$ref": "#/$defs/Message"},
            "to": {"type": "array", "items": {"type": "string", "format": "email"}},
            "a/b": {"type": "string"},
            "cc": {"anyOf": [{"type": "null"}, {"type": "string", "format": "email"}]},
        },
        "$defs": {
            "Message": {
                "properties": {
                    "files": {"type": "array", "items": {"properties": {"url": {}}}},
                }
            }
        },
    }
    found = guess_arguments(schema)
    assert {name: entry["role"] for name, entry in found.items()} == {  # type: ignore[index, call-overload]
        "/message/files/*/url": "destination",
        "to": "destination",
        "/a~1b": "target",
        "cc": "destination",
    }
    tool: Any = {"effect": "execute", "confirmed": False, "arguments": found}
    parse_manifest({"x": {"tools": {"t": tool}}})


def test_a_schema_without_end_is_looked_at_so_far() -> None:
    loop: Any = {"properties": {"a": {"$ref": "#"}, "b": {"type": "string"}}}
    assert 0 < len(guess_arguments(loop)) <= 200
    wide: Any = {"properties": {f"p{n}": {} for n in range(500)}}
    assert len(guess_arguments(wide)) == 200
