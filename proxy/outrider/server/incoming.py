"""The body that is arriving on a connection, watched for what aiohttp's reader does not tell."""

from typing import Final

from aiohttp.streams import StreamReader

from outrider.core.errors import EnforcementError, MalformedError

_OVERHEAD_BYTES: Final = 65_536
_LAST: Final = b"\r\n0\r\n\r\n"


class IncomingBody:
    """The last request's body, raw bytes and all. Law: once `tainted`, a connection serves no
    other request, since aiohttp hands what followed a chunked body to the next one."""

    __slots__ = ("_chunked", "_payload", "_raw_bytes", "_tail", "tainted")

    def __init__(self) -> None:
        self._payload: StreamReader | None = None
        self._chunked = False
        self._raw_bytes = 0
        self._tail = b""
        self.tainted = False

    @property
    def is_open(self) -> bool:
        """True while bytes of it are still to come."""
        return self._payload is not None and not self._payload.is_eof()

    def begin(self, payload: StreamReader, *, chunked: bool) -> None:
        self._payload = payload
        self._chunked = chunked
        self._raw_bytes = 0
        self._tail = b""

    def fail(self, error: EnforcementError) -> None:
        """Whoever reads the body is told, if it is not whole."""
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(error)

    def forget(self) -> None:
        """What comes is nobody's body."""
        self._payload = None

    def saw(self, data: bytes) -> None:
        """`data` was read: taint the connection where a chunked body ended in it with trailers or
        bytes behind it (aiohttp keeps the last trailer as a header of the next request)."""
        if not self._chunked or self._payload is None:
            return
        self._tail = (self._tail + data)[-len(_LAST) :]
        if self._payload.is_eof() and self._tail != _LAST:
            self.tainted = True

    def is_mostly_framing(self, count: int) -> bool:
        """True where `count` bytes more make it mostly chunk framing: its reader is told then."""
        payload = self._payload
        if not self._chunked or payload is None:
            return False
        self._raw_bytes += count
        if self._raw_bytes <= 2 * payload.total_bytes + _OVERHEAD_BYTES or payload.is_eof():
            return False
        payload.set_exception(MalformedError("the body is mostly chunk framing", cause="framing"))
        return True
