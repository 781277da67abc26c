"""One gzip coding taken off, within a bound on what comes out and on how much it grows."""

import zlib
from typing import Final

from outrider.core.errors import MalformedError, TooLargeError

RATIO: Final = 20
_FLOOR_BYTES: Final = 65_536  # below it a high ratio harms nobody


class Gunzip:
    """An incremental decoder of exactly one gzip member.

    `limit_bytes` bounds the decoded body. Raises `TooLargeError` past it or past a growth of
    `RATIO`, `MalformedError` for what is not gzip, cut short, or followed by anything.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._read = 0
        self._written = 0

    def feed(self, data: bytes) -> bytes:
        self._read += len(data)
        allowed = min(self._limit_bytes, max(_FLOOR_BYTES, self._read * RATIO))
        try:
            out = self._decoder.decompress(data, allowed - self._written + 1)
        except zlib.error as error:
            raise MalformedError("the body is not valid gzip", cause="gzip") from error
        self._written += len(out)
        if self._written > allowed:
            raise TooLargeError(allowed, cause="gzip", status=413)
        if self._decoder.unused_data:
            raise MalformedError("the gzip body goes on behind its end", cause="gzip")
        return out

    def end(self) -> None:
        """Raises `MalformedError` where the stream was cut short."""
        if not self._decoder.eof:
            raise MalformedError("the gzip body was cut short", cause="gzip")
