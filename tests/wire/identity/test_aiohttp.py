"""aiohttp on both ends of our contexts: its server sees who calls, its client whom it called."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from outrider.identity.reasons import HandshakeReason, Role
from tests.support.spiffe_ca import Trust, bundle_of
from tests.support.spiffe_wire import ours, their_client


@asynccontextmanager
async def _site(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that answers with its caller's SPIFFE ID and the generation it was verified in."""

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("ssl_object").spiffe_peer
        return web.json_response([peer.spiffe_id, peer.generation])

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _get(port: int, context: ssl.SSLContext) -> object:
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"https://127.0.0.1:{port}/") as response,
    ):
        return await response.json()


async def test_both_sides_of_a_request_are_known_across_a_rotation():
    us = ours()
    server, client = us.server(), us.client()
    async with _site(server) as port:
        assert await _get(port, client) == ["spiffe://a.test/sidecar", 1]
        Trust(own=us.a.own("/next"), bundles=us.trust.bundles).give(us.keeper)
        assert await _get(port, client) == ["spiffe://a.test/next", 2]


async def test_a_caller_without_trust_reaches_no_handler():
    us = ours()
    async with _site(us.server()) as port:
        stranger = their_client(us.b.svid())
        assert await _get(port, stranger) == ["spiffe://b.test/planner", 1]
        Trust(own=us.trust.own, bundles=[bundle_of(us.a)]).give(us.keeper)
        with pytest.raises(aiohttp.ClientError):
            await _get(port, stranger)
    assert us.handshakes[0] == (Role.SERVER, HandshakeReason.OK)
    again = set(us.handshakes[1:])  # this client tries a GET once more
    assert again == {(Role.SERVER, HandshakeReason.UNKNOWN_AUTHORITY)}


async def test_a_server_nobody_expects_is_a_certificate_error_of_the_client():
    us = ours()
    async with _site(us.server()) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await _get(port, us.client("spiffe://a.test/other"))
    assert (Role.CLIENT, HandshakeReason.NOT_EXPECTED) in us.handshakes
