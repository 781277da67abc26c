"""One exchange as it crosses the proxy: what the listener hands over and what it gets back.

Laws: header names are lower case; what stands in a `RequestHead` has passed the gate
(HARDENING §3) and is what is judged *and* forwarded; header values are printable ASCII.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from outrider.core.capture import Meant
from outrider.core.secret import Secret
from outrider.core.spans import Spans
from outrider.core.subject import Subject
from outrider.core.vocabulary import Direction

Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request line and header fields after the gate.

    `path` is percent-canonical, begins with `/` and has no query; `query` is raw, without `?`;
    `host` is lower case, with `:port` where the caller gave one; `absolute` is True for
    absolute-form targets. `headers` hold what the gate left: outside identity headers dropped,
    hop-by-hop fields gone, `Authorization` and cookies still there for `identity` to read.
    """

    method: str
    scheme: str
    host: str
    path: str
    query: str
    headers: Headers
    absolute: bool = False
    expects_continue: bool = False
    has_body: bool = False

    def header(self, name: str) -> str | None:
        """The first value of `name` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def headers_named(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key == name)


@dataclass(slots=True, kw_only=True, eq=False)
class Acquaintance:
    """What is known of a connection's peer beside its proof, for as long as the connection lives:
    `identity` owns it. Mutable, and no part of what was proven."""

    subject: Subject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPeer:
    """The verified other end of a TLS connection, as it was in the handshake.

    `expires_unix_s` is the earliest end of its chain; the digests are hexadecimal SHA-256 of its
    leaf and of the authority its chain ended at; `generation` is that of the trust it was verified
    under. Connections of one chain may share one.
    """

    spiffe_id: str
    trust_domain: str
    expires_unix_s: float
    leaf_sha256: str
    anchor_sha256: str
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end of the connection, as the kernel and the TLS layer say. One is made
    for each connection, and `known` with it. `meant` is where a connection was going that was
    redirected here; None where we are who was called."""

    transport: str  # "tcp" | "unix"
    address: str
    loopback: bool
    uid: int | None = None
    pid: int | None = None
    tls: TlsPeer | None = None
    meant: Meant | None = None
    known: Acquaintance = field(default_factory=Acquaintance, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C trace context of the exchange: our span, and the caller's where it gave one. `spans` are
    kept where this trace is sampled by us."""

    trace_id: str
    span_id: str
    parent_id: str | None
    sampled: bool
    state: str | None = None
    spans: Spans | None = field(default=None, compare=False, repr=False)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @property
    def onward(self) -> str:
        """`traceparent` of the next request to the upstream: of that request's own span, where
        spans are kept."""
        return self.traceparent if self.spans is None else self.spans.onward


class BodySource(Protocol):
    """The body of a request, unread. One of the two may be used, once."""

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body, content coding removed.

        Raises `TooLargeError` past `limit_bytes`, `SlowClientError` past the deadlines,
        `OverloadError` where the process-wide budget of buffered bytes has no room,
        `MalformedError` for a framing fault. The room taken is given back at `release`.
        """

    def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body piece by piece, as received, for routes that say `body: opaque`."""

    def release(self) -> None:
        """Give the buffered bytes' room back. Idempotent."""


class Far(Protocol):
    """The upstream's side of a tunnel, for the caller's side to write to."""

    def write(self, data: bytes) -> None:
        """Send it, or nothing where the connection is gone."""

    def end(self) -> None:
        """Nothing more will be written: half-close."""

    def fail(self, fault: Exception) -> None:
        """End the tunnel; whoever reads its answer is told `fault`."""

    def drop(self) -> None:
        """End the connection, if it has not ended. Idempotent."""


class Duplex(Protocol):
    """The caller's side of a tunnel: pushed, not pulled."""

    def join(self, far: Far) -> None:
        """From now on what the caller sends goes to `far`. Raises what the caller did wrong
        meanwhile."""

    def pause(self) -> None:
        """Take nothing more of the caller for now."""

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as the listener hands it over: head and peer known, body unread."""

    id: str
    direction: Direction
    listener: str
    head: RequestHead
    peer: Peer
    body: BodySource
    trace: TraceContext
    started_s: float


class Ending(StrEnum):
    """How the answer's way to the caller ended."""

    SENT = "sent"
    CLIENT_LEFT = "client_left"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer. `settle` is called exactly once by whoever writes it, whatever happens.

    A `body` that is an iterator is streamed with backpressure; if it raises, the connection is
    aborted, never ended as if complete. `close` ends the connection after the answer; so does
    `is_last`, asked once a streamed one was written, where that was not known at its beginning.
    """

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes]
    settle: Callable[[Ending, int], None]
    close: bool = False
    is_last: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """The request that leaves: our own serialisation of what was judged.

    `target` is path and query as sent; `headers` are complete save Host, framing and credential,
    which the pool sets. `secret_headers` go last, to this origin only, and never print.

    With `duplex` it is a tunnel: `target` is `host:port` and there is no body. `meant` is where the
    caller was going, by the name `called`, where its connection was redirected here: it must be a
    place of the upstream's.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | AsyncIterator[bytes]
    secret_headers: tuple[tuple[str, Secret], ...] = ()
    lease_fingerprint: str = ""
    duplex: Duplex | None = None
    meant: Meant | None = None
    called: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """An upstream's answer before its body: hop-by-hop and refused fields already gone."""

    status: int
    headers: Headers

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None
