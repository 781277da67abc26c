"""An answer as bytes: our own status line and framing round the headers of a `Reply`.

Laws: framing is never copied from anybody; a head is as many lines as were meant or it is not sent.
"""

from http import HTTPStatus
from typing import Final

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Headers, Reply

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}"
    for status in HTTPStatus
    if status.value >= 200
}
_OURS: Final = frozenset(
    ("content-length", "transfer-encoding", "connection", "keep-alive", "trailer", "upgrade")
)
_BODILESS: Final = frozenset((204, 304))


def whole_reply(reply: Reply, body: bytes, method: str, *, close: bool) -> tuple[bytes, bytes]:
    """Head and body of an answer whose `body` is whole; no body where HTTP has none.

    Raises `EnforcementError` where a value would end its line.
    """
    length = len(body)
    if method == "HEAD" or reply.status in _BODILESS:
        named = informative_length(reply.headers)
        length = -1 if reply.status == 204 else named if named >= 0 or not body else length
        body = b""
    return reply_head(reply.status, reply.headers, length, close=close), body


def stream_head(reply: Reply, method: str, *, close: bool) -> tuple[bytes, bool]:
    """The head of an answer whose body comes in chunks, and True where none may follow.

    Raises `EnforcementError` where a value would end its line.
    """
    bodiless = method == "HEAD" or reply.status in _BODILESS
    length = informative_length(reply.headers) if bodiless else None
    if reply.status == 204:
        length = -1
    return reply_head(reply.status, reply.headers, length, close=close), bodiless


def reply_head(status: int, headers: Headers, length: int | None, *, close: bool) -> bytes:
    """Status line and fields; `length` None is chunked, -1 no framing at all.

    Raises `EnforcementError` where a value would end its line.
    """
    lines = [_STATUS_LINES.get(status) or _status_line(status)]
    lines += [f"{name}: {value}" for name, value in headers if name not in _OURS]
    if length is None:
        lines.append("transfer-encoding: chunked")
    elif length >= 0:
        lines.append(f"content-length: {length}")
    if close:
        lines.append("connection: close")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise EnforcementError("the answer cannot be written as one head", cause="head")
    return (text + "\r\n\r\n").encode("latin-1", "replace")


def informative_length(headers: Headers) -> int:
    """The length an answer to HEAD speaks of, or -1 where its headers name none."""
    for name, value in headers:
        if name == "content-length" and value.isascii() and value.isdigit() and len(value) < 19:
            return int(value)
    return -1


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK: Final = b"0\r\n\r\n"


def _status_line(status: int) -> str:
    if not 200 <= status <= 599:
        raise EnforcementError("the answer's status is not one", cause="status")
    return f"HTTP/1.1 {status} "
