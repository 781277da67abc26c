"""Laws of the event stream reader, with httpx-sse as the second opinion."""

import importlib
import importlib.util
import sys
from itertools import pairwise
from types import ModuleType
from typing import Any

from hypothesis import given, strategies as st

from outrider.protocols.wire.sse import Event, Piece, SseReader

_ENDS = st.sampled_from(["\n", "\r", "\r\n"])
_TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)
_LINES = st.one_of(
    st.just(""),
    st.just(""),
    st.builds("data: {}".format, _TEXT),
    st.builds("data:{}".format, _TEXT),
    st.builds("id: {}".format, _TEXT),
    st.builds("event: {}".format, st.sampled_from(["message", "other"])),
    st.builds("retry: {}".format, st.integers(0, 99999)),
    st.builds("{}: {}".format, st.sampled_from(["", "x", "Data"]), _TEXT),
)
_STREAMS = st.lists(st.tuples(_LINES, _ENDS), max_size=25)


def _decoder() -> Any:
    """httpx-sse's decoder, without the HTTP client that its package imports and we lack."""
    if "httpx_sse" not in sys.modules:
        found = importlib.util.find_spec("httpx_sse")
        assert found is not None
        package = ModuleType("httpx_sse")
        package.__path__ = list(found.submodule_search_locations or ())
        sys.modules["httpx_sse"] = package
    return importlib.import_module("httpx_sse._decoders").SSEDecoder()


def _pieces(chunks: list[bytes]) -> list[Piece]:
    reader = SseReader(event_bytes=1 << 20)
    return [piece for chunk in chunks for piece in reader.feed(chunk)]


def _bytes(lines: list[tuple[str, str]]) -> bytes:
    return "".join(line + end for line, end in lines).encode()


@given(lines=_STREAMS, cuts=st.lists(st.integers(0, 600), max_size=12))
def test_no_split_changes_the_events(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    data = _bytes(lines)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert _pieces(chunks) == _pieces([data])


@given(lines=_STREAMS)
def test_events_are_those_that_httpx_sse_reads(lines: list[tuple[str, str]]) -> None:
    text = _bytes(lines).decode().removeprefix("\ufeff")
    decoder = _decoder()
    whole = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    theirs = [event for line in whole if (event := decoder.decode(line)) is not None]
    ours = [piece for piece in _pieces([_bytes(lines)]) if isinstance(piece, Event)]
    # It yields events without data too, and carries the last id over to later ones.
    assert [(one.name, one.data) for one in ours if one.data] == [
        (one.event or "message", one.data) for one in theirs if one.data
    ]
