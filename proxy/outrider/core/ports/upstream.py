"""The way out, what comes back by it, and the caller's side of a tunnel."""

from typing import Protocol, cast

from outrider.core.decision import Permit
from outrider.core.exchange import BodySource, Duplex, Outgoing, ResponseHead, TlsPeer


def duplex_of(source: BodySource) -> Duplex | None:
    """The caller's side of a tunnel, where an exchange is one."""
    return cast("Duplex", source) if hasattr(source, "join") else None


class Incoming(Protocol):
    """An upstream's answer: head at once, body pulled with backpressure."""

    @property
    def head(self) -> ResponseHead: ...

    def __aiter__(self) -> "Incoming": ...

    async def __anext__(self) -> bytes: ...

    def wake(self) -> None:
        """Give a reader that waits for a piece an empty one. Nothing where none waits."""

    def abort(self) -> None:
        """Drop the connection. Idempotent; a no-op once the body was read to its end."""


def proven_of(incoming: Incoming) -> TlsPeer | None:
    """Who the upstream behind an answer proved to be, where it did by a SPIFFE ID."""
    found: TlsPeer | None = getattr(incoming, "peer", None)
    return found


def carried_of(incoming: Incoming) -> int | None:
    """Bytes of the caller's that a tunnel carried to its upstream; None of what is no tunnel."""
    found: int | None = getattr(incoming, "carried_bytes", None)
    return found


class Upstream(Protocol):
    """The way out. Nothing but a permit opens it."""

    async def send(self, permit: Permit, outgoing: Outgoing) -> Incoming:
        """Raises `UpstreamUnavailableError` (nothing written), `UpstreamFailedError`,
        `OverloadError`."""
