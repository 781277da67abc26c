"""Whatever a document says, it is read or refused; what is read can be drafted and loaded."""

from typing import Any

from hypothesis import given, settings, strategies as st

from outrider.core.errors import ConfigError
from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read_yaml
from outrider.policy.manifest_draft import as_text, from_operations, from_tools
from outrider.policy.openapi import read_openapi

names = st.sampled_from(["id", "to", "a b", "", "*", "/x", "header.x", "ключ", "body", "~1"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), names)
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "array", "object", ["string", "null"], 1]),
            "format": st.sampled_from(["email", "uri", "x", 1]),
            "$ref": st.sampled_from(["#/components/schemas/A", "#", "#/x", "other#/x", 1]),
            "enum": leaves,
        },
    )
    | leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(names, inner, max_size=3) | leaves,
            "items": inner,
            "allOf": st.lists(inner, max_size=2) | leaves,
            "anyOf": st.lists(inner, max_size=2) | leaves,
            "required": st.lists(names, max_size=2) | leaves,
        },
    ),
    max_leaves=6,
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "name": names | leaves,
        "in": st.sampled_from(["path", "query", "header", "cookie", "x", None]),
        "schema": schemas,
        "$ref": st.sampled_from(["#/components/schemas/A", "#/x"]),
    },
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "operationId": names | leaves,
        "parameters": st.lists(parameters, max_size=3) | leaves,
        "requestBody": st.fixed_dictionaries(
            {"content": st.fixed_dictionaries({"application/json": st.just({}) | schemas.map(
                lambda schema: {"schema": schema})})}
        )
        | leaves,
        "responses": st.dictionaries(st.sampled_from(["200", "404"]), schemas | leaves, max_size=2),
    },
)  # fmt: skip
documents = st.fixed_dictionaries(
    {"openapi": st.sampled_from(["3.0.0", "3.1.0", "2.0", None])},
    optional={
        "paths": st.dictionaries(
            st.sampled_from(["/a", "/a/{id}", "/{", "a", "/a b"]),
            st.dictionaries(st.sampled_from(["get", "post", "x"]), operations | leaves, max_size=2),
            max_size=2,
        )
        | leaves,
        "components": st.fixed_dictionaries({"schemas": st.fixed_dictionaries({"A": schemas})}),
    },
)


@settings(deadline=None)
@given(document=documents)
def test_a_document_is_read_whole_or_refused(document: Any) -> None:
    try:
        drafted: Any = {"operations": from_operations(read_openapi(document, "x"))}
    except ConfigError:
        return
    text = as_text(drafted, "a draft")
    assert (read_yaml(text, "x") or {}).get("operations", {}) == drafted["operations"]  # type: ignore[union-attr]
    parse_manifest({"x": drafted})


@settings(deadline=None)
@given(schema=schemas, name=st.sampled_from(["get_x", "a.b", "-"]))
def test_a_tool_of_whatever_schema_is_drafted(schema: Any, name: str) -> None:
    drafted: Any = {"tools": from_tools([{"name": name, "inputSchema": schema}])}
    assert read_yaml(as_text(drafted, "a draft"), "x") == drafted
    parse_manifest({"x": drafted})
