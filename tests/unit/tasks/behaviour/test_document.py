"""The document in the store."""

import orjson
import pytest

from outrider.tasks.behaviour.document import ALL_FLAGS, SEVERAL, TaskCodec, TaskDocument


def as_told(document: TaskDocument) -> dict[str, object]:
    return {name: getattr(document, name) for name in TaskDocument.__slots__}


def test_what_is_written_is_read_again() -> None:
    document = TaskDocument("ab" * 32)
    document.events, document.indexed, document.flags = 17, "one", 3
    document.hosts["b.test"] = [12, 1]
    document.acts, document.stamps = ["x" * 8, "y" * 8, "x" * 8], [1000, 1000, 1030]
    document.tally = {"x" * 8: 2, "y" * 8: 1}
    read = TaskCodec().decode(TaskCodec().encode(document), 0)
    assert as_told(read) == as_told(document)


def test_a_new_one_has_a_key_of_its_own() -> None:
    first, second = (TaskCodec().decode(None, 0) for _ in range(2))
    assert (len(first.key), first.lost) == (64, False)
    assert first.key != second.key


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"{", id="torn"),
        pytest.param(b'{"flags": 0}', id="half"),
        pytest.param(
            orjson.dumps(as_told(TaskDocument("ab" * 32)) | {"flags": "none"}), id="wrong-type"
        ),
        pytest.param(
            orjson.dumps(as_told(TaskDocument("ab" * 32)) | {"flags": True}), id="a-truth-value"
        ),
        pytest.param(
            orjson.dumps(as_told(TaskDocument("ab" * 32)) | {"highest": 4}), id="no-sensitivity"
        ),
        pytest.param(
            orjson.dumps(as_told(TaskDocument("ab" * 32)) | {"acts": "x" * 16, "stamps": [1]}),
            id="a-call-without-its-second",
        ),
        pytest.param(
            orjson.dumps(as_told(TaskDocument("ab" * 32)) | {"indexed": 7}),
            id="number-for-name",
        ),
    ],
)
def test_what_cannot_be_read_is_taken_for_the_worst(data: bytes) -> None:
    document = TaskCodec().decode(data, 0)
    assert (document.lost, document.flags, document.highest) == (True, ALL_FLAGS, 3)
    assert document.indexed == SEVERAL


def test_a_new_period_keeps_only_what_names_things() -> None:
    document = TaskDocument("ab" * 32)
    document.events, document.flags, document.records = 17, ALL_FLAGS, 500
    document.turn(9)
    assert as_told(document) == as_told(TaskDocument("ab" * 32)) | {"events": 17, "period": 9}
