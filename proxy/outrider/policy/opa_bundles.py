"""The bundle that OPA polls: offered by ETag over HTTP on loopback, held open until it changes.

Laws: only who has the token is answered; one thing is served, and only read; a poll waits no longer
than it asked to, and at most a minute. What OPA asks next tells whether it took what it was given.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Final, cast

import httptools

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret
from outrider.policy.release import Release, bundle_bytes

PATH: Final = "/v1/opa/bundle.tar.gz"
CONTENT_TYPE: Final = "application/vnd.openpolicyagent.bundles"
"""OPA goes on with long polls only where it sees this one."""

_LONGEST_WAIT_S: Final = 60
_MOST_CONNECTIONS: Final = 8
_MOST_HEAD_BYTES: Final = 8192
_IDLE_S: Final = 90.0
_REASONS: Final = {200: "OK", 304: "Not Modified", 401: "Unauthorized", 404: "Not Found",
                   405: "Method Not Allowed"}  # fmt: skip


class BundleSource:
    """What OPA is offered now, and whether it took it."""

    def __init__(self) -> None:
        self._etag = ""
        self._packed = b""
        self._polls: set[_Poll] = set()
        self._given: str | None = None
        self._verdict: asyncio.Future[bool] | None = None

    def offer(self, release: Release) -> str:
        """Serve `release` from now on, and end the polls that wait for something new."""
        self._packed = bundle_bytes(release)
        self._etag = f'"{hashlib.sha256(self._packed).hexdigest()[:32]}"'
        for poll in list(self._polls):
            poll.answer_now()
        return self._etag

    def bundle(self, etag: str | None) -> tuple[int, str, bytes]:
        """Status, ETag and body for one who has `etag`: 200, 304, or 404 where nothing is offered.

        Pure, so that any listener can serve the same.
        """
        if not self._packed:
            return 404, "", b""
        if etag == self._etag:
            return 304, self._etag, b""
        return 200, self._etag, self._packed

    def asked(self, etag: str | None) -> None:
        """OPA asks, having `etag`: the one it was last given, if it took it."""
        given, self._given = self._given, None
        if self._verdict is None or self._verdict.done():
            return
        if etag == self._etag:
            self._verdict.set_result(True)
        elif given == self._etag:
            self._verdict.set_result(False)

    def given(self, etag: str) -> None:
        """OPA was just sent the bundle of `etag`."""
        self._given = etag

    def forget(self) -> None:
        """Another OPA begins: what the one before was given says nothing of it."""
        self._given = None

    async def taken(self) -> bool:
        """Whether OPA took what is offered: it either asks on from there or from elsewhere."""
        if self._verdict is not None:
            raise ConfigError("an activation is under way already")
        self._verdict = asyncio.get_running_loop().create_future()
        try:
            return await self._verdict
        finally:
            self._verdict = None

    def add(self, poll: "_Poll") -> None:
        self._polls.add(poll)

    def remove(self, poll: "_Poll") -> None:
        self._polls.discard(poll)


class BundleListener:
    """Serves a `BundleSource` on a loopback port of the system's choice."""

    def __init__(self, *, source: BundleSource, token: Secret) -> None:
        self._source = source
        self._authorization = b"Bearer " + token.reveal()
        self._server: asyncio.Server | None = None
        self._open: set[_Poll] = set()

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, "127.0.0.1", 0, start_serving=False
        )
        # in two steps: one that is cancelled in the middle would leave an open socket behind
        await self._server.start_serving()
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for poll in list(self._open):
            poll.close()

    def _connection(self) -> "_Poll":
        return _Poll(source=self._source, authorization=self._authorization, open_polls=self._open)


class _Poll(asyncio.Protocol):
    """One connection of OPA's: requests, one after another, each answered or held."""

    def __init__(
        self, *, source: BundleSource, authorization: bytes, open_polls: "set[_Poll]"
    ) -> None:
        self._source = source
        self._authorization = authorization
        self._open = open_polls
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._size = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._etag: str | None = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def answer_now(self) -> None:
        """Answer with what is offered now, if anybody waits here."""
        self._source.remove(self)
        self._restart_timer(_IDLE_S, self.close)
        status, etag, body = self._source.bundle(self._etag)
        if status == 200:
            self._source.given(etag)
        self._send(status, etag, body)

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        if len(self._open) > _MOST_CONNECTIONS:
            self._transport.abort()
            return
        self._restart_timer(_IDLE_S, self.close)

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
        if self._size > _MOST_HEAD_BYTES:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        self._source.remove(self)
        if self._timer is not None:
            self._timer.cancel()

    # --- httptools ---

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_message_complete(self) -> None:
        url, headers = self._url, self._headers
        self._url, self._headers, self._size = b"", {}, 0
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
            self._send(401, "", b"")
        elif url != PATH.encode():
            self._send(404, "", b"")
        elif self._parser.get_method() != b"GET":
            self._send(405, "", b"")
        else:
            self._poll(headers)

    def _poll(self, headers: dict[bytes, bytes]) -> None:
        self._etag = headers.get(b"if-none-match", b"").decode("latin-1") or None
        self._source.asked(self._etag)
        wait_s = _wait_s(headers.get(b"prefer", b""))
        if wait_s and self._source.bundle(self._etag)[0] != 200:
            self._source.add(self)
            self._restart_timer(wait_s, self.answer_now)
            return
        self.answer_now()

    def _restart_timer(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _send(self, status: int, etag: str, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Type: {CONTENT_TYPE}"]
        lines += [f"ETag: {etag}"] if etag else []
        lines += [] if status == 304 else [f"Content-Length: {len(body)}"]
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def _wait_s(prefer: bytes) -> int:
    """The `wait=` of OPA's `Prefer` header in whole seconds, bounded; 0 where there is none."""
    for part in prefer.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == b"wait" and value.isdigit() and len(value) < 6:
            return min(int(value), _LONGEST_WAIT_S)
    return 0
