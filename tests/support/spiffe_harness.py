"""Outrider's identity behind the harness contract, version 1, of the public conformance suite.

    python -m tests.support.spiffe_harness

finds the Workload API by `SPIFFE_ENDPOINT_SOCKET` and prints, a line each,
`SPIFFE_HARNESS_VERSION`, `SPIFFE_X509_PORT`, `SPIFFE_CONTROL_PORT` and, once it holds an SVID,
`READY`. The TLS port writes the peer's SPIFFE ID and a newline; the control port takes
`POST /v1/jwt/validate`, `/v1/jwt/fetch` and `/v1/x509/dial`. Law: nothing is decided here;
`outrider` decides, and this passes it on.
"""

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Final, Self

import orjson
import uvloop
from aiohttp import web

from outrider.app.identity import OwnIdentity
from outrider.config.load import load
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError, CredentialUnavailableError, UnauthenticatedError
from outrider.core.exchange import TlsPeer
from outrider.core.jsonvalue import JsonObject
from outrider.identity.jws import read_jws
from outrider.identity.jwt_svid import Expectation, verify_read_svid
from outrider.identity.reasons import HandshakeReason
from outrider.identity.tls import (
    Expected,
    HandshakeRefusedError,
    client_context,
    server_context,
)
from outrider.server.jobs import Jobs
from tests.support.identity import RecordingIdentityEvents

VERSION: Final = 1
_LOOPBACK: Final = "127.0.0.1"
_DIAL_S: Final = 5.0
_OURS: Final = frozenset(
    {HandshakeReason.NO_SVID, HandshakeReason.PROTOCOL, HandshakeReason.INTERNAL}
)
"""Why a handshake fails without the other end's certificate having been refused."""

Said = tuple[int, JsonObject]


