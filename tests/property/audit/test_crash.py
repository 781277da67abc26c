"""Wherever a crash cuts the file, the next start heals it and tells what was left open."""

import tempfile
from pathlib import Path

from hypothesis import given, strategies as st

from outrider.audit.chain import verify
from outrider.audit.sinks.file import FileSink
from tests.support.audit import a_chain, lines_of, pairs

LINES = a_chain(*pairs(3))
DATA = b"".join(LINES)


@given(cut=st.integers(0, len(DATA)))
def test_a_file_cut_anywhere_is_healed_to_its_last_whole_record(cut):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "00000001.jsonl").write_bytes(DATA[:cut])
        sink = FileSink(directory=directory, file_bytes=1 << 20, reserve_bytes=4096)
        found = sink.open()
        sink.close()
        kept = lines_of(directory)
    whole = DATA[:cut].count(b"\n")
    assert kept == LINES[:whole]
    assert found.torn_bytes == cut - sum(map(len, kept))
    report = verify(kept)
    assert (report.broken, found.unresolved) == (None, report.unresolved)
    assert found.head == report.head
