"""The event stream reader: field by field, whatever the split."""

import pytest

from outrider.core.errors import UpstreamFailedError
from outrider.protocols.wire.sse import (
    Comment,
    Event,
    Piece,
    SseReader,
    encode_comment,
    encode_event,
    encode_retry,
)


def _read(*chunks: bytes, limit: int = 1 << 20) -> list[Piece]:
    reader = SseReader(event_bytes=limit)
    return [piece for chunk in chunks for piece in reader.feed(chunk)]


def _event(data: str | None, *, name: str = "message", id_: str | None = None) -> Event:
    return Event(name, data, id_, None)


READINGS = [
    pytest.param(b"data: a\n\n", [_event("a")], id="lf"),
    pytest.param(b"data: a\r\r", [_event("a")], id="cr"),
    pytest.param(b"data: a\r\n\r\n", [_event("a")], id="crlf"),
    pytest.param(b"data:a\ndata\ndata: c\n\n", [_event("a\n\nc")], id="many"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [_event("a")], id="bom-once"),
    pytest.param(b"event: x\nid: 7\ndata: a\n\n", [_event("a", name="x", id_="7")], id="all"),
    pytest.param(b"id: a\0b\ndata: a\n\n", [_event("a")], id="id-nul"),
    pytest.param(b"retry: 1x\ndata: a\n\n", [_event("a")], id="retry-not-digits"),
    pytest.param(b"id: 7\ndata: \n\n", [_event("", id_="7")], id="priming"),
    pytest.param(b"retry: 300\n\n", [Event("message", None, None, 300)], id="retry-alone"),
    pytest.param(b": hello\n", [Comment(" hello")], id="comment"),
    pytest.param(b"unknown: x\n\n\n", [], id="nothing"),
    pytest.param(b"event: x\n\n", [], id="name-without-data"),
    pytest.param(b"data: a\n", [], id="unterminated"),
    pytest.param(b"data: \xe2\x98\x83\n\n", [_event("\u2603")], id="utf-8"),
]


@pytest.mark.parametrize(("data", "pieces"), READINGS)
def test_events_are_read_whatever_the_split(data: bytes, pieces: list[Piece]) -> None:
    assert _read(data) == pieces
    assert _read(*(data[at : at + 1] for at in range(len(data)))) == pieces


def test_an_event_is_bounded_and_events_are_not() -> None:
    assert len(_read(b"data: a\n\n" * 100, limit=64)) == 100
    for chunks in ([b"x" * 65], [b"data: a\n"] * 20, [b"data: " + b"x" * 80 + b"\n\n"]):
        with pytest.raises(UpstreamFailedError):
            _read(*chunks, limit=64)


def test_bytes_that_are_no_text_end_the_stream() -> None:
    with pytest.raises(UpstreamFailedError):
        _read(b"data: \xff\n\n")


def test_what_is_written_is_read_back() -> None:
    written = encode_event(b'{"a":1}', id_="7", retry=5)
    assert _read(written) == [Event("message", '{"a":1}', "7", 5)]
    assert _read(encode_event(b"1", id_="")) == [Event("message", "1", "", None)]
    assert _read(encode_event(b"1", retry=0)) == [Event("message", "1", None, 0)]
    assert encode_event(b"1") == b"event: message\ndata: 1\n\n"
    assert _read(encode_comment(Comment(" hi"))) == [Comment(" hi")]
    assert _read(encode_retry(5)) == [Event("message", None, None, 5)]


@pytest.mark.parametrize(("length", "kept"), [(1024, True), (1025, False)], ids=["fits", "long"])
def test_an_id_that_is_too_long_to_be_kept_is_none(length: int, kept: bool) -> None:
    reader = SseReader(event_bytes=1 << 20)
    (event,) = reader.feed(b"id: " + b"x" * length + b"\ndata: 1\n\n")
    assert isinstance(event, Event)
    assert (event.id is not None) is kept


def test_what_is_pending_is_the_event_that_has_begun() -> None:
    reader = SseReader(event_bytes=64)
    assert reader.pending == 0
    assert reader.feed(b"data: 12") == []
    assert reader.feed(b"345\ndata:") == []
    assert reader.pending == 17
    assert len(reader.feed(b"6\n\n")) == 1
    assert reader.pending == 0
