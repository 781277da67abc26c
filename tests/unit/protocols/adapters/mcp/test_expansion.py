"""What a schema's references come to, and what the cost keeps validation within."""

import time

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.expansion import COST_MAX, ExpansionError, cost_of
from outrider.protocols.adapters.mcp.schemas import compile_schema

NEXT: JsonObject = {"$ref": "#/$defs/n"}


def _doubling(levels: int, key: str = "allOf") -> JsonObject:
    defs: JsonObject = {
        f"a{level}": {key: [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$defs": {**defs, f"a{levels}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def _of(n: Json) -> JsonObject:
    return {"$defs": {"n": n}, **NEXT}


def _chain(length: int) -> JsonObject:
    defs: JsonObject = {f"a{at}": {"$ref": f"#/$defs/a{at + 1}"} for at in range(length)}
    return {"$defs": {**defs, f"a{length}": {}}, "$ref": "#/$defs/a0"}


ANY_JSON: JsonObject = _of(
    {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": NEXT},
            {"type": "object", "additionalProperties": NEXT},
        ]
    }
)
TREE: JsonObject = _of({"type": "object", "properties": {"left": NEXT, "right": NEXT}})
FILTER: JsonObject = _of(
    {
        "oneOf": [
            {"properties": {"and": {"type": "array", "items": NEXT}}, "required": ["and"]},
            {"properties": {"not": NEXT}, "required": ["not"]},
        ]
    }
)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="plain"),
        pytest.param(_doubling(4), id="shared-definition"),
        pytest.param(ANY_JSON, id="any-json"),
        pytest.param(TREE, id="tree"),
        pytest.param(FILTER, id="filter"),
        pytest.param({"properties": {"next": {"$ref": "#"}}}, id="root"),
        pytest.param({"$defs": {"n": {"$anchor": "n"}}, "$ref": "#n"}, id="anchor"),
        pytest.param({"$defs": {"a/b": {}}, "$ref": "#/$defs/a~1b"}, id="escaped"),
        pytest.param({"$defs": {"n": True}, **NEXT}, id="true"),
        pytest.param(
            _of({"properties": {"a": NEXT}, "additionalProperties": NEXT}), id="each-member-once"
        ),
        pytest.param(
            {"properties": {f"p{at}": _doubling(6)["$defs"]["a6"] for at in range(500)}},  # type: ignore[index,call-overload]
            id="many-properties",
        ),
    ],
)
def test_a_schema_that_people_write_is_accepted(schema: JsonObject) -> None:
    assert 0 < cost_of(schema) <= COST_MAX
    assert compile_schema(schema).fault is None


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        pytest.param(_doubling(30), "too_large", id="doubles"),
        pytest.param(_doubling(30, "anyOf"), "too_large", id="doubles-any"),
        pytest.param(_doubling(30, "oneOf"), "too_large", id="doubles-one"),
        pytest.param(_chain(150), "too_large", id="long-chain"),
        pytest.param(_of(NEXT), "recursion", id="to-itself"),
        pytest.param(_of({"anyOf": [{"type": "null"}, NEXT]}), "recursion", id="takes-no-step"),
        pytest.param({"not": {"$ref": "#"}}, "recursion", id="not-root"),
        pytest.param(
            _of({"allOf": [{"properties": {"a": NEXT}}] * 2}), "recursion", id="one-member-twice"
        ),
        pytest.param(_of({"items": {"allOf": [NEXT, NEXT]}}), "recursion", id="items-twice"),
        pytest.param(_of({"items": {"items": {"anyOf": [NEXT, NEXT]}}}), "recursion", id="deeper"),
        pytest.param(_of({"items": NEXT, "contains": NEXT}), "recursion", id="items-and-contains"),
        pytest.param(
            _of({"properties": {"a": NEXT}, "patternProperties": {"a": NEXT}}),
            "recursion",
            id="name-and-pattern",
        ),
        pytest.param(
            _of({"anyOf": [{"properties": {"a": NEXT}}, {"additionalProperties": NEXT}]}),
            "recursion",
            id="name-and-rest",
        ),
        pytest.param({"$ref": "#/nowhere"}, "reference", id="dangling"),
        pytest.param({"$ref": "#nowhere"}, "reference", id="no-anchor"),
        pytest.param({"allOf": [{"$id": "x/", "allOf": []}]}, "inner_base", id="inner-base"),
    ],
)
def test_a_schema_that_expands_without_bound_is_refused(schema: JsonObject, fault: str) -> None:
    with pytest.raises(ExpansionError, match=fault):
        cost_of(schema)
    assert compile_schema(schema).fault == fault


BACKTRACKS: JsonObject = {"not": {"pattern": "^(?=(a+)+$)(a|aa)+$"}}
WORST = [
    pytest.param({"items": _doubling(9)}, [1] * 100_000, id="items"),
    pytest.param({"items": {"not": {"enum": [*range(9000)]}}}, [-1] * 100_000, id="enum"),
    pytest.param({"items": {"allOf": [BACKTRACKS] * 2}}, ["a" * 60 + "b"] * 20_000, id="pattern"),
    pytest.param(ANY_JSON, [[1]] * 50_000, id="recursive"),
]


@pytest.mark.parametrize(("schema", "value"), WORST)
def test_what_would_take_long_to_judge_fits_nothing(schema: JsonObject, value: Json) -> None:
    if "$defs" in (items := schema.get("items", {})):  # type: ignore[operator]
        schema = {"$defs": items["$defs"], "items": {"$ref": "#/$defs/a0"}}  # type: ignore[index,call-overload]
    compiled = compile_schema(schema)
    assert compiled.validator is not None
    began = time.perf_counter()
    compiled.accepts(value)
    assert time.perf_counter() - began < 0.5


def test_a_large_argument_of_an_ordinary_tool_is_judged() -> None:
    properties: JsonObject = {f"p{at}": {"type": "string"} for at in range(100)}
    compiled = compile_schema({"type": "object", "properties": properties})
    assert compiled.accepts({"p1": "x" * (1 << 20)})
    assert not compiled.accepts({"p1": 1})
