from typing import Any

import pytest

from outrider.config.paths import shipped_rego
from outrider.policy.manifest_lint import NOTES, lint_manifest, looks_like_meta, may_exist, weaker
from outrider.policy.release import load
from tests.support.policy import a_release


def lint(upstream: Any, lists: Any = None, **options: Any) -> list[tuple[str, str]]:
    whole = {"owner": "team", **upstream}
    release = a_release(data={"manifest": {"crm": whole}})
    return [(one.check, one.message) for one in lint_manifest(release, lists or {}, **options)]


def tool(**entry: Any) -> dict[str, Any]:
    return {"tools": {"t": {"effect": "write", **entry}}}


def listed(**definition: Any) -> dict[str, Any]:
    return {"crm": {"t": {"name": "t", **definition}}}


SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}, "n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("upstream", "lists", "expected"),
    [
        pytest.param({"owner": None}, None, "crm: nobody owns it", id="owner"),
        pytest.param({"tools": {"t": {}}}, None, "what it does is not said", id="effect"),
        pytest.param(tool(confirmed=False), None, "its effect is a guess", id="a-guess"),
        pytest.param(
            tool(arguments={"to": {"role": "content", "confirmed": False}}),
            None,
            "the role of to is a guess",
            id="a-guessed-role",
        ),
        pytest.param(
            tool(result=[{"path": "$.a", "label": "record", "confirmed": False}]),
            None,
            "the label of $.a is a guess",
            id="a-guessed-label",
        ),
        pytest.param(
            {"operations": {"POST /a": {"effect": "read"}}},
            None,
            "its method is POST",
            id="method",
        ),
        pytest.param(
            {"tools": {"send_it": {"effect": "read"}}}, None, "its name says send", id="name"
        ),
        pytest.param(
            tool(effect="read"),
            listed(annotations={"destructiveHint": True}),
            "the server says that it destroys",
            id="hint-destroys",
        ),
        pytest.param(
            tool(effect="read", confirmed=True),
            listed(annotations={"readOnlyHint": False}),
            "the server says that it changes things",
            id="hint-changes-though-confirmed",
        ),
        pytest.param(
            tool(reversible=True),
            listed(annotations={"destructiveHint": True}),
            "counts as reversible",
            id="hint-for-good",
        ),
        pytest.param(
            tool(result=[{"path": "$.items[*].body", "label": "platform"}]),
            None,
            "$.items[*].body is a field that others write into",
            id="platform-on-words",
        ),
        pytest.param(
            tool(result=[{"path": "$.items[*]", "label": "platform"}]),
            None,
            "",
            id="platform-on-ids",
        ),
        pytest.param(
            tool(result=[{"path": "$.*", "label": "platform"}]),
            None,
            "takes in fields that others write",
            id="platform-on-all",
        ),
        pytest.param(
            tool(), listed(inputSchema=SCHEMA), "to looks like a destination", id="no-role"
        ),
        pytest.param(
            tool(arguments={"too": {"role": "destination"}, "to": {"role": "destination"}}),
            listed(inputSchema=SCHEMA),
            "it has no argument too",
            id="an-argument-that-is-not-there",
        ),
        pytest.param(
            tool(arguments={"/to/host": {"role": "destination"}}),
            listed(inputSchema=SCHEMA),
            "it has no argument /to/host",
            id="within-a-text",
        ),
        pytest.param(
            tool(unwrap={"name": "$.tool", "arguments": "$.n"}),
            listed(inputSchema=SCHEMA),
            "unwrap.name: it has no argument $.tool",
            id="unwrap",
        ),
        pytest.param(
            tool(result=[{"path": "$.gone", "label": "record"}], records="$.n"),
            listed(outputSchema=SCHEMA),
            "$.gone cannot be in what it answers",
            id="a-field-that-is-not-there",
        ),
    ],
)
def test_what_is_missing_is_named(upstream: Any, lists: Any, expected: str) -> None:
    found = [message for check, message in lint(upstream, lists) if check not in NOTES]
    if not expected:
        assert found == []
    else:
        assert len(found) == 1
        assert expected in found[0]


@pytest.mark.parametrize(
    ("upstream", "lists"),
    [
        pytest.param(tool(), None, id="nothing-to-say"),
        pytest.param(
            tool(arguments={"to": {"role": "destination"}}),
            listed(inputSchema=SCHEMA),
            id="all-said",
        ),
        pytest.param(
            {"operations": {"POST /search": {"effect": "read", "confirmed": True}}},
            None,
            id="a-word",
        ),
        pytest.param({"tools": {"get_it": {"effect": "read"}}}, None, id="a-reading-name"),
        pytest.param(
            tool(arguments={"params._meta": {"role": "control"}}),
            listed(inputSchema=SCHEMA | {"properties": {}}),
            id="beside",
        ),
    ],
)
def test_what_is_whole_is_let_be(upstream: Any, lists: Any) -> None:
    assert lint(upstream, lists) == []


def test_a_person_may_vouch_for_a_field() -> None:
    line = {"path": "$.title", "label": "platform", "confirmed": True}
    assert lint(tool(result=[line])) == []


def test_a_draft_may_hold_guesses() -> None:
    assert lint(tool(confirmed=False), draft=True) == []


def test_what_is_listed_and_not_declared_is_only_told() -> None:
    found = dict(lint(tool(), {"crm": {"other": {"name": "other"}}}))
    assert found.keys() == {"gone", "undeclared"} == NOTES


def test_what_ships_is_whole() -> None:
    assert lint_manifest(load(shipped_rego()), {}) == []


@pytest.mark.parametrize(
    ("schema", "path", "possible"),
    [
        ({"type": "object"}, ["a"], True),
        ({}, ["a", "b"], True),
        ({"type": "string"}, ["a"], False),
        (
            {"properties": {"a": {"type": "array", "items": {"properties": {"b": {}}}}}},
            ["a", "*", "b"],
            True,
        ),
        (
            {"properties": {"a": {"type": "array", "items": {"properties": {"b": {}}}}}},
            ["a", "*", "c"],
            False,
        ),
        ({"properties": {"a": {}}, "additionalProperties": True}, ["z"], True),
        ({"additionalProperties": {"properties": {"b": {}}}}, ["z", "b"], True),
        ({"additionalProperties": {"properties": {"b": {}}}}, ["z", "c"], False),
        ({"anyOf": [{"type": "null"}, {"properties": {"a": {}}}]}, ["a"], True),
        ({"$ref": "#/$defs/X", "$defs": {"X": {"properties": {"a": {}}}}}, ["a"], True),
        ({"$ref": "#/$defs/X", "$defs": {"X": {"properties": {"a": {}}}}}, ["b"], False),
        ({"$ref": "#"}, ["b"], True),
        ({"properties": {"a": {}}}, ["*"], True),
    ],
)
def test_a_path_may_exist_where_the_schema_leaves_room(
    schema: Any, path: list[str], possible: bool
) -> None:
    assert may_exist(schema, schema, path) is possible


def test_a_tool_that_calls_others_is_told_by_its_arguments() -> None:
    known: Any = {"inputSchema": {"properties": {"tool_name": {}, "parameters": {}}}}
    assert looks_like_meta({"effect": "read"}, known)
    assert not looks_like_meta({"unwrap": {}}, known)
    assert not looks_like_meta({"arguments": {"tool": {}}}, {})
    assert looks_like_meta({"arguments": {"tool": {}, "/args": {}}}, {})


def test_what_writes_is_never_too_weak() -> None:
    assert (
        list(
            weaker("tools.send_it", {"effect": "send"}, {"annotations": {"destructiveHint": True}})
        )
        == []
    )
