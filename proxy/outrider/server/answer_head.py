"""An upstream's answer head: parsed by llhttp, then held to narrower rules (HARDENING §5).

Laws: one reading of the length or none; nothing of this connection, and nothing that speaks in
our name, goes on to the caller.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import httptools

from outrider.core.errors import UpstreamFailedError
from outrider.core.exchange import ResponseHead

HEAD_BYTES: Final = 32_768
_FIELDS: Final = 100
_HOP: Final = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "alt-svc",
        "server",
    )
)
_FRAMES: Final = frozenset(("content-length", "transfer-encoding", "connection"))
_ONE_VALUE: Final = frozenset(("content-type", "content-encoding", "location"))
_NAMES: Final = {
    spelling.encode(): name
    for name in (
        "date",
        "server",
        "content-type",
        "content-length",
        "connection",
        "transfer-encoding",
        "keep-alive",
        "etag",
        "last-modified",
        "accept-ranges",
        "cache-control",
        "vary",
        "mcp-session-id",
    )
    for spelling in (name, name.title())
}


_NOBODY: Final[frozenset[str]] = frozenset()
_TOKEN: Final = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_PLAIN: Final = re.compile(
    rb"HTTP/1\.[01] [1-5][0-9]{2} [\t\x20-\x7e]*+\r\n"
    rb"(?:" + _TOKEN + rb":[\t\x20-\x7e]*+\r\n)*+\r\n"
).fullmatch
_FIELD: Final = re.compile(rb"\n(" + _TOKEN + rb"):[ \t]*+([\t\x20-\x7e]*+)\r").findall


class Framing(IntEnum):
    """How the end of a body is known."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3


@dataclass(slots=True, kw_only=True)
class AnswerHead:
    """A final head as read, with what only the connection needs."""

    head: ResponseHead
    framing: Framing
    length: int
    keep_alive: bool
    idle_s: float | None
    gzip: bool
    parser: httptools.HttpResponseParser | None

    def decoded(self) -> ResponseHead:
        """The head of the body once its coding and length are taken off."""
        gone = ("content-encoding", "content-length")
        return ResponseHead(
            status=self.head.status,
            headers=tuple(field for field in self.head.headers if field[0] not in gone),
        )


class HeadReader:
    """Callbacks of llhttp for one head; `body` gets what follows where the body is chunked."""

    __slots__ = ("again", "chunks", "complete", "fields", "headers_done", "payload")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers_done = False
        self.complete = False
        self.again = False  # another message began behind this one
        self.chunks: list[bytes] = []
        self.payload = 0

    def on_message_begin(self) -> None:
        self.again = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headers_done:  # trailers come here too, and would merge
            self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.headers_done = True

    def on_body(self, data: bytes) -> None:
        self.payload += len(data)
        self.chunks.append(data)

    def on_message_complete(self) -> None:
        self.complete = True


def bad_answer(detail: str) -> UpstreamFailedError:
    return UpstreamFailedError(detail, cause="protocol")


def read_head(data: bytes, reader: HeadReader, *, method: str, set_cookie: bool) -> AnswerHead:
    """The head in `data`, which ends with its empty line. Raises `UpstreamFailedError`."""
    if _PLAIN(data) is not None:
        parser, status, fields = None, int(data[9:12]), _plain(data)
    else:
        parser, status = _parsed(data, reader)
        fields = _decoded(reader.fields)
    if not 100 <= status <= 599 or status == 101:
        raise bad_answer("the upstream's status is not allowed")
    if len(fields) > _FIELDS:
        raise bad_answer("the upstream sent too many header fields")
    old = data[7:8] == b"0"
    framing, length = _framing(fields, status, method, old=old)
    if framing is Framing.CHUNKED and parser is None:
        parser, _ = _parsed(data, reader)
    named = _nominated(fields)
    idle_s, kept = _kept(fields, named, set_cookie)
    return AnswerHead(
        head=ResponseHead(status=status, headers=kept),
        framing=framing,
        length=length,
        # llhttp's own word is lost once a message without a body is complete
        keep_alive=not old and "close" not in named and framing is not Framing.CLOSE,
        idle_s=idle_s,
        gzip=_is_gzip(kept),
        parser=parser if framing is Framing.CHUNKED else None,
    )


