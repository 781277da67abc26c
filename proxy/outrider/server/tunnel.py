"""The caller's side of a tunnel: what it sends, held until it may leave, and what comes back.

Laws: nothing leaves before a decision and a dialled upstream; inside a CONNECT the first bytes are
a TLS handshake that names the very host that was decided on, or nothing leaves at all; a tunnel has
a bound on its bytes, its silence and its life, and ends when its exchange does.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from outrider.config.limit_settings import Limits
from outrider.core.destinations import host_of
from outrider.core.errors import EnforcementError, MalformedError, SlowClientError, TooLargeError
from outrider.core.exchange import Ending, Far, Reply
from outrider.core.ports import Clock
from outrider.protocols.gate import GateError
from outrider.protocols.wire.client_hello import HelloError, HelloReader
from outrider.server.opening import EARLY_BYTES, TunnelAsk, hello_cause
from outrider.server.reply import whole_reply
from outrider.server.wheel import NEVER, Wheel

LINGER_S: Final = 30.0
"""How long one half of a tunnel may outlive the other."""
ESTABLISHED: Final = b"HTTP/1.1 200 Connection Established\r\n\r\n"
DENIED_ALERT: Final = b"\x15\x03\x03\x00\x02\x02\x31"
"""A fatal `access_denied` (RFC 8446 §6.2): all that can be said to who speaks TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelParts:
    """What a tunnel is made of. `lost` is told when the caller's connection is gone."""

    transport: asyncio.Transport
    clock: Clock
    wheel: Wheel
    limits: Limits
    lost: Callable[[Exception | None], None]
    streamed: Callable[[int], None] = lambda _count: None


