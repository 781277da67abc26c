"""The upstream's side of tunnels: dialled to one checked address, carried, and cut.

Laws: nothing is dialled without a permit for this very host and port; of a redirected caller the
address it was going to is dialled, and no other; a tunnel that is cut is cut on both sides.
"""

import asyncio
from typing import Final, cast

from outrider.core.capture import port_of
from outrider.core.errors import EnforcementError, UpstreamFailedError, UpstreamUnavailableError
from outrider.core.exchange import Duplex, Outgoing, ResponseHead
from outrider.core.vocabulary import Reason
from outrider.server.answer import Answer
from outrider.server.breaker import Breaker
from outrider.server.dialler import Dialler
from outrider.server.events import EdgeEvents, UpstreamFault, Way
from outrider.server.origin import Origin, PoolLimits
from outrider.server.overload import Turnstile

_HIGH_BYTES: Final = 65_536
_LOW_BYTES: Final = 16_384
_HTTPS: Final = 443
_ESTABLISHED: Final = ResponseHead(status=200, headers=())


class TunnelAnswer(Answer):
    """What comes back through a tunnel. `core.ports.Incoming`."""

    __slots__ = ("_end",)

    def __init__(self, end: "TunnelEnd") -> None:
        super().__init__(head=_ESTABLISHED, tap=end)
        self._end = end

    @property
    def carried_bytes(self) -> int:
        """Bytes of the caller's that were sent to the upstream."""
        return self._end.sent_bytes


class TunnelEnd(asyncio.Protocol):
    """One connection to an upstream under a tunnel. `core.exchange.Far`, and the answer's `Tap`."""

    def __init__(self, line: "TunnelLine") -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._near: Duplex | None = None
        self._answer = TunnelAnswer(self)
        self._finished = False
        self.was_opened = False
        self.sent_bytes = 0

    def begin(self, near: Duplex) -> Answer:
        """Carry from now on. Raises what the caller did wrong meanwhile."""
        self._near = near
        near.join(self)
        if self._transport is not None:
            self._transport.resume_reading()
        return self._answer

    # --- core.exchange.Far ---

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self.sent_bytes += len(data)
        self._line.carried(Way.OUT, len(data))
        transport.write(data)

    def end(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    def fail(self, fault: Exception) -> None:
        if not self._finished:
            self._finished = True
            cut = UpstreamFailedError("the tunnel was cut", cause="dropped")
            self._answer.fail(fault if isinstance(fault, EnforcementError) else cut)
        self._abort()

    def drop(self) -> None:
        self.fail(UpstreamFailedError("the exchange was given up", cause="dropped"))

    # --- the answer's side (Tap) ---

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_BYTES, low=_LOW_BYTES)
        self._transport.pause_reading()  # until somebody reads
        self.was_opened = True
        self._line.opened(self)

    def data_received(self, data: bytes) -> None:
        if not self._finished:
            self._line.carried(Way.IN, len(data))
            self._answer.put(data)

    def eof_received(self) -> bool:
        if not self._finished:
            self._finished = True
            self._answer.finish()
        return True  # what the caller still says goes on: `drop` ends it

    def pause_writing(self) -> None:
        if self._near is not None:
            self._near.pause()

    def resume_writing(self) -> None:
        if self._near is not None:
            self._near.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._finished:
            self._line.faulted(UpstreamFault.RESET)
            self._finished = True
            self._answer.fail(UpstreamFailedError("the upstream ended the tunnel", cause="reset"))
        self._line.lost(self)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class TunnelLine:
    """The tunnels to one upstream."""

    def __init__(
        self, *, origin: Origin, limits: PoolLimits, dialler: Dialler, events: EdgeEvents
    ) -> None:
        self._origin = origin
        self._dialler = dialler
        self._events = events
        self._turnstile = Turnstile(
            limit=origin.connections, queue=limits.wait_queue, wait_s=limits.wait_s
        )
        self._breaker = Breaker(
            clock=dialler.clock, failures=limits.breaker_failures, open_s=limits.breaker_open_s
        )
        self._ends: set[TunnelEnd] = set()
        self._closed = False

    @property
    def is_busy(self) -> bool:
        return bool(self._ends) or self._turnstile.inside > 0

    async def open(self, outgoing: Outgoing, near: Duplex) -> Answer:
        """A tunnel that stands. Raises `UpstreamUnavailableError` where nothing left for the
        upstream, `OverloadError`, or what the caller did wrong meanwhile."""
        self._check(outgoing)
        if not self._breaker.admits():
            raise UpstreamUnavailableError("the upstream failed too often", cause="breaker")
        try:
            await self._turnstile.enter()
        except BaseException:
            self._breaker.gave_up()
            raise
        end = TunnelEnd(self)
        try:
            await self._dialler.tunnel(self._origin, outgoing.meant, lambda: end)
        except BaseException as error:
            if not end.was_opened:  # else its end gives the place back
                self._turnstile.leave()
            self._tell_breaker(error)
            raise
        return self._begun(end, near)

    def _begun(self, end: TunnelEnd, near: Duplex) -> Answer:
        if self._closed:
            end.drop()
            raise UpstreamUnavailableError("the upstream has moved", cause="retired")
        try:
            answer = end.begin(near)
        except BaseException:
            end.drop()
            raise
        self._breaker.succeeded()
        self._events.upstream_request(self._origin.name, "2xx")
        return answer

    def _check(self, outgoing: Outgoing) -> None:
        """Nothing but the place of this upstream, and no credential of ours into it."""
        if outgoing.secret_headers:
            raise UpstreamUnavailableError(
                "no credential can be put into a tunnel", reason=Reason.OBLIGATION
            )
        shown = f"{self._origin.host}:{self._origin.port}"
        if self._closed or outgoing.target != shown:
            raise UpstreamUnavailableError("the upstream is another place", cause="retired")
        meant = outgoing.meant
        if meant is not None and meant.port != port_of(outgoing.target, _HTTPS):
            raise UpstreamUnavailableError("the caller was going elsewhere", cause="original")

    def _tell_breaker(self, error: BaseException) -> None:
        if not isinstance(error, EnforcementError) or error.reason is Reason.UNRECOGNISED:
            self._breaker.gave_up()  # it says nothing of the upstream
            return
        self._breaker.failed()
        self._events.upstream_request(self._origin.name, "none")

    def close(self) -> None:
        """Take no tunnel from now on, and cut those that are."""
        self._closed = True
        for end in list(self._ends):
            end.drop()

    # --- what ends report ---

    def opened(self, end: TunnelEnd) -> None:
        self._ends.add(end)
        self._events.tunnel(1)

    def lost(self, end: TunnelEnd) -> None:
        """Once for each that was opened."""
        self._ends.discard(end)
        self._turnstile.leave()
        self._events.tunnel(-1)

    def carried(self, way: Way, count: int) -> None:
        self._events.tunnel_bytes(self._origin.name, way, count)

    def faulted(self, fault: UpstreamFault) -> None:
        self._events.upstream_error(self._origin.name, fault)
