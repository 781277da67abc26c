"""The webhook: AdmissionReviews over TLS, each answered by the pure half (KUBERNETES §5, §10).

Laws: a denial is a 200 with its review, what is no review a 400; whatever goes wrong is an error
status, which `failurePolicy: Fail` makes a refusal; nothing of a request is echoed or logged;
handshakes, connections, bodies and waits are bounded, a connection that asks nothing makes room
first; what has been asked is answered, whoever ends us.
"""

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_request import BaseRequest

from outrider.config.checks import split_address
from outrider.config.injector import Webhook as WebhookSettings
from outrider.core.errors import ConfigError, is_panic
from outrider.core.ports import Clock
from outrider.injector.certificates import InjectorEvents
from outrider.injector.plan import Entry
from outrider.injector.reasons import Outcome, Reason
from outrider.listening.connections import COMMON, JSON, REFUSED, BoundedServer, Bounds
from outrider.listening.handshakes import Doorkeeper, HandshakeBounds
from outrider.listening.sockets import bound_tcp

logger = logging.getLogger("outrider.injector")

PATHS: Final = {"/mutate/namespace": Entry.NAMESPACE, "/mutate/pod": Entry.POD}
PROBE_HEADER: Final = "x-outrider-probe"
"""Carries our own token in a review that we ask ourselves, which then counts in no metric."""
_BACKLOG: Final = 512
_SEND_S: Final = 5.0
_SHUTDOWN_S: Final = 1.0


class _RefusedError(Exception):
    """A request that is no review to be judged; `status` is all that its sender learns."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Judged(Protocol):
    """What the pure half says to a review: `body` is the whole answer."""

    @property
    def body(self) -> bytes: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def reason(self) -> Reason: ...


Judge = Callable[[Entry, bytes], Judged | None]
"""The pure half (`review.admit` with its plan); None says that the bytes are no review."""


class Jobs(Protocol):
    """Where handshakes are; it ends after the webhook."""

    def start(self, name: str, job: Coroutine[Any, Any, None]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Collaborators of `Webhook`."""

    settings: WebhookSettings
    judge: Judge
    context: ssl.SSLContext
    jobs: Jobs
    events: InjectorEvents
    clock: Clock