class Tunnel(asyncio.Protocol):
    """`core.exchange.Duplex` and `BodySource` of one tunnel, and from the moment it was asked for
    the protocol of its connection. `deadline_s` is the wheel's."""

    def __init__(self, asked: TunnelAsk, parts: TunnelParts) -> None:
        self._asked = asked
        self._parts = parts
        self._transport = parts.transport
        self._held = bytearray()
        self._hello = None if asked.raw else HelloReader()
        self._far: Far | None = None
        self._fault: EnforcementError | None = None
        self._ended = False
        self._paused = False
        self._sent = 0  # bytes of answer to the caller
        self._carried = 0  # bytes both ways
        self._drain: asyncio.Future[None] | None = None
        self._end: asyncio.Future[None] | None = None
        self._born_s = parts.clock.monotonic_s()
        self._stands = False
        self._full = False
        self.deadline_s = NEVER
        if asked.raw:
            self._held += asked.early
        elif asked.early:
            self._read_hello(asked.early)
        parts.wheel.watch(self)

    # --- core.exchange.BodySource: there is no body ---

    async def read(self, limit_bytes: int) -> bytes:
        raise RuntimeError(f"nothing of a tunnel's {limit_bytes} bytes is read")

    def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        raise RuntimeError(f"nothing of a tunnel's {limit_bytes} bytes is read")

    def release(self) -> None:
        """The exchange is over: so is the tunnel. Idempotent."""
        self._parts.wheel.unwatch(self)
        self.deadline_s = NEVER
        far, self._far = self._far, None
        if far is not None:
            far.drop()

    # --- core.exchange.Duplex ---

    def join(self, far: Far) -> None:
        if self._fault is not None:
            raise self._fault
        self._far = far
        self._forward()
        if self._ended:
            far.end()

    def pause(self) -> None:
        self._full = True
        self._keep_reading()

    def resume(self) -> None:
        self._full = False
        self._keep_reading()

    # --- serving ---

    async def serve(self, reply: Reply) -> None:
        """Write the answer, and if it is a tunnel carry what comes back; settles it, once."""
        ending = Ending.ABORTED
        try:
            if isinstance(reply.body, bytes):
                self._refuse(reply, reply.body)
            else:
                await self._carry(reply.body)
            ending = Ending.SENT
        except (ConnectionError, asyncio.CancelledError):
            ending = Ending.CLIENT_LEFT
            raise
        finally:
            if ending is not Ending.SENT:
                self._transport.abort()
            reply.settle(ending, self._sent)
            self.release()
        self._transport.close()

    def _refuse(self, reply: Reply, body: bytes) -> None:
        if self._asked.raw:
            self._write(DENIED_ALERT)
            return
        head, body = whole_reply(reply, body, "GET", close=True)
        self._write(head + body)
        self._sent = len(body)

    async def _carry(self, body: AsyncIterator[bytes]) -> None:
        if not self._asked.raw:
            self._write(ESTABLISHED)
        self._stands = True
        self._touch()
        try:
            async for piece in body:
                if not self._has_room(len(piece)):
                    continue  # the exchange hears of it, and ends with its reason
                self._write(piece)
                self._sent += len(piece)
                self._parts.streamed(self._sent)
                if self._drain is not None:
                    await self._drain
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
        if self._fault is not None:
            raise self._fault
        await self._linger()

    async def _linger(self) -> None:
        """The upstream has said all: the caller may go on for a while, then it has."""
        if self._ended or not self._transport.can_write_eof() or self._transport.is_closing():
            return
        self._transport.write_eof()
        self.deadline_s = self._parts.clock.monotonic_s() + LINGER_S
        self._end = asyncio.get_running_loop().create_future()
        await self._end

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the caller left")
        self._transport.write(data)

    # --- the transport's side ---

    def data_received(self, data: bytes) -> None:
        if self._fault is not None:
            return
        if self._hello is not None:
            self._read_hello(data)
        else:
            self._held += data
        self._forward()
        self._keep_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._far is not None:
            self._far.end()
            self.deadline_s = self._parts.clock.monotonic_s() + LINGER_S
        self._let_end()
        return True

    def pause_writing(self) -> None:
        self._drain = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.resume_writing()
        self._let_end()
        self._parts.lost(exc)

    # --- the wheel's side ---

    def expired(self) -> None:
        if self._end is not None:
            self._let_end()
            return
        why = "the tunnel was silent for too long" if self._stands else "nothing came in time"
        self._fail(SlowClientError(why, cause="tunnel"))

    # --- inside ---

    def _read_hello(self, data: bytes) -> None:
        """The first bytes inside a CONNECT."""
        hello = self._hello
        if hello is None:
            return
        try:
            found = hello.feed(data)
        except HelloError as error:
            self._fail(GateError(hello_cause(error)))
            return
        if found is None:
            return
        self._hello = None
        if found.server_name != host_of(self._asked.head.host):
            said = "the TLS handshake names another host than was asked for"
            self._fail(MalformedError(said, cause="server_name"))
            return
        self._held += found.raw

    def _forward(self) -> None:
        far = self._far
        if far is None or not self._held or self._fault is not None:
            return
        data = bytes(self._held)
        self._held.clear()
        if self._has_room(len(data)):
            far.write(data)

    def _has_room(self, count: int) -> bool:
        """Whether the tunnel may carry so much more; where not, it has failed."""
        limit = self._parts.limits.tunnel_bytes
        self._carried += count
        if self._carried > limit:
            self._fail(TooLargeError(limit, cause="tunnel"))
        else:
            self._touch()
        return self._carried <= limit

    def _touch(self) -> None:
        """Something passed: silence begins anew, life does not."""
        limits, now_s = self._parts.limits, self._parts.clock.monotonic_s()
        silence_s = limits.head_s if self._hello is not None else limits.tunnel_idle_s
        self.deadline_s = min(now_s + silence_s, self._born_s + limits.tunnel_s)

    def _fail(self, fault: EnforcementError) -> None:
        self._fault = fault
        self._held.clear()
        if self._far is not None:
            self._far.fail(fault)
        self._let_end()

    def _keep_reading(self) -> None:
        """Read on, unless the upstream takes nothing more or too much is held already."""
        full = self._full or len(self._held) > EARLY_BYTES
        if full is self._paused or self._transport.is_closing():
            return
        self._paused = full
        if full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _let_end(self) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
