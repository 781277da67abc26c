"""Queries kept beside the chain: sealed, bounded, bound to their decision."""

import os

import pytest

from outrider.audit.inputs import InputStore, read_input, read_inputs
from outrider.core.secret import Secret

KEY = Secret(b"k" * 32)


def _store(directory, limit_bytes=1 << 20):
    return InputStore(directory=directory, key=KEY, limit_bytes=limit_bytes)


def test_a_query_comes_back_under_its_decision(tmp_path):
    store = _store(tmp_path)
    store.append("dec-1", b'{"a":1}')
    store.append("dec-2", b'{"a":2}')
    store.close()
    assert read_input(tmp_path, KEY, "dec-2") == b'{"a":2}'
    assert read_input(tmp_path, KEY, "dec-3") is None


def test_nothing_of_a_query_stands_in_clear(tmp_path):
    store = _store(tmp_path)
    store.append("dec-1", b"canary-4711")
    store.close()
    assert all(b"canary" not in path.read_bytes() for path in tmp_path.iterdir())


def test_another_key_or_an_altered_entry_reads_nothing(tmp_path):
    store = _store(tmp_path)
    store.append("dec-1", b"query")
    store.close()
    assert read_input(tmp_path, Secret(b"x" * 32), "dec-1") is None
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert read_input(tmp_path, KEY, "dec-1") is None


def test_an_entry_cannot_be_moved_to_another_decision(tmp_path):
    store = _store(tmp_path)
    store.append("dec-1", b"query")
    store.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"dec-1", b"dec-2"))
    assert read_input(tmp_path, KEY, "dec-2") is None


def test_the_oldest_segment_is_dropped_at_the_bound(tmp_path):
    store = _store(tmp_path, limit_bytes=8 * 1024)
    for number in range(100):
        store.append(f"dec-{number}", b"q" * 500)
    store.close()
    assert len(list(tmp_path.iterdir())) == 8
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8 * 1024
    assert read_input(tmp_path, KEY, "dec-0") is None
    assert read_input(tmp_path, KEY, "dec-99") == b"q" * 500


def test_a_new_start_begins_a_new_segment(tmp_path):
    for number in (1, 2):
        store = _store(tmp_path)
        store.append(f"dec-{number}", b"q")
        store.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert read_input(tmp_path, KEY, "dec-1") == b"q"


def test_a_query_that_was_taken_in_part_ends_its_segment(tmp_path, monkeypatch):
    store = _store(tmp_path)
    store.append("dec-1", b"query-1")
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:10]))
    with pytest.raises(OSError, match="part"):
        store.append("dec-2", b"query-2")
    monkeypatch.undo()
    store.append("dec-3", b"query-3")
    store.close()
    assert [read_input(tmp_path, KEY, f"dec-{n}") for n in (1, 2, 3)] == [
        b"query-1",
        None,
        b"query-3",
    ]


def test_every_kept_query_is_read_in_order_and_what_was_altered_is_not(tmp_path):
    store = _store(tmp_path)
    for number in range(3):
        store.append(f"d-{number}", b"query %d" % number)
    store.close()
    assert list(read_inputs(tmp_path, KEY)) == [b"query 0", b"query 1", b"query 2"]
    (segment,) = tmp_path.glob("*.inputs")
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    assert list(read_inputs(tmp_path, KEY)) == [b"query 0", b"query 1"]
    assert list(read_inputs(tmp_path, Secret(b"x" * 32))) == []
