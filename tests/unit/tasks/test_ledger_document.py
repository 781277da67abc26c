"""The envelope of a ledger's documents."""

import pytest

from outrider.core.ports import Held
from outrider.tasks.ledger_document import LOST, WRITERS, carry_out, opened, opened_of, sealed

A, B = b"writer-a", b"writer-b"


def test_a_document_comes_out_as_it_went_in_with_its_writers_latest_first():
    data, writers = sealed(b"{}", {A: 3}, B, 1)
    assert opened(data) == (b"{}", {B: 1, A: 3})
    assert list(opened(data)[1]) == list(writers) == [B, A]


def test_a_writer_stands_there_once_with_its_last_number():
    data, _ = sealed(b"{}", {B: 1, A: 3}, A, 4)
    assert list(opened(data)[1].items()) == [(A, 4), (B, 1)]


def test_the_writer_longest_ago_makes_room():
    writers = {bytes([n]) * 8: n for n in range(1, WRITERS + 1)}
    data, _ = sealed(b"{}", writers, A, 9)
    named = opened(data)[1]
    assert len(named) == WRITERS
    assert named[A] == 9
    assert bytes([WRITERS]) * 8 not in named


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01", id="half-a-head"),
        pytest.param(b"\x01\x00", id="no-document"),
        pytest.param(b"\x02\x00{}", id="another-format"),
        pytest.param(b"\x01\x11" + b"x" * 400, id="too-many-writers"),
        pytest.param(b"\x01\x02" + b"x" * 31, id="torn-writers"),
        pytest.param(b'{"counts": {}}', id="bare-json"),
    ],
)
def test_what_is_no_envelope_is_lost(data):
    assert opened(data) == (LOST, {})


def test_nothing_there_is_told_from_something_lost():
    assert opened_of(None) == (0, None, {})
    assert opened_of(Held(version=0, value=b"")) == (0, None, {})
    assert opened_of(Held(version=4, value=b"")) == (4, LOST, {})


def test_a_later_change_that_fails_fails_alone(caplog):
    def broken(document: dict[str, int]) -> None:
        raise ValueError(document.get("missing", "no"))

    carry_out(broken, {}, "books")
    assert [record.message for record in caplog.records] == ["a later change of a document failed"]
