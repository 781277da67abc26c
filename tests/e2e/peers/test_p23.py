"""P23: one TLS context and one pool for each upstream, no Nagle, few connections."""

import socket
import ssl
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.server import origin
from tests.support.sidecar import GuardedUpstream, World, a_world
from tests.support.sidecar_mcp import call


def _connections(world: World, name: str) -> list[Any]:
    return list(world.sidecar.plane.pool._lines[name]._all)


async def test_P23_many_requests_share_few_connections_without_nagle() -> None:
    async with a_world() as world:
        for upstream in world.upstreams.values():
            upstream.watched = False
        async with world.client() as client:
            for _ in range(100):
                await client.send(world.head("GET", "/desk/tickets"))
                assert (await client.answer()).status == 200
            for _ in range(50):
                await client.send(world.legacy(call()))
                assert (await client.answer()).status == 200
        assert (world.desk.connections, world.crm.connections) == (1, 1)
        for connection in _connections(world, "desk"):
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_P23_a_context_is_made_once_for_each_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str | None] = []
    whole = origin.client_context

    def counted(ca_file: str | None) -> ssl.SSLContext:
        made.append(ca_file)
        return whole(ca_file)

    monkeypatch.setattr(origin, "client_context", counted)
    desk = GuardedUpstream()
    async with a_world(upstreams={"desk": desk}) as plain:
        assert (await plain.get("/desk/tickets")).status == 200
        assert made == []
    tls: JsonObject = {
        "upstreams": {"desk": {"url": "https://127.0.0.1:1/desk", "networks": ["127.0.0.0/8"]}}
    }
    async with a_world(upstreams={"desk": GuardedUpstream()}, settings=tls) as world:
        for _ in range(5):  # each dials anew, and is refused
            assert (await world.get("/desk/tickets")).status == 503
        assert len(made) == 1
