"""A small HTTP/1.1 edge for administration: strict heads, bounded bodies, one handler.

Laws: every request passes the same gate as the data plane's; answers are JSON or plain text;
nothing of a request is echoed; a handler's fault is a 500 without detail. A stranger holds few
connections, each for seconds: a head, an answer and a body have their deadlines, and a body is
read only when the handler asks for it.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError
from aiohttp.web_request import BaseRequest

from outrider.config.checks import split_address
from outrider.config.listener_settings import Listener
from outrider.core.errors import (
    ConfigError,
    EnforcementError,
    MalformedError,
    SlowClientError,
    TooLargeError,
)
from outrider.listening.connections import (
    COMMON,
    JSON,
    REFUSED,
    BoundedConnection,
    BoundedServer,
    Bounds,
)
from outrider.listening.sockets import bound_tcp, bound_unix
from outrider.protocols.gate import GateRules, check

logger = logging.getLogger("outrider.control")

BODY_BYTES: Final = 1 << 20
_BODY_S: Final = 10.0
_BACKLOG: Final = 128
_BOUNDS: Final = Bounds(connections=64, per_peer=32, head_s=10.0, idle_s=10.0, send_s=10.0)


def _nobody() -> None:
    """Nothing is kept of who called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One administrative request after the gate. `uid` is the Unix socket peer's, else None.

    `body` is what is known of the body already; `source` gives the one still to come. `vouch` is
    called once the caller is known: from then on its connection makes room for no other.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    uid: int | None
    body: bytes = b""
    source: Callable[[], Awaitable[bytes]] | None = None
    vouch: Callable[[], None] = _nobody

    async def read_body(self) -> bytes:
        """The whole body; for a handler that knows who calls.

        Raises `EnforcementError` with its status: too large, too slow, or not to be read.
        """
        return self.body if self.source is None else await self.source()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]


class Edge:
    """One listener. `start` binds every address or none; `stop` closes them all."""

    def __init__(
        self, *, name: str, listener: Listener, handler: Handler, any_host: bool = False
    ) -> None:
        """`any_host` serves whatever Host is named: only for what holds nothing worth rebinding
        for (the metrics page, scraped by pod address)."""
        self._name = name
        self._listener = listener
        self._any_host = any_host
        self._handler = handler
        self._sockets: list[socket.socket] = []
        self._runner: web.ServerRunner | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses bound, with the real port where 0 was asked for."""
        found = []
        for sock in self._sockets:
            name = sock.getsockname()
            found.append(f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name))
        return tuple(found)

    @property
    def origin(self) -> str | None:
        """`http://host:port` of its first TCP address; None where it has none, or is not bound."""
        for sock in self._sockets:
            if sock.family != socket.AF_UNIX:
                host, port = sock.getsockname()[:2]
                return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return None

    async def start(self) -> None:
        """Raises `ConfigError` naming the address that cannot be bound; then none is."""
        server = BoundedServer(self._serve, _BOUNDS, failed=_failed)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        place = ""
        try:
            for place in self._listener.addresses:
                await self._bind(self._runner, place)
            if self._listener.unix is not None:
                place = self._listener.unix
                await self._bind_unix(self._runner, Path(place))
        except ConfigError as fault:
            await self.stop()
            raise ConfigError(f"listeners.{self._name}: {fault}") from fault
        except OSError as fault:
            await self.stop()
            raise ConfigError(
                f"listeners.{self._name}: cannot listen at {place}: {fault.strerror}"
            ) from fault

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._sockets.clear()

    async def _bind(self, runner: web.ServerRunner, address: str) -> None:
        split = split_address(address)
        if split is None:
            raise ConfigError(f"{address} is not host:port")
        sock = bound_tcp(*split)
        self._sockets.append(sock)
        await web.SockSite(runner, sock, backlog=_BACKLOG).start()

    async def _bind_unix(self, runner: web.ServerRunner, path: Path) -> None:
        sock = await asyncio.to_thread(bound_unix, path, self._listener.unix_mode)
        self._sockets.append(sock)
        await web.SockSite(runner, sock, backlog=_BACKLOG).start()

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        refused = False
        try:
            response = await self._answer(request)
        except EnforcementError as fault:
            refused = True
            status = fault.status or 400
            response = Response(status=status, body=REFUSED)
        answer = web.Response(
            status=response.status,
            body=response.body,
            headers={"content-type": response.content_type, **COMMON},
        )
        for name, value in response.headers:
            answer.headers[name] = value
        if refused or not request.content.at_eof():
            answer.force_close()  # what follows is a stranger's, or a body nobody wanted
        return answer

    def _rules(self, request: BaseRequest) -> GateRules:
        hosts = {"localhost"}
        for address in self.addresses:
            host, _, port = address.rpartition(":")
            hosts |= {address, f"[{host}]:{port}", f"localhost:{port}"}
        if self._any_host:
            hosts.add(request.headers.get("host", "").lower())
        return GateRules(hosts=frozenset(hosts), absolute=False)

    async def _answer(self, request: BaseRequest) -> Response:
        gated = check(
            request.method,
            request.raw_path,
            (request.version.major, request.version.minor),
            request.raw_headers,
            self._rules(request),
        )
        return await self._handler(
            Request(
                method=gated.head.method,
                path=gated.head.path,
                query=gated.head.query,
                headers=dict(gated.head.headers),
                uid=_peer_uid(request),
                source=partial(_body, request) if gated.head.has_body else None,
                vouch=partial(_vouch, request),
            )
        )


def _failed(fault: BaseException | None) -> None:
    logger.error(
        "an administrative request failed",
        extra={"event": "control_failed", "fault": type(fault).__name__},
    )


def _vouch(request: BaseRequest) -> None:
    connection = request.protocol
    if isinstance(connection, BoundedConnection):
        connection.known = True


async def _body(request: BaseRequest) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            while len(body) <= BODY_BYTES and not request.content.at_eof():
                body += await request.content.read(BODY_BYTES + 1)
    except TimeoutError as fault:
        raise SlowClientError("the body did not arrive in time", status=408) from fault
    except (RequestPayloadError, HttpProcessingError) as fault:
        raise MalformedError("the body cannot be read", status=400) from fault
    if len(body) > BODY_BYTES:
        raise TooLargeError(BODY_BYTES, status=413)
    return bytes(body)


def _peer_uid(request: BaseRequest) -> int | None:
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[4:8], "little")
