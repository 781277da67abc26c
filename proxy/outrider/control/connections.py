"""The connections of an administrative listener, bounded in number, in size and in time.

Laws: over the bound the stranger who has been here longest makes room, one whose token is known
never does; a connection that sends no whole head, or takes no answer, in time is dropped; what
cannot be read is answered in fixed words and logged in none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR
from aiohttp.web_request import BaseRequest

logger = logging.getLogger("outrider.control")

CONNECTIONS: Final = 64
PER_PEER: Final = 32  # of one address: a probe from elsewhere still finds room
_HEAD_S: Final = 10.0  # from the connection, or the last answer, to a whole head
_SEND_S: Final = 10.0
_LINGER_S: Final = 1.0
_LINE_BYTES: Final = 8192
_FIELDS: Final = 64
COMMON: Final = {"cache-control": "no-store", "server": "outrider"}  # and no version
_REFUSED: Final = b'{"error":"refused"}'
_SERVER_FAULT: Final = 500


class BoundedServer(web.Server):
    """Makes the connections of one listener and counts them."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[web.StreamResponse]],
        *,
        head_s: float = _HEAD_S,
        send_s: float = _SEND_S,
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self._head_s = head_s
        self._send_s = send_s

    def __call__(self) -> "BoundedConnection":
        return BoundedConnection(self, head_s=self._head_s, send_s=self._send_s)

    def make_room(self, peer: object) -> bool:
        """Whether one more connection from `peer`, a socket's name for it, is taken.

        Where it would be one too many, a stranger's goes for it: the oldest that asks nothing,
        else the oldest. A crowd that is always there then keeps nobody out who asks at once.
        """
        open_now = [each for each in self.connections if each.transport is not None]
        host = _host(peer)
        crowd = [each for each in open_now if host is not None and _host(each.peername) == host]
        if len(crowd) < PER_PEER:
            if len(open_now) < CONNECTIONS:
                return True
            crowd = open_now
        strangers = [
            each for each in crowd if isinstance(each, BoundedConnection) and not each.known
        ]
        if not strangers:
            return False
        min(strangers, key=lambda each: each.asks).force_close()  # of equals the first, the oldest
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
        return BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())


class BoundedConnection(web.RequestHandler):
    """One connection, for seconds unless it asks and takes the answers."""

    __slots__ = ("_bounded", "_send_s", "known")

    def __init__(self, server: BoundedServer, *, head_s: float, send_s: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=head_s,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            max_headers=_FIELDS,
            lingering_time=_LINGER_S,
            auto_decompress=False,
        )
        self._bounded = server
        self._send_s = send_s
        self.known = False
        """Whether whoever is at the other end has shown a token that we know."""

    @property
    def asks(self) -> bool:
        """Whether a request of it is being answered."""
        return self._current_request is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)  # the event loop's own class may differ
        if not self._bounded.make_room(stream.get_extra_info("peername")):
            self._force_close = True
            stream.abort()
            return
        stream.set_write_buffer_limits(0)  # an answer is sent when the kernel has it
        super().connection_made(transport)

    def force_close(self) -> None:
        """Close at once: what the peer has not taken by now is dropped."""
        transport = self.transport
        super().force_close()
        if transport is not None:
            transport.abort()

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            async with asyncio.timeout(self._send_s):
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
            logger.error(
                "an administrative request failed",
                extra={"event": "control_failed", "fault": type(exc).__name__},
            )
        answer = web.Response(
            status=status,
            body=_REFUSED,
            headers={"content-type": "application/json", **COMMON},
        )
        answer.force_close()
        return answer


def _host(peer: object) -> str | None:
    """The address in a socket's name for its peer; None for a Unix socket's."""
    return str(peer[0]) if isinstance(peer, tuple) and peer else None
