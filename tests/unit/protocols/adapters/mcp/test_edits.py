"""Redactions and bounds on what comes back."""

import orjson
import pytest

from outrider.core.errors import ObligationError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits
from outrider.protocols.adapters.mcp.edits import (
    apply,
    bounding,
    encode_clean,
    suspicion,
)


def _bound(message: JsonObject, records: int) -> None:
    for _ in bounding(message, records):
        pass


@pytest.mark.parametrize(
    ("pointer", "hits"),
    [
        ("/result/a/b", 1),
        ("/result/l/1", 1),
        ("/result/x~1y", 1),
        ("/result/absent", 0),
        ("/result/l/9", 0),
        ("/result/a/b/c", 0),
        ("/error", 0),
    ],
)
def test_a_redaction_hits_one_place_or_none(pointer: str, hits: int) -> None:
    message: JsonObject = {"result": {"a": {"b": 1}, "l": [1, 2], "x/y": 3}}
    assert apply(message, Edits(redactions=(RedactObligation(pointer=pointer),))) == hits
    assert (b"[redacted]" in orjson.dumps(message)) is (hits == 1)


@pytest.mark.parametrize(
    ("result", "count"),
    [
        ({"structuredContent": [1, 2, 3]}, 3),
        ({"structuredContent": {"rows": [1, 2], "n": 7}}, 2),
        ({"structuredContent": {"n": 7}}, 1),
        ({"content": [1, 2]}, 2),
        ({"contents": [1]}, 1),
        ({}, 0),
        ({"structuredContent": {"page": {"rows": [1, 2, 3]}, "n": [1]}}, 3),
        ({"content": [{"type": "text", "text": ' [{"a":[1,2]},2,3]'}]}, 3),
        ({"content": [{"type": "text", "text": '{"rows":"[1,2,3,4]"}'}]}, 4),
        ({"content": [{"type": "text", "text": "[1,2,3"}]}, 1),
        ({"result": {"content": [1, 2]}}, 2),
    ],
)
def test_records_are_counted_and_bounded(result: JsonObject, count: int) -> None:
    _bound({"result": result}, count)
    if count:
        with pytest.raises(ObligationError):
            _bound({"result": result}, count - 1)


def test_an_errors_records_are_counted_too() -> None:
    message: JsonObject = {"error": {"code": -1, "message": "m", "data": {"rows": [1, 2]}}}
    _bound(message, 2)
    with pytest.raises(ObligationError):
        _bound(message, 1)


SECRET = "DE02-1203"
TEXT: JsonObject = {"type": "text", "text": f"iban {SECRET}"}
HOLDS: JsonObject = {"iban": SECRET, "n": 1}
SHAPES: list[tuple[JsonObject, bool]] = [
    ({"content": [TEXT], "structuredContent": dict(HOLDS)}, True),
    ({"content": [TEXT]}, False),
    ({"content": [TEXT], "isError": True}, False),
    ({"content": [TEXT], "isError": True, "structuredContent": dict(HOLDS)}, True),
    ({"content": [TEXT], "structuredContent": None}, True),
    ({"content": [], "structuredContent": [dict(HOLDS)]}, False),
    ({"content": [], "structuredContent": f'{{"iban":"{SECRET}"}}'}, False),
    ({"taskId": "t", "result": {"content": [TEXT], "structuredContent": dict(HOLDS)}}, False),
]


@pytest.mark.parametrize(("result", "follows"), SHAPES)
def test_what_a_pointer_misses_in_another_shape_is_withheld(
    result: JsonObject, follows: bool
) -> None:
    message: JsonObject = {"result": orjson.loads(orjson.dumps(result))}
    apply(message, Edits(redactions=(RedactObligation(pointer="/result/structuredContent/iban"),)))
    said = orjson.dumps(message)
    assert SECRET.encode() not in said
    assert (b"withheld" not in said) is follows


def test_a_shape_that_fits_and_holds_nothing_to_redact_stays() -> None:
    message: JsonObject = {"result": {"content": [TEXT], "structuredContent": {"n": 1}}}
    apply(message, Edits(redactions=(RedactObligation(pointer="/result/structuredContent/iban"),)))
    result = message["result"]
    assert isinstance(result, dict)
    assert result["structuredContent"] == {"n": 1}
    assert result["content"] == [{"type": "text", "text": '{"n":1}'}]


@pytest.mark.parametrize(
    ("pointers", "data"),
    [
        (["/error/data/iban"], {"iban": "[redacted]", "n": 1}),
        (["/error/data/iban", "/result/structuredContent/iban"], None),
        (["/result/content"], None),
        (["/error/message"], dict(HOLDS)),
        (["/error"], None),
        (["/error/code", "/error/data"], "[redacted]"),
    ],
    ids=["data", "both", "result", "message", "whole", "code"],
)
def test_an_error_is_redacted_and_its_words_are_withheld(pointers: list[str], data: Json) -> None:
    error: JsonObject = {"code": -32000, "message": f"no {SECRET}", "data": dict(HOLDS)}
    message: JsonObject = {"id": 1, "error": error}
    redactions = tuple(RedactObligation(pointer=pointer) for pointer in pointers)
    assert apply(message, Edits(redactions=redactions))
    left = message["error"]
    assert isinstance(left, dict)
    assert left.get("data") == data
    assert isinstance(left["code"], int)
    assert "policy withholds" in str(left["message"])
    untouched: JsonObject = {"id": 1, "error": dict(error)}
    assert apply(untouched, Edits(records=1)) == 0
    assert untouched["error"] == error


def test_only_our_keys_leave_meta_wherever_it_stands() -> None:
    meta: JsonObject = {"dev.outrider/x": 1, "other": 2}
    message: JsonObject = {"result": {"_meta": meta, "content": [{"_meta": {"dev.outrider/y": 1}}]}}
    assert orjson.loads(encode_clean(message)) == {
        "result": {"_meta": {"other": 2}, "content": [{"_meta": {}}]}
    }


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"description": "x" * 8192}, None),
        ({"description": "x" * 8193}, "long_description"),
        ({"instructions": "é" * 5000}, "long_description"),
        ({"a": ["\u200b"]}, "invisible_characters"),
        ({"\u200b": 1}, "invisible_characters"),
    ],
    ids=["just-enough", "long", "long-in-bytes", "in-array", "in-key"],
)
def test_suspicion_has_a_closed_name(definition: JsonObject, why: Json) -> None:
    assert suspicion(definition) == why
