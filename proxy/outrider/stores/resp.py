"""RESP2, the wire of Redis and Valkey, without I/O: commands as bytes, bytes as replies.

Every bound is checked before anything is kept for it, and what is not plainly a reply is a fault:
behind it no later reply could be told from its neighbour.
"""

from typing import Final, TypeAlias

LINE_BYTES: Final = 4_096
BULK_BYTES: Final = 1 << 20
ITEMS: Final = 16_384
DEPTH: Final = 4
_END: Final = b"\r\n"


class RespError(Exception):
    """The server does not speak RESP2, or says more than we would keep."""


class ServerError(Exception):
    """An error the server answered with; `code` is its first word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


Reply: TypeAlias = "int | bytes | ServerError | list[Reply] | None"


def command(*parts: bytes) -> bytes:
    """One command, as the server reads it."""
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        pieces += (b"$%d\r\n" % len(part), part, _END)
    return b"".join(pieces)


class Replies:
    """Takes bytes as they come and gives the replies that are whole. Use no more once it raised."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open: list[tuple[list[Reply], int]] = []
        self._whole: list[Reply] = []

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes, in order. Raises `RespError`."""
        self._buffer += data
        at = 0
        while (end := self._buffer.find(_END, at, at + LINE_BYTES)) >= 0:
            line = bytes(self._buffer[at:end])
            after = end + 2
            if line[:1] == b"$" and line != b"$-1":
                stop = after + _number(line[1:], BULK_BYTES)
                if len(self._buffer) < stop + 2:
                    break
                if self._buffer[stop : stop + 2] != _END:
                    raise RespError("a bulk string without its end")
                self._take(bytes(self._buffer[after:stop]))
                after = stop + 2
            elif line[:1] == b"*" and line != b"*-1":
                self._begin(_number(line[1:], ITEMS))
            else:
                self._take(_simple(line))
            at = after
        else:
            if len(self._buffer) - at >= LINE_BYTES:
                raise RespError("a line without an end")
        del self._buffer[:at]
        whole, self._whole = self._whole, []
        return whole

    def _begin(self, count: int) -> None:
        if len(self._open) >= DEPTH:
            raise RespError("arrays nested too deep")
        if count:
            self._open.append(([], count))
        else:
            self._take([])

    def _take(self, reply: Reply) -> None:
        while self._open:
            items, count = self._open[-1]
            items.append(reply)
            if len(items) < count:
                return
            self._open.pop()
            reply = items
        self._whole.append(reply)


def _simple(line: bytes) -> Reply:
    match line[:1]:
        case b"+":
            return line[1:]
        case b"-":
            return ServerError(line[1:].decode("ascii", "replace"))
        case b":":
            negative = line[1:2] == b"-"
            number = _number(line[2:] if negative else line[1:], 1 << 63)
            return -number if negative else number
        case b"$" | b"*":
            return None  # the two spellings of nothing
        case _:
            raise RespError("no reply begins so")


def _number(digits: bytes, limit: int) -> int:
    if not digits.isdigit() or len(digits) > len(str(limit)) or int(digits) > limit:
        raise RespError("a number that cannot be")
    return int(digits)
