"""One connection of an agent: bytes in, exchanges through, answers out, one at a time.

Laws (HARDENING §2): nothing reaches a handler that did not pass the gate; `settle` is called once
for every answer whatever happens; a body that could not be sent whole is never ended as if it was.

This overrides private parts of aiohttp's request handler (`start`, `_messages`, `_waiter`,
`_parser`), which is why its version is pinned exactly; tests hold each of them.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from enum import IntEnum
from typing import Final, cast

from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import Server
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from outrider.core.capture import Meant, port_of
from outrider.core.errors import EnforcementError, MalformedError, SlowClientError
from outrider.core.exchange import (
    BodySource,
    Ending,
    Exchange,
    Peer,
    Reply,
    RequestHead,
    TraceContext,
)
from outrider.core.ids import uuid7
from outrider.core.trace_context import trace_of
from outrider.protocols.gate import GateCause, Gated, GateError, check
from outrider.server.body import RequestBody
from outrider.server.edge import CapturedParts, Edge, GateRefusal
from outrider.server.incoming import IncomingBody
from outrider.server.opening import Opening, TunnelAsk
from outrider.server.pressure import Level
from outrider.server.reply import LAST_CHUNK, chunk, stream_head, whole_reply
from outrider.server.tunnel import Tunnel, TunnelParts
from outrider.server.wheel import NEVER

logger = logging.getLogger("outrider.server")

_LINGER_S: Final = 1.0
_JOIN_BYTES: Final = 65_536
_HIGH_BYTES: Final = 65_536
_LOW_BYTES: Final = 16_384
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HTTP_PORT: Final = 80
_STREAM: Final = "text/event-stream"


class Wait(IntEnum):
    """What the connection's one deadline is for."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    SEND = 3
    LINGER = 4


