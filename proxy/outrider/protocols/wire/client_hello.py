"""The name that a TLS client asks for, read from its first message (RFC 8446 §4.1.2, RFC 6066 §3).

Laws: what could be read in two ways, or names its server where nobody can see it (ECH), is refused;
nothing is decrypted and nothing changed; what is kept is bounded whatever comes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from outrider.core.hosts import plain_host

HELLO_BYTES: Final = 16_384
"""Largest ClientHello. With post-quantum key shares it is some 2 KiB."""
RAW_BYTES: Final = 2 * HELLO_BYTES
"""Most that is kept of its records, headers and all: fragments of a few bytes each reach it."""
HANDSHAKE: Final = 0x16
_CLIENT_HELLO: Final = 1
_RECORD_HEAD: Final = 5
_RECORD_BYTES: Final = 16_384
_MESSAGE_HEAD: Final = 4
_VERSIONS: Final = frozenset((0x0301, 0x0302, 0x0303))
_SERVER_NAME: Final = 0
_PRE_SHARED_KEY: Final = 41
_ENCRYPTED: Final = frozenset((0xFE0D, 0xFFCE))
"""encrypted_client_hello, and its first draft. A client that only pretends (GREASE) sends the same
extension, so that nobody can tell: it is refused too."""
_HOST_NAME: Final = 0
_RANDOM_BYTES: Final = 32
_SESSION_BYTES: Final = 32


class HelloFault(StrEnum):
    """Why a first message gives no name. Add, never repurpose."""

    NOT_TLS = "not_tls"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    NO_NAME = "no_name"
    NAME = "name"
    ENCRYPTED = "encrypted"


class HelloError(Exception):
    """What came is no ClientHello that names its server plainly."""

    def __init__(self, fault: HelloFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """`server_name` is a DNS name in its one spelling; `raw` are the records as they came, and what
    came behind them."""

    server_name: str
    raw: bytes


class HelloReader:
    """Takes bytes as they come, until they are a whole ClientHello."""

    __slots__ = ("_message", "_raw", "_read")

    def __init__(self) -> None:
        self._raw = bytearray()
        self._read = 0  # of the raw bytes: whole records that were taken
        self._message = bytearray()

    @property
    def raw(self) -> bytes:
        """Everything that came."""
        return bytes(self._raw)

    def feed(self, data: bytes) -> ClientHello | None:
        """The ClientHello once it is whole, None until then. Raises `HelloError`."""
        self._raw += data
        while len(self._raw) > self._read:
            record = self._record()
            if record is None:
                break
            self._message += record
            if self._is_whole():
                return ClientHello(server_name=_name_in(bytes(self._message)), raw=self.raw)
        if len(self._raw) > RAW_BYTES:
            raise HelloError(HelloFault.TOO_LONG)
        return None

    def _record(self) -> bytes | None:
        """The payload of the next record, or None where it has not come yet."""
        raw, start = self._raw, self._read
        if raw[start] != HANDSHAKE:
            raise HelloError(HelloFault.MALFORMED if start else HelloFault.NOT_TLS)
        if len(raw) - start < _RECORD_HEAD:
            return None
        length = int.from_bytes(raw[start + 3 : start + 5])
        if int.from_bytes(raw[start + 1 : start + 3]) not in _VERSIONS:
            raise HelloError(HelloFault.NOT_TLS)
        if not 0 < length <= _RECORD_BYTES:
            raise HelloError(HelloFault.MALFORMED)
        end = start + _RECORD_HEAD + length
        if end > RAW_BYTES:
            raise HelloError(HelloFault.TOO_LONG)
        if len(raw) < end:
            return None
        self._read = end
        return bytes(raw[start + _RECORD_HEAD : end])

    def _is_whole(self) -> bool:
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise HelloError(HelloFault.MALFORMED)
        if len(message) < _MESSAGE_HEAD:
            return False
        whole = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD])
        if whole > HELLO_BYTES:
            raise HelloError(HelloFault.TOO_LONG)
        if len(message) > whole:  # another message in the same record: nobody sends one here
            raise HelloError(HelloFault.MALFORMED)
        return len(message) == whole


class _Reader:
    """Vectors of a message, each with its length before it. Raises `HelloError`."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise HelloError(HelloFault.MALFORMED)
        start, self._place = self._place, self._place + count
        return self._data[start : self._place]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))

    def vector(self, count: int, low: int, high: int) -> bytes:
        """A vector whose length stands in `count` bytes and is `low` to `high`."""
        length = self.number(count)
        if not low <= length <= high:
            raise HelloError(HelloFault.MALFORMED)
        return self.take(length)


def _name_in(message: bytes) -> str:
    reader = _Reader(message[_MESSAGE_HEAD:])
    if reader.number(2) not in _VERSIONS:
        raise HelloError(HelloFault.MALFORMED)
    reader.take(_RANDOM_BYTES)
    reader.vector(1, 0, _SESSION_BYTES)
    suites = reader.vector(2, 2, 0xFFFE)
    compressions = reader.vector(1, 1, 0xFF)
    if len(suites) % 2 or 0 not in compressions:
        raise HelloError(HelloFault.MALFORMED)
    if not reader.left:
        raise HelloError(HelloFault.NO_NAME)  # a hello of old, without extensions
    extensions = reader.vector(2, 0, 0xFFFF)
    if reader.left:
        raise HelloError(HelloFault.MALFORMED)
    found = _extensions(extensions)
    if _ENCRYPTED & found.keys():
        raise HelloError(HelloFault.ENCRYPTED)
    if _SERVER_NAME not in found:
        raise HelloError(HelloFault.NO_NAME)
    return _host_name(found[_SERVER_NAME])


def _extensions(data: bytes) -> dict[int, bytes]:
    reader = _Reader(data)
    found: dict[int, bytes] = {}
    while reader.left:
        if _PRE_SHARED_KEY in found:  # it must be the last
            raise HelloError(HelloFault.MALFORMED)
        kind = reader.number(2)
        if kind in found:
            raise HelloError(HelloFault.MALFORMED)
        found[kind] = reader.vector(2, 0, 0xFFFF)
    return found


def _host_name(data: bytes) -> str:
    """The one name of a server_name extension; addresses are none (RFC 6066 §3)."""
    outer = _Reader(data)
    names = _Reader(outer.vector(2, 1, 0xFFFF))
    if outer.left or names.number(1) != _HOST_NAME:
        raise HelloError(HelloFault.NAME)
    text = names.vector(2, 1, 0xFFFF)
    if names.left:
        raise HelloError(HelloFault.NAME)
    host = plain_host(text.decode("ascii")) if text.isascii() else None
    if host is None or ":" in host or host.rpartition(".")[2].isdigit():
        raise HelloError(HelloFault.NAME)
    return host