def _plain(data: bytes) -> list[tuple[str, str]]:
    """The fields of a head that `_PLAIN` matched. llhttp reads the same (a property holds it), at
    three times the cost."""
    return [
        (_NAMES.get(name) or name.decode("ascii").lower(), value.decode("ascii").rstrip(" \t"))
        for name, value in _FIELD(data)
    ]


def _parsed(data: bytes, reader: HeadReader) -> tuple[httptools.HttpResponseParser, int]:
    """The head by llhttp, which holds it to the whole grammar."""
    if not data.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or data[12:13] not in (b" ", b"\r"):
        raise bad_answer("the upstream's status line is not HTTP/1.1")
    parser = httptools.HttpResponseParser(reader)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise bad_answer("the upstream's head is not valid HTTP/1.1") from error
    if not reader.headers_done:
        raise bad_answer("the upstream's head is not whole")
    return parser, parser.get_status_code()


def _decoded(fields: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    out = []
    for raw, value in fields:
        name = _NAMES.get(raw) or raw.decode("ascii", "replace").lower()
        if value.isascii():  # a field with other bytes is dropped
            out.append((name, value.decode("ascii").rstrip(" \t")))
        elif name in _FRAMES:
            raise bad_answer("the upstream's framing is not ASCII")
    return out


def _framing(
    fields: list[tuple[str, str]], status: int, method: str, *, old: bool
) -> tuple[Framing, int]:
    coding = length = None
    for name, value in fields:
        if name == "transfer-encoding":
            if coding is not None or value.lower() != "chunked" or old:
                raise bad_answer("the upstream's Transfer-Encoding is not allowed")
            coding = value
        elif name == "content-length":
            if length is not None or not value.isdigit() or len(value) > 18:
                raise bad_answer("the upstream's Content-Length is not one number")
            length = int(value)
    if coding is not None and length is not None:
        raise bad_answer("the upstream's length can be read in two ways")
    if method == "HEAD" or status in (204, 304) or status < 200:
        return Framing.NONE, 0
    if coding is not None:
        return Framing.CHUNKED, 0
    if length is None:
        return Framing.CLOSE, 0
    return (Framing.LENGTH, length) if length else (Framing.NONE, 0)


def _nominated(fields: list[tuple[str, str]]) -> frozenset[str]:
    values = [value for name, value in fields if name == "connection"]
    if not values:
        return _NOBODY
    return frozenset(part.strip(" \t").lower() for part in ",".join(values).split(","))


def _kept(
    fields: list[tuple[str, str]], named: frozenset[str], set_cookie: bool
) -> tuple[float | None, tuple[tuple[str, str], ...]]:
    """How long the upstream keeps an idle connection, and the fields that go on."""
    gone = _HOP
    if named and not named <= _HOP:
        gone = _HOP | {name for name in named if not name.startswith("mcp-")}
    idle_s = None
    kept: list[tuple[str, str]] = []
    once: dict[str, str] = {}
    for name, value in fields:
        if name in gone or name.startswith("outrider-"):
            idle_s = _timeout(value) if name == "keep-alive" else idle_s
            continue
        if name == "set-cookie" and not set_cookie:
            continue
        if name in _ONE_VALUE:
            if once.setdefault(name, value) != value:
                raise bad_answer("the upstream sent two different values of one field")
            if (name, value) in kept:
                continue
        kept.append((name, value))
    return idle_s, tuple(kept)


def _timeout(value: str) -> float | None:
    for part in value.split(","):
        name, _, count = part.strip().partition("=")
        if name.lower() == "timeout" and count.isascii() and count.isdigit():
            return max(0.0, float(count[:6]) - 1.0)
    return None


def _is_gzip(headers: tuple[tuple[str, str], ...]) -> bool:
    """True for one gzip coding, False for none. Whether others pass is the caller's to say."""
    return any(name == "content-encoding" and value.lower() == "gzip" for name, value in headers)