class Webhook:
    """Listens from `start` to `stop`. `leave` asks callers to go elsewhere, and goes on."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._server = BoundedServer(self._serve, _bounds(parts.settings), failed=_failed)
        bounds = _handshakes(parts.settings)
        self._door = Doorkeeper(parts.context, bounds=lambda: bounds)
        self._sockets: list[socket.socket] = []
        self._held_bytes = 0
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._leaving = False
        self.probe_token: Final = secrets.token_hex(16)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens, with the real port where 0 was asked for."""
        return tuple(sock.getsockname()[:2] for sock in self._sockets)

    async def start(self) -> None:
        """Raises `ConfigError` naming the address that cannot be bound."""
        for address in self._settings.addresses:
            try:
                self._listen(address)
            except OSError as fault:
                await self.stop()
                raise ConfigError(
                    f"webhook.addresses: cannot listen at {address}: {fault.strerror}"
                ) from fault

    def leave(self) -> None:
        """Close each connection with its next answer from now on."""
        self._leaving = True

    async def stop(self) -> None:
        """Accept no more, and let what is asked be answered within `grace_s`; handshakes that are
        not done by then end. Idempotent."""
        self.leave()
        for sock in self._sockets:
            self._door.stop(sock)
        await asyncio.sleep(0)  # what has come in is taken up before idle connections go
        with suppress(TimeoutError):
            # aiohttp's own shutdown takes no more bytes, of a body that is on its way either.
            async with asyncio.timeout(self._settings.grace_s):
                await self._idle.wait()
        self._door.abort()
        self._server.pre_shutdown()
        await self._server.shutdown(_SEND_S)
        self._sockets.clear()

    def _listen(self, address: str) -> None:
        split = split_address(address)
        if split is None:
            raise ConfigError(f"webhook.addresses: {address} is not host:port")
        sock = bound_tcp(*split)
        self._sockets.append(sock)
        sock.listen(_BACKLOG)
        self._parts.jobs.start(f"webhook at {address}", self._door.serve(sock, self._server))

    # --- one request ---

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._served(request)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _served(self, request: BaseRequest) -> web.StreamResponse:
        try:
            status, body = 200, await self._answer(request)
        except _RefusedError as refused:
            status, body = refused.status, REFUSED
        except BaseException as fault:
            # A panic of a Rust extension is none of `Exception`; it too must refuse this pod alone.
            if not isinstance(fault, Exception) and not is_panic(fault):
                raise
            logger.exception("a review could not be judged", extra={"event": "injector_failed"})
            self._parts.events.admitted(Outcome.ERROR.value, Reason.INTERNAL.value, 0.0)
            status, body = 500, REFUSED
        answer = web.Response(status=status, body=body, headers={"content-type": JSON, **COMMON})
        if self._leaving or not request.content.at_eof():
            answer.force_close()  # a body that nobody read follows, or we go
        return answer

    async def _answer(self, request: BaseRequest) -> bytes:
        entry = _entry(request)
        body = await self._body(request)
        try:
            began_s = self._parts.clock.monotonic_s()
            counts = request.headers.get(PROBE_HEADER) != self.probe_token
            judged = self._parts.judge(entry, body)
            if judged is None:
                self._count(Outcome.ERROR, Reason.MALFORMED, began_s, counts=counts)
                raise _RefusedError(400)
            self._count(judged.outcome, judged.reason, began_s, counts=counts)
            return judged.body
        finally:
            self._held_bytes -= len(body)

    def _count(self, outcome: Outcome, reason: Reason, began_s: float, *, counts: bool) -> None:
        if counts:
            took_s = self._parts.clock.monotonic_s() - began_s
            self._parts.events.admitted(outcome.value, reason.value, took_s)

    async def _body(self, request: BaseRequest) -> bytes:
        """The whole body, on the books; the caller takes it off again.

        Raises `_RefusedError`; what was held is off the books then, cancelled or not.
        """
        parts, held = list[bytes](), 0
        self._check_size(request.content_length or 0)
        try:
            async with asyncio.timeout(self._settings.body_s):
                while part := await request.content.readany():
                    held += len(part)
                    self._held_bytes += len(part)
                    self._check_size(held)
                    parts.append(part)
        except BaseException as fault:
            self._held_bytes -= held
            if isinstance(fault, TimeoutError):
                raise _RefusedError(408) from None
            if isinstance(fault, web.RequestPayloadError | ValueError):
                raise _RefusedError(400) from None
            raise
        return b"".join(parts)

    def _check_size(self, held: int) -> None:
        """Raises `_RefusedError` where one body, or all of them together, take too much."""
        if held > self._settings.body_bytes:
            raise _RefusedError(413)
        if self._held_bytes > self._settings.buffered_bytes:
            raise _RefusedError(503)


def _entry(request: BaseRequest) -> Entry:
    """Which entry is asked, by the path; the query holds the API server's timeout alone."""
    entry = PATHS.get(request.raw_path.partition("?")[0])
    if entry is None:
        raise _RefusedError(404)
    if request.method != "POST":
        raise _RefusedError(405)
    if request.content_type != JSON or "content-encoding" in request.headers:
        raise _RefusedError(415)
    return entry


def _bounds(settings: WebhookSettings) -> Bounds:
    return Bounds(
        connections=settings.connections,
        head_s=settings.head_s,
        idle_s=settings.idle_s,
        send_s=_SEND_S,
    )


def _handshakes(settings: WebhookSettings) -> HandshakeBounds:
    return HandshakeBounds(
        places=settings.handshakes, handshake_s=settings.handshake_s, shutdown_s=_SHUTDOWN_S
    )


def _failed(fault: BaseException | None) -> None:
    logger.error(
        "a review could not be judged",
        extra={"event": "injector_failed", "fault": type(fault).__name__},
    )