class AgentConnection(RequestHandler):
    """A connection of one listener. `deadline_s` is the wheel's."""

    __slots__ = (
        "_answering",
        "_edge",
        "_expects",
        "_head_bytes",
        "_incoming",
        "_opening",
        "_peer",
        "_proven_s",
        "_served",
        "_tunnel",
        "_wait_for",
        "born_s",
        "deadline_s",
        "idle_since_s",
        "streamed",
    )

    def __init__(self, server: Server, edge: Edge) -> None:
        limits = edge.limits
        rules = edge.rules
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=0,  # the wheel keeps it
            access_log=None,  # type: ignore[arg-type]
            logger=logger,
            max_line_size=rules.path_bytes + rules.query_bytes + 512,
            max_headers=limits.head_fields,
            lingering_time=0,
            read_bufsize=_HIGH_BYTES,
            auto_decompress=False,
        )
        self._edge = edge
        self._peer: Peer | None = None
        self._proven_s = NEVER  # until then its proof of identity holds, if it gave one
        self._opening: Opening | None = None
        self._tunnel: Tunnel | None = None
        self._incoming = IncomingBody()
        self._expects = False
        self._answering = False
        self._head_bytes = 0
        self._served = 0
        self._wait_for = Wait.IDLE
        self.born_s = self.idle_since_s = edge.clock.monotonic_s()
        self.deadline_s = NEVER
        self.streamed = 0

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)
        self._peer = self._edge.admit(self, stream)
        if self._peer is None:
            stream.abort()
            return
        self._opening = Opening(self._edge.rules_for(self._peer), self._peer.meant)
        stream.set_write_buffer_limits(high=_HIGH_BYTES, low=_LOW_BYTES)
        super().connection_made(transport)
        if self._task_handler is not None:
            self._task_handler.add_done_callback(_report)
        self._edge.wheel.watch(self)
        if self._peer.tls is not None:
            self._proven_s = self.born_s + self._peer.tls.expires_unix_s - self._edge.clock.unix_s()
        self._wait(Wait.IDLE, self._edge.limits.keepalive_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._edge.wheel.unwatch(self)
        self.deadline_s = NEVER
        if self._peer is not None:
            self._edge.left(self, self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._close or self._force_close:
            return
        if self._opening is not None and data:
            data = self._look(self._opening, data)
            if not data:
                return
        before, incoming = self._request_count, self._incoming
        in_body = incoming.is_open
        super().data_received(data)
        if in_body:
            incoming.saw(data)
        if self._request_count != before:
            self._queued(self._request_count - before)
            incoming.saw(data)
        elif in_body:
            self._close |= incoming.is_mostly_framing(len(data))
        elif data:
            self._check_head(len(data))

    def _look(self, opening: Opening, data: bytes) -> bytes:
        """The first bytes once they are known to be a request; b"" while they are not."""
        had_begun = opening.has_begun
        try:
            opened = opening.feed(data)
        except GateError as error:
            self._turn_away(error, silent=opening.is_tls)
            return b""
        if opened is None:
            if not had_begun:
                self._wait(Wait.HEAD, self._edge.limits.head_s)
            return b""
        self._opening = None
        if isinstance(opened, bytes):
            return opened
        self._ask_for(opened)
        return b""

    def _ask_for(self, asked: TunnelAsk) -> None:
        """From now on this connection is a tunnel's, or ends."""
        transport = cast("asyncio.Transport", self.transport)
        edge = self._edge
        self.deadline_s = NEVER
        if asked.dropped:
            edge.events.headers_dropped(edge.name, asked.dropped)
        parts = TunnelParts(
            transport=transport,
            clock=edge.clock,
            wheel=edge.wheel,
            limits=edge.limits,
            lost=self.connection_lost,
            streamed=self._has_streamed,
        )
        self._tunnel = tunnel = Tunnel(asked, parts)
        transport.set_protocol(tunnel)
        self._messages.append((asked, EMPTY_PAYLOAD))  # type: ignore[arg-type]
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _has_streamed(self, count: int) -> None:
        self.streamed = count

    def _queued(self, count: int) -> None:
        """`count` messages were read: the last of them owns the bytes that follow."""
        incoming = self._incoming
        message, payload = self._messages[-1]
        for index in range(-count, -1):
            earlier = self._messages[index][0]
            incoming.tainted |= not isinstance(earlier, _ErrInfo) and earlier.chunked
        if isinstance(message, _ErrInfo):
            incoming.fail(MalformedError("the body's framing is not valid", cause="framing"))
            incoming.forget()
            return
        incoming.begin(payload, chunked=message.chunked)
        self._head_bytes = 0

    def _check_head(self, count: int) -> None:
        """A head that is not whole yet: bounded in bytes and, from its first byte, in time."""
        rules = self._edge.rules
        if not self._head_bytes and not self._answering:
            self._wait(Wait.HEAD, self._edge.limits.head_s)
        self._head_bytes += count
        if self._head_bytes <= rules.head_bytes + rules.path_bytes + rules.query_bytes:
            return
        if self._answering:
            self._close = True  # an answer is on its way: nothing more is read, and then it ends
        else:
            self._turn_away(GateError(GateCause.HEAD_LENGTH))

    # --- the wheel's side ---

    def expired(self) -> None:
        """The one deadline has passed; what that means depends on what was waited for."""
        waited = self._wait_for
        begun = self._opening is not None and self._opening.has_begun
        if waited is Wait.HEAD and (self._head_bytes or begun):
            self._turn_away(GateError(GateCause.HEAD_TIMEOUT))
        elif waited is Wait.BODY:
            self._incoming.fail(SlowClientError("the body came too slowly", cause="body"))
        elif waited is Wait.SEND and self.transport is not None:
            self.transport.abort()
        else:
            self.force_close()

    def _wait(self, kind: Wait, seconds: float) -> None:
        now_s = self._edge.clock.monotonic_s()
        self._wait_for = kind
        self.deadline_s = now_s + seconds
        if kind is Wait.IDLE:
            self.idle_since_s = now_s

    # --- the body's side (Line) ---

    def continue_now(self) -> None:
        if self._expects and self.transport is not None:
            self._expects = False
            self.transport.write(_CONTINUE)

    def wait_until(self, deadline_s: float) -> None:
        self._wait_for = Wait.BODY
        self.deadline_s = deadline_s

    def hurried(self) -> bool:
        return self._edge.level >= Level.TRIM

    # --- the drain's side ---

    @property
    def peer(self) -> Peer | None:
        """Whose it is; None where it was not accepted."""
        return self._peer

    @property
    def is_idle(self) -> bool:
        return not self._answering and not self._messages and not self._head_bytes

    def close_idle(self, quiet_s: float = 0.0) -> None:
        """End the connection if nothing was asked on it for the last `quiet_s` seconds."""
        if self.is_idle and self._edge.clock.monotonic_s() - self.idle_since_s >= quiet_s:
            self.force_close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # --- exchanges ---

    async def start(self) -> None:
        """Serve this connection until it ends. Replaces aiohttp's loop: no task per request."""
        while not (self._close or self._force_close):
            if not self._messages:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages.popleft()
            self._edge.asked += 1
            if self._tunnel is not None:
                await self._serve_tunnel(self._tunnel, cast("TunnelAsk", message))
                return
            if self._parser is not None:
                self._parser.message_consumed()
            if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                self._resume_reading_if_drained()
            self._answering = True
            try:
                goes_on = await self._serve(message, payload)
            except BaseException:
                self.abort()
                raise
            finally:
                self._answering = False
            if not goes_on:
                return
            self._rest()
        if self.transport is not None and self._wait_for is not Wait.LINGER:
            self.transport.close()

    async def _serve_tunnel(self, tunnel: Tunnel, asked: TunnelAsk) -> None:
        """The one thing that this connection is for, until it ends."""
        trace = trace_of(asked.traceparent, asked.tracestate)
        self._answering = True
        try:
            await tunnel.serve(await self._edge.handler(self._exchange(asked.head, tunnel, trace)))
        except BaseException:
            self.abort()
            raise
        finally:
            self._answering = False
            tunnel.release()

    def _rest(self) -> None:
        """Between two exchanges."""
        limits = self._edge.limits
        if self._head_bytes:
            self._wait(Wait.HEAD, limits.head_s)
        else:
            trim = self._edge.level >= Level.TRIM
            self._wait(Wait.IDLE, _LINGER_S if trim else limits.keepalive_s)

    async def _serve(self, message: RawRequestMessage | _ErrInfo, payload: StreamReader) -> bool:
        """One request; True where the connection serves another."""
        self.deadline_s = NEVER
        if isinstance(message, _ErrInfo):
            self._turn_away(_syntax(message))
            return False
        edge = self._edge
        try:
            gated = check(
                message.method,
                message.path,
                message.version,
                message.raw_headers,
                edge.rules_for(self._peer),
            )
            if self._peer is not None and self._peer.meant is not None:
                if self._peer.meant.is_probe and edge.captured is not None:
                    return self._probed(edge.captured)
                gated = _led(gated, self._peer.meant)
        except GateError as error:
            self._turn_away(error, message)
            return False
        if gated.dropped:
            edge.events.headers_dropped(edge.name, gated.dropped)
        self._expects = gated.head.expects_continue
        body = RequestBody(
            payload, length=gated.length, gzip=gated.gzip, line=self, terms=edge.body_terms
        )
        try:
            trace = trace_of(gated.traceparent, gated.tracestate)
            reply = await edge.handler(self._exchange(gated.head, body, trace))
            close = message.should_close or gated.close or reply.close or self._must_close(payload)
            await self._answer(reply, gated.head.method, close=close)
            close = close or (reply.is_last is not None and reply.is_last())
        finally:
            body.release()
        if close:
            self._end(unread=not payload.is_eof() and not self._expects)
        return not close

    def _probed(self, captured: CapturedParts) -> bool:
        """One of our own probes: nobody's request, answered here and now, and the last."""
        nobody = Reply(
            status=200,
            headers=(("content-type", "application/json"),),
            body=b"",
            settle=lambda _ending, _count: None,
            close=True,
        )
        self._write_whole(nobody, captured.probed(), "GET", close=True)
        self._end(unread=False)
        return False

    def _exchange(self, head: RequestHead, body: BodySource, trace: TraceContext) -> Exchange:
        edge = self._edge
        peer = self._peer
        if peer is None:
            raise RuntimeError("a connection without a peer serves nothing")
        return Exchange(
            id=uuid7(edge.clock.unix_s()),
            direction=edge.direction,
            listener=edge.name,
            head=head,
            peer=peer,
            body=body,
            trace=trace,
            started_s=edge.clock.monotonic_s(),
        )

    def _must_close(self, payload: StreamReader) -> bool:
        edge = self._edge
        now_s = edge.clock.monotonic_s()
        self._served += 1
        return (
            not payload.is_eof()
            or self._incoming.tainted
            or edge.draining
            or self._served >= edge.limits.connection_requests
            or edge.level >= Level.NO_KEEPALIVE
            or now_s - self.born_s >= edge.limits.connection_age_s
            or now_s >= self._proven_s
        )

    # --- answers ---

    async def _answer(self, reply: Reply, method: str, *, close: bool) -> None:
        """Write `reply` and settle it, once, whatever happens."""
        ending = Ending.ABORTED
        self.streamed = 0
        try:
            if isinstance(reply.body, bytes):
                self._write_whole(reply, reply.body, method, close=close)
                if self._paused:
                    await self._drained()
            else:
                await self._write_stream(reply, reply.body, method, close=close)
            ending = Ending.SENT
        except (ConnectionError, asyncio.CancelledError):
            ending = Ending.CLIENT_LEFT
            raise
        finally:
            if ending is not Ending.SENT:
                self.abort()
            reply.settle(ending, self.streamed)

    def _write_whole(self, reply: Reply, body: bytes, method: str, *, close: bool) -> None:
        head, body = whole_reply(reply, body, method, close=close)
        if len(body) > _JOIN_BYTES:
            self._write(head)
            self._write(body)
        else:
            self._write(head + body)
        self.streamed = len(body)

    async def _write_stream(
        self, reply: Reply, body: AsyncIterator[bytes], method: str, *, close: bool
    ) -> None:
        """Stream `body` in chunks; a fault of it cuts the connection, and never ends the body."""
        head, bodiless = stream_head(reply, method, close=close)
        if any(name == "content-type" and value[:17] == _STREAM for name, value in reply.headers):
            self._write(head)  # a stream's first event may be long in coming
            head = b""
        try:
            async for piece in body:
                if not piece or bodiless:
                    continue
                self._write(head + chunk(piece))
                head = b""
                self.streamed += len(piece)
                if self._paused:
                    await self._drained()
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
        self._write(head if bodiless else head + LAST_CHUNK)
        if self._paused:
            await self._drained()

    def _write(self, data: bytes) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller left")
        if data:
            transport.write(data)

    async def _drained(self) -> None:
        """Wait until the caller takes more, `keepalive_s` at most."""
        self._wait(Wait.SEND, self._edge.limits.keepalive_s)
        try:
            await self._drain_helper()
        finally:
            self.deadline_s = NEVER

    # --- refusals at the gate ---

    def _turn_away(
        self, error: GateError, message: RawRequestMessage | None = None, *, silent: bool = False
    ) -> None:
        """Answer a request that never became an exchange, and end the connection."""
        edge, peer = self._edge, self._peer
        if peer is None:
            return
        edge.events.edge_refused(edge.name, error.cause.value)
        reply = edge.refuser(
            GateRefusal(
                id=uuid7(edge.clock.unix_s()),
                direction=edge.direction,
                listener=edge.name,
                peer=peer,
                trace=trace_of(None, None),
                started_s=edge.clock.monotonic_s(),
                method=error.method,
                path=error.path,
                method_bytes=len(message.method) if message is not None else 0,
                target_bytes=len(message.path) if message is not None else 0,
                error=error,
            )
        )
        ending, sent = Ending.CLIENT_LEFT, 0
        try:
            body = reply.body
            if isinstance(body, bytes) and not silent and self.transport is not None:
                head_only = message is not None and message.method == "HEAD"
                self._write_whole(reply, body, "HEAD" if head_only else "GET", close=True)
                ending, sent = Ending.SENT, self.streamed
        except (ConnectionError, EnforcementError):
            self.abort()
        finally:
            reply.settle(ending, sent)
        self._end(unread=not silent)

    def _end(self, *, unread: bool) -> None:
        """Close after what was written. With bytes unread the close would reset the connection
        and take the answer with it: then half-close, and read on for a second."""
        self._close = True
        transport = self.transport
        if transport is None:
            return
        if not unread or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        transport.resume_reading()
        self._wait(Wait.LINGER, _LINGER_S)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.cancel()


def _led(gated: Gated, meant: Meant) -> Gated:
    """A redirected request as it is judged: by the host it names, never by a path of ours. Raises
    `GateError` where its port is not the one the connection was going to."""
    if port_of(gated.head.host, _HTTP_PORT) != meant.port:
        raise GateError(GateCause.ORIGINAL)
    return gated._replace(head=replace(gated.head, absolute=True))


def _syntax(fault: _ErrInfo) -> GateError:
    """What the parser refused, by our own causes."""
    error = fault.exc
    if isinstance(error, LineTooLong):
        whole_line = error.args[1:2] and int(error.args[1]) > 8190
        return GateError(GateCause.TARGET_LENGTH if whole_line else GateCause.HEAD_LENGTH)
    if isinstance(error, BadHttpMethod):
        return GateError(GateCause.METHOD)
    if "Too many headers" in fault.message:
        return GateError(GateCause.FIELD_COUNT)
    return GateError(GateCause.SYNTAX)


def _report(task: "asyncio.Task[None]") -> None:
    """A fault in serving is a bug of ours: said once, without the caller's text."""
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, (ConnectionError, EnforcementError)):
        logger.error(
            "a connection ended by a fault",
            extra={"event": "connection_fault", "error": type(error).__name__},
        )
