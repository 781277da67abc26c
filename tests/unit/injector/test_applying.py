"""Our own application of patches agrees with the library that stands for the API server."""

import jsonpatch
import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.injector.applying import applied
from outrider.injector.verdict import judge
from tests.support.admission_shapes import SHAPES


@pytest.mark.parametrize("name", list(SHAPES))
def test_it_agrees_with_another_implementation(name: str) -> None:
    shape = SHAPES[name]
    ops = judge(shape.entry, shape.namespace, shape.pod, shape.plan).ops
    assert applied(shape.pod, ops) == jsonpatch.apply_patch(shape.pod, list(ops))


def test_every_operation_we_write() -> None:
    document: JsonObject = {"a": [1, 2, 3], "m": {"x/y~z": 1, "gone": 2}, "n": None}
    ops: tuple[JsonObject, ...] = (
        {"op": "remove", "path": "/a/2"},
        {"op": "add", "path": "/a/0", "value": {"new": []}},
        {"op": "add", "path": "/a/-", "value": 9},
        {"op": "add", "path": "/a/0/new/-", "value": "deep"},
        {"op": "replace", "path": "/m/x~1y~0z", "value": 5},
        {"op": "remove", "path": "/m/gone"},
        {"op": "add", "path": "/n", "value": {}},
    )
    assert applied(document, ops) == {
        "a": [{"new": ["deep"]}, 1, 2, 9],
        "m": {"x/y~z": 5},
        "n": {},
    }
    assert document == {"a": [1, 2, 3], "m": {"x/y~z": 1, "gone": 2}, "n": None}


@pytest.mark.parametrize(
    "op",
    [
        pytest.param({"op": "remove", "path": "/a/1"}, id="no-such-place"),
        pytest.param({"op": "add", "path": "/a/2", "value": 1}, id="beyond-the-end"),
        pytest.param({"op": "add", "path": "/x/y", "value": 1}, id="no-such-member"),
        pytest.param({"op": "remove", "path": "/m/x"}, id="not-there"),
        pytest.param({"op": "replace", "path": "/m/x", "value": 1}, id="nothing-to-replace"),
        pytest.param({"op": "add", "path": "/a/-1", "value": 1}, id="negative"),
        pytest.param({"op": "move", "path": "/m/x"}, id="unknown"),
        pytest.param({"op": "add", "path": "/t/u", "value": 1}, id="into-text"),
    ],
)
def test_what_does_not_fit_raises(op: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        applied({"a": [1], "m": {}, "t": "text"}, (op,))
