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
