"""The connections of our own small HTTP servers, bounded in number, in size and in time.

Laws: over a bound the stranger who has been here longest makes room, first who asks nothing; one
whose token is known never does; a connection that sends no whole head, or takes no answer, in time
is dropped; what cannot be read is answered in fixed words and logged in none.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR
from aiohttp.web_request import BaseRequest

_LINGER_S: Final = 1.0
_LINE_BYTES: Final = 8192
_FIELDS: Final = 64
JSON: Final = "application/json"
COMMON: Final = {"cache-control": "no-store", "server": "outrider"}  # and no version
REFUSED: Final = b'{"error":"refused"}'
_SERVER_FAULT: Final = 500

Handler = Callable[[BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many connections a server keeps, and for how long."""

    connections: int
    per_peer: int | None = None
    """Of one address, so that somebody elsewhere still finds room."""
    head_s: float
    """From the connection to its first whole head."""
    idle_s: float
    """From an answer to the next whole head."""
    send_s: float
    """Until the kernel has taken a whole answer."""


class BoundedServer(web.Server):
    """Makes the connections of one listener and counts them.

    `failed` is told of what `handler` raised: the caller learns nothing of it.
    """

    def __init__(
        self, handler: Handler, bounds: Bounds, *, failed: Callable[[BaseException | None], None]
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self.bounds: Final = bounds
        self.failed: Final = failed

    def __call__(self) -> "BoundedConnection":
        return BoundedConnection(self)

    def make_room(self, peer: object) -> bool:
        """Whether one more connection from `peer`, a socket's name for it, is taken.

        Where it would be one too many, a stranger's goes for it: the oldest that asks nothing,
        else the one that has asked longest. A crowd that is always there then keeps nobody out who
        asks at once, whether it sits there or drips.
        """
        open_now = [each for each in self.connections if each.transport is not None]
        host = _host(peer)
        crowd = [each for each in open_now if host is not None and _host(each.peername) == host]
        if self.bounds.per_peer is None or len(crowd) < self.bounds.per_peer:
            if len(open_now) < self.bounds.connections:
                return True
            crowd = open_now
        strangers = [
            each for each in crowd if isinstance(each, BoundedConnection) and not each.known
        ]
        if not strangers:
            return False
        min(strangers, key=_staying).force_close()  # of equals the first, the oldest
        return True

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> BaseRequest:
        if message is ERROR:  # what could not be read is answered in our version
            message = message._replace(version=HttpVersion11)
        loop = asyncio.get_running_loop()
        cast("BoundedConnection", protocol).asked_s = loop.time()
        return BaseRequest(message, payload, protocol, writer, task, loop)


class BoundedConnection(web.RequestHandler):
    """One connection, for seconds unless it asks and takes the answers."""

    __slots__ = ("_head_timer", "_of", "asked_s", "known")

    def __init__(self, server: BoundedServer) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=server.bounds.idle_s,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            max_headers=_FIELDS,
            lingering_time=_LINGER_S,
            auto_decompress=False,
        )
        self._of = server
        self._head_timer: asyncio.TimerHandle | None = None
        self.asked_s = 0.0
        """When its last request began, by the loop's clock."""
        self.known = False
        """Whether whoever is at the other end has shown a token that we know."""

    @property
    def asks(self) -> bool:
        """Whether a request of it is being answered."""
        return self._current_request is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)  # the event loop's own class may differ
        if not self._of.make_room(stream.get_extra_info("peername")):
            self._force_close = True
            stream.abort()
            return
        # An answer is sent when the kernel has it. Zero would pause a TLS transport for good.
        stream.set_write_buffer_limits(high=1)
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._of.bounds.head_s, self._first_head_is_due)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def force_close(self) -> None:
        """Close at once: what the peer has not taken by now is dropped."""
        transport = self.transport
        super().force_close()
        if transport is not None:
            transport.abort()

    def _first_head_is_due(self) -> None:
        if not self._request_count:
            self.force_close()

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            async with asyncio.timeout(self._of.bounds.send_s):
                finished = await super().finish_response(request, resp, start_time)
                await request.writer.drain()
                return finished
        except TimeoutError:
            self.force_close()
        except ConnectionError:
            pass  # the peer left
        return resp, True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = _SERVER_FAULT,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read, and to a fault of ours. `message` and the text of
        `exc` may hold the peer's bytes: neither is told."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun")
        if status >= _SERVER_FAULT:
            self._of.failed(exc)
        answer = web.Response(status=status, body=REFUSED, headers={"content-type": JSON, **COMMON})
        answer.force_close()
        return answer


def _staying(one: BoundedConnection) -> float:
    """In which order strangers make room: below zero who asks nothing, else since when it asks."""
    return one.asked_s if one.asks else -1.0


def _host(peer: object) -> str | None:
    """The address in a socket's name for its peer; None for a Unix socket's."""
    return str(peer[0]) if isinstance(peer, tuple) and peer else None
