"""Schemas: bounded, local, compiled once."""

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.schemas import (
    Compiled,
    Schemas,
    compile_schema,
    first_fault,
)


def _deep(levels: int) -> Json:
    schema: Json = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, None),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, None),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, None),
        ({"properties": {"$ref": {"type": "string"}}}, None),
        ({"$ref": "http://127.0.0.1/"}, "external_reference"),
        ({"allOf": [{"$dynamicRef": "other"}]}, "external_reference"),
        ({"$schema": "http://127.0.0.1/meta"}, "dialect"),
        ({"allOf": [{"$id": "http://a/", "$ref": "#/x"}]}, "inner_base"),
        ([], "not_object"),
        (None, "not_object"),
        (_deep(33), "too_large"),
        ({"anyOf": [{}] * 1000}, "too_large"),
        ({"enum": list(range(10_001))}, "too_large"),
    ],
)
def test_bounds_are_kept_before_anything_is_compiled(schema: Json, fault: str | None) -> None:
    assert first_fault(schema) == fault
    assert (compile_schema(schema).validator is None) is (fault is not None)


def test_a_schema_that_cannot_be_used_accepts_nothing() -> None:
    assert not compile_schema({"type": "nonsense"}).accepts({})
    assert not compile_schema({"$ref": "#/absent"}).accepts({})


def test_schemas_are_kept_by_digest() -> None:
    schemas = Schemas(kept=2)
    schema: JsonObject = {"type": "string"}
    first = schemas.get("d1", "inputSchema", schema)
    assert schemas.get("d1", "inputSchema", {"type": "integer"}) is first
    schemas.get("d2", "inputSchema", schema)
    schemas.get("d3", "inputSchema", schema)
    assert schemas.get("d1", "inputSchema", schema) is not first


def test_a_panic_of_the_validator_accepts_nothing() -> None:
    class PanicException(BaseException):
        """Named as pyo3 names its own, which cannot be imported."""

    class Broken:
        def is_valid(self, instance: Json) -> bool:
            raise PanicException("index out of bounds")

    assert not Compiled(validator=Broken()).accepts({})


SLOW_TO_BUILD = [
    pytest.param({"pattern": "a" * 1_000_000}, id="long"),
    pytest.param({"pattern": r"(?:\p{L}{100}){100}"}, id="properties"),
    pytest.param({"properties": {str(n): {"pattern": ".{500}"} for n in range(50)}}, id="many"),
    pytest.param({"patternProperties": {f"a{{1000}}{n}": {} for n in range(100)}}, id="names"),
    pytest.param({"$defs": {"a": {"anyOf": [{"pattern": "x{90000}"}]}}}, id="deep"),
]


@pytest.mark.parametrize("schema", SLOW_TO_BUILD)
def test_patterns_that_take_long_to_compile_are_refused_unseen(schema: JsonObject) -> None:
    assert first_fault(schema) == "pattern"


def _with_pattern(pattern: str) -> Compiled:
    named: JsonObject = {"id": {"type": "string", "pattern": pattern}, "text": {"type": "string"}}
    return compile_schema({"type": "object", "properties": named})


@pytest.mark.parametrize("pattern", ["^[a-z0-9-]{1,64}$", "^.{1,1000}$", "(?:a{100}){20}"])
def test_what_is_matched_against_a_pattern_is_bounded_by_what_the_pattern_weighs(
    pattern: str,
) -> None:
    compiled = _with_pattern(pattern)
    assert compiled.fault is None
    assert not compiled.would_take_long({"id": "a" * 1000, "text": "b"})
    assert compiled.would_take_long({"id": "a" * 100_000, "text": "b"})
    assert not compiled.accepts({"id": "a" * 100_000})


def test_text_that_no_pattern_looks_at_may_be_long() -> None:
    compiled = _with_pattern("^[a-z0-9-]{1,64}$")
    assert compiled.accepts({"id": "one", "text": "b" * 1_000_000})


def test_a_pattern_that_any_property_may_refer_to_counts_for_all() -> None:
    compiled = compile_schema(
        {
            "$defs": {"id": {"pattern": "^[a-z]{1,64}$"}},
            "properties": {"a": {"$ref": "#/$defs/id"}, "b": {}},
        }
    )
    assert compiled.would_take_long({"b": "x" * 100_000})
    assert compiled.accepts({"a": "x", "b": "x" * 1000})


REFERENCES = [
    pytest.param({"$ref": "#/properties/a"}, {}, id="ref"),
    pytest.param({"items": {"anyOf": [{"$ref": "#/properties/a"}]}}, {}, id="deep"),
    pytest.param({"$dynamicRef": "#x"}, {"$dynamicAnchor": "x"}, id="dynamic"),
    pytest.param({"$ref": "#x"}, {"$anchor": "x"}, id="anchor"),
]


@pytest.mark.parametrize(("refers", "marks"), REFERENCES)
def test_a_pattern_counts_for_all_where_one_property_may_refer_to_another(
    refers: JsonObject, marks: JsonObject
) -> None:
    named: JsonObject = {"a": {"pattern": "^[a-z]{1,64}$", **marks}, "b": refers}
    compiled = compile_schema({"type": "object", "properties": named})
    assert compiled.fault is None
    assert compiled.would_take_long({"b": "x" * 100_000})
    assert not compiled.accepts({"b": "x" * 100_000})
    assert compiled.accepts({"a": "x", "b": "x", "c": "x" * 1000})


def test_a_reference_without_any_pattern_leaves_text_as_long_as_it_is() -> None:
    named: JsonObject = {"a": {"type": "string"}, "b": {"$ref": "#/properties/a"}}
    compiled = compile_schema({"type": "object", "properties": named})
    assert compiled.accepts({"b": "x" * 100_000})


@pytest.mark.parametrize(
    ("step", "fault"),
    [(1, None), (0.01, None), (1e-30, None), (1e30, None)]
    + [(step, "multiple_of") for step in (1e-300, 5e-324, 1e-31, 1e31, 10**400, 0, -1)],
)
def test_a_step_that_takes_very_long_numbers_to_divide_by_is_refused(
    step: float, fault: str | None
) -> None:
    assert first_fault({"items": {"multipleOf": step}}) == fault


@pytest.mark.parametrize(
    ("step", "value", "count", "fits"),
    [
        pytest.param(5, 10, 50_000, True, id="whole"),
        pytest.param(5, 10, 200_000, False, id="whole-very-many"),
        pytest.param(0.01, 0.5, 10_000, True, id="fraction"),
        pytest.param(0.01, 0.5, 50_000, False, id="fraction-many"),
        pytest.param(0.01, 1e300, 500, True, id="far"),
        pytest.param(0.01, 1e300, 10_000, False, id="far-many"),
        pytest.param(0.01, -1e300, 10_000, False, id="far-below"),
    ],
)
def test_what_is_divided_is_bounded_by_what_it_takes(
    step: float, value: float, count: int, fits: bool
) -> None:
    compiled = compile_schema({"items": {"type": "number", "multipleOf": step}})
    assert compiled.would_take_long([value] * count) is not fits
    assert compiled.accepts([value] * count) is fits


def test_only_what_is_compiled_anew_is_counted() -> None:
    schemas = Schemas()
    for digest in ("a", "b", "a"):
        schemas.get(digest, "inputSchema", {"type": "object"})
    assert schemas.compiled == 2
