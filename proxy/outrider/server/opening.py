"""What a connection opens with: HTTP, a CONNECT, or a TLS handshake that was redirected here.

Laws (HARDENING §2): what is no HTTP never reaches the HTTP parser; what is held of it is bounded;
a raw handshake is taken only where the kernel says where it was going.
"""

from typing import Final, NamedTuple

from outrider.core.capture import Meant
from outrider.core.exchange import RequestHead
from outrider.protocols.gate import GateCause, GateError, GateRules
from outrider.protocols.gate_connect import END, connect_head, tunnel_head
from outrider.protocols.wire.client_hello import HANDSHAKE, HelloError, HelloFault, HelloReader

EARLY_BYTES: Final = 65_536
"""Most that is held of what a caller sends behind a CONNECT before it is answered."""
_CONNECT: Final = b"CONNECT "
_PREFACE: Final = b"PRI * HTTP/2"
_CAUSES: Final = {
    HelloFault.NOT_TLS: GateCause.CLIENT_HELLO,
    HelloFault.TOO_LONG: GateCause.CLIENT_HELLO,
    HelloFault.MALFORMED: GateCause.CLIENT_HELLO,
    HelloFault.NO_NAME: GateCause.SERVER_NAME,
    HelloFault.NAME: GateCause.SERVER_NAME,
    HelloFault.ENCRYPTED: GateCause.ENCRYPTED_HELLO,
}


class TunnelAsk(NamedTuple):
    """A tunnel that is asked for. `early` came behind the question and is not read yet; `raw` is a
    TLS handshake itself, which `early` then begins with."""

    head: RequestHead
    early: bytes
    raw: bool
    dropped: int
    traceparent: str | None
    tracestate: str | None


class Opening:
    """The first bytes of one connection, until it is known what they open."""

    __slots__ = ("_hello", "_meant", "_rules", "_seen")

    def __init__(self, rules: GateRules, meant: Meant | None) -> None:
        self._rules = rules
        self._meant = meant
        self._seen = b""
        self._hello: HelloReader | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything came."""
        return bool(self._seen)

    @property
    def is_tls(self) -> bool:
        """Whether who is there speaks TLS, and would not read an answer in HTTP."""
        return self._seen[:1] == bytes([HANDSHAKE])

    def feed(self, data: bytes) -> bytes | TunnelAsk | None:
        """A request's bytes, a tunnel that is asked for, or None while neither is known. Raises
        `GateError` for what is none."""
        if self._hello is not None:
            return self._raw(self._hello, data)
        self._seen += data
        seen = self._seen
        if self.is_tls:
            return self._tls(seen)
        if seen.startswith(_CONNECT):
            return self._connect(seen)
        if seen.startswith(_PREFACE):
            raise GateError(GateCause.PREFACE)
        if any(opening.startswith(seen) for opening in (_CONNECT, _PREFACE)):
            return None
        return seen

    def _tls(self, seen: bytes) -> TunnelAsk | None:
        if self._meant is None:  # who means us speaks HTTP, or asks for a tunnel first
            raise GateError(GateCause.TLS)
        self._hello = HelloReader()
        return self._raw(self._hello, seen)

    def _raw(self, hello: HelloReader, data: bytes) -> TunnelAsk | None:
        try:
            found = hello.feed(data)
        except HelloError as error:
            raise GateError(hello_cause(error)) from error
        if found is None or self._meant is None:
            return None
        head = tunnel_head(found.server_name, self._meant.port)
        return TunnelAsk(head, found.raw, True, 0, None, None)

    def _connect(self, seen: bytes) -> TunnelAsk | None:
        if self._meant is not None or not self._rules.tunnels:
            raise GateError(GateCause.CONNECT)  # of somebody else's proxy, or of nobody's
        end = seen.find(END)
        rules = self._rules
        if (len(seen) if end < 0 else end) > rules.head_bytes + rules.path_bytes:
            raise GateError(GateCause.HEAD_LENGTH)
        if end < 0:
            return None
        early = seen[end + len(END) :]
        asked = connect_head(seen[:end], rules)
        if len(early) > EARLY_BYTES:
            raise GateError(GateCause.BODY_LENGTH)
        return TunnelAsk(
            asked.head, early, False, asked.dropped, asked.traceparent, asked.tracestate
        )


def hello_cause(error: HelloError) -> GateCause:
    """The gate's own cause of a handshake that names no server."""
    return _CAUSES[error.fault]
