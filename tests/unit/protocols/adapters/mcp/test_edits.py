"""Redactions and bounds on what comes back."""

import orjson
import pytest

from outrider.core.errors import ObligationError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits
from outrider.protocols.adapters.mcp.edits import apply, bound, encode_clean, suspicion


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
    ],
)
def test_records_are_counted_and_bounded(result: JsonObject, count: int) -> None:
    bound({"result": result}, count)
    if count:
        with pytest.raises(ObligationError):
            bound({"result": result}, count - 1)


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