class Anyone(Expected):
    """Every SPIFFE ID: who may do what is not what the suite asks."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(("spiffe://any.test/*",))

    def covers(self, spiffe_id: str) -> bool:
        return bool(spiffe_id)


class Harness:
    """The subject under test: `async with Harness(environ) as harness`, then `ready()`.

    Raises `ConfigError` on entering where `environ` names no Workload API. `greeted` are the SPIFFE
    IDs that were written on the TLS port.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**environ, "OUTRIDER_IDENTITY__SOURCE": "workload_api"}
        self._clock = SystemClock()
        self._stack = AsyncExitStack()
        self.events = RecordingIdentityEvents()
        self.greeted: list[str] = []
        self.x509_port = 0
        self.control_port = 0
        self.jobs: Jobs
        self.identity: OwnIdentity

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            loaded = await asyncio.to_thread(load, None, self._environ)
            self.identity = OwnIdentity(loaded, self._clock, self.events)
            await self.identity.start()
            stack.push_async_callback(self.identity.close)
            self.jobs = await stack.enter_async_context(Jobs())
            for name, job in self.identity.jobs():
                self.jobs.start(name, job)
            self.x509_port = await self._serve_tls(stack)
            self.control_port = await self._serve_control(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ready(self) -> None:
        """Return once an SVID is held."""
        await self.identity.keeper.wait_own()

    # --- the TLS port ---

    async def _serve_tls(self, stack: AsyncExitStack) -> int:
        server = await asyncio.start_server(
            self._greet,
            _LOOPBACK,
            0,
            ssl=server_context(self.identity.keeper, self.events, self._clock),
            ssl_handshake_timeout=5.0,
            ssl_shutdown_timeout=2.0,
        )
        stack.callback(server.close)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spiffe_id = _peer_of(writer).spiffe_id
        self.greeted.append(spiffe_id)
        with suppress(OSError):
            writer.write(f"{spiffe_id}\n".encode())
            await writer.drain()
        writer.close()

    # --- the control port ---

    async def _serve_control(self, stack: AsyncExitStack) -> int:
        app = web.Application()
        app.router.add_post("/v1/jwt/validate", _answering(self._validate))
        app.router.add_post("/v1/jwt/fetch", _answering(self._fetch))
        app.router.add_post("/v1/x509/dial", _answering(self._dial))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, _LOOPBACK, 0).start()
        port: int = runner.addresses[0][1]
        return port

    async def _validate(self, asked: JsonObject) -> Said:
        bundles = self.identity.keeper.snapshot().jwt
        expected = Expectation(
            audience=str(asked["audience"]),
            trust_domains=frozenset(bundles.by_domain),
            leeway_s=30.0,
            max_life_s=86_400.0,
        )
        try:
            jws = read_jws(str(asked["token"]))
            verified = verify_read_svid(
                jws, bundles=bundles, expected=expected, now_unix_s=self._clock.unix_s()
            )
        except UnauthenticatedError as fault:
            return 422, {"status": "rejected", "message": fault.detail}
        return 200, {
            "status": "ok",
            "spiffe_id": verified.subject.text,
            "claims": jws.claims,
        }

    async def _fetch(self, asked: JsonObject) -> Said:
        api = self.identity.workload_api
        audience = asked["audience"]
        if api is None or not isinstance(audience, list):
            raise ValueError("no audience to fetch for")
        own = self.identity.keeper.own()
        if asked.get("spiffe_id") and (own is None or asked["spiffe_id"] != own.spiffe_id.text):
            raise ValueError("a sidecar has one identity")
        try:
            svid = await api.fetch_jwt_svid(*map(str, audience))
        except CredentialUnavailableError as fault:
            raise ValueError(fault.detail) from None
        found: JsonObject = {
            "spiffe_id": svid.spiffe_id.text,
            "token": svid.token.reveal().decode(),
            "hint": "",
        }
        return 200, {"status": "ok", "svids": [found]}

    async def _dial(self, asked: JsonObject) -> Said:
        host, _, port = str(asked["address"]).rpartition(":")
        context = client_context(self.identity.keeper, self.events, self._clock, expect=Anyone())
        try:
            async with asyncio.timeout(_DIAL_S):
                _, writer = await asyncio.open_connection(
                    host, int(port), ssl=context, server_hostname=""
                )
        except HandshakeRefusedError as fault:
            if fault.reason in _OURS:
                raise
            return 422, {"status": "rejected", "message": fault.verify_message}
        spiffe_id = _peer_of(writer).spiffe_id
        writer.transport.abort()
        return 200, {"status": "ok", "spiffe_id": spiffe_id}


def _peer_of(writer: asyncio.StreamWriter) -> TlsPeer:
    peer = writer.get_extra_info("ssl_object").spiffe_peer
    if not isinstance(peer, TlsPeer):
        raise TypeError("a connection without a verified peer")
    return peer


def _answering(
    operation: Callable[[JsonObject], Awaitable[Said]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """`operation` as a handler; what it could not do is 500, `error`, never a rejection."""

    async def handler(request: web.Request) -> web.Response:
        try:
            status, said = await operation(orjson.loads(await request.read()))
        except (KeyError, TypeError, ValueError, OSError, ssl.SSLError, TimeoutError) as fault:
            status, said = 500, {"status": "error", "message": repr(fault)}
        return web.Response(status=status, body=orjson.dumps(said), content_type="application/json")

    return handler


def _tell(line: str) -> None:
    print(line, flush=True)


async def _announce(harness: Harness) -> None:
    _tell(f"SPIFFE_HARNESS_VERSION={VERSION}")
    _tell(f"SPIFFE_X509_PORT={harness.x509_port}")
    _tell(f"SPIFFE_CONTROL_PORT={harness.control_port}")
    await harness.ready()
    _tell("READY")


async def _main(environ: Mapping[str, str]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with Harness(environ) as harness:
        harness.jobs.start("announce", _announce(harness))
        await ended.wait()


def main() -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as a sidecar runs
            runner.run(_main(os.environ))
    except ConfigError as fault:
        print(fault, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
