"""A sidecar with an upstream that is reached by tunnels: TLS servers on loopback, raw clients.

The tunnelled upstream is called `localhost`; what connections were going to is told by the test in
the kernel's stead, by the caller's own port.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from outrider.core.capture import Meant
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.net import RawClient, RecordingUpstream, UpstreamTurn, dialled
from tests.support.sidecar import GuardedUpstream, World, a_world
from tests.support.sidecar_policy import AGENT, OTHER, a_policy, an_agent, an_upstream_entry
from tests.support.tls import Authority, an_authority, listen_for_names

HOST: Final = "localhost"
LOOPBACK: Final[list[Json]] = ["127.0.0.0/8", "::1/128"]


@dataclass(slots=True)
class EchoUpstream(RecordingUpstream):
    """A TLS server that says back what it hears, and keeps it. Its port is `port`."""

    heard: bytearray = field(default_factory=bytearray)
    names: list[str | None] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes | None = None
    """What it says instead, to whatever it hears."""

    async def converse(self, turn: UpstreamTurn) -> None:
        try:
            while data := await turn.reader.read(65_536):
                self.heard += data
                await turn.say(data if self.answer is None else self.answer)
        finally:
            self.ended.set()


@dataclass(slots=True)
class Redirects:
    """Where each caller was going, by the address it comes from: the kernel's part in a test."""

    by_port: dict[int, Meant] = field(default_factory=dict)
    every: Meant | None = None

    def __call__(self, sock: Any) -> Meant | None:
        return self.by_port.get(sock.getpeername()[1], self.every)


@dataclass(slots=True, kw_only=True)
class TunnelWorld:
    """A running sidecar, an upstream `api` behind tunnels, and how it is asked."""

    world: World
    api: EchoUpstream
    authority: Authority
    redirects: Redirects

    @property
    def place(self) -> str:
        return f"{HOST}:{self.api.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.pem.decode())
        return context

    def connect(self, target: str | None = None, *fields: str, host: str | None = None) -> bytes:
        """A CONNECT's bytes."""
        named = target or self.place
        lines = [f"CONNECT {named} HTTP/1.1", f"Host: {host or named}", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    @asynccontextmanager
    async def tunnel(self, name: str = HOST, *fields: str) -> AsyncIterator[RawClient]:
        """TLS to the upstream through a CONNECT, by server name `name`."""
        async with self.world.client() as client:
            await client.send(self.connect(None, *fields))
            answer = await client.answer(head_only=True)
            assert answer.status == 200, answer
            await client.writer.start_tls(self.trust, server_hostname=name)
            yield client

    @asynccontextmanager
    async def captured(
        self, address: str = "127.0.0.1", port: int | None = None
    ) -> AsyncIterator[RawClient]:
        """A connection that was going to `address` and `port` and was redirected."""
        self.redirects.every = Meant(address=address, port=self.api.port if port is None else port)
        try:
            async with dialled(self.world.port) as client:
                yield client
        finally:
            self.redirects.every = None


def a_manifest(place: str, **more: Json) -> JsonObject:
    """What the manifest says of `api`: the tunnel to `place`."""
    entry: JsonObject = {
        "effect": "send", "reversible": False, "impact": "high", "sensitivity": "internal", **more
    }  # fmt: skip
    return an_upstream_entry(tools={place: entry})


@asynccontextmanager
async def a_tunnel_world(
    *,
    settings: Mapping[str, Json] | None = None,
    grant: Mapping[str, Json] | None = None,
    upstream: EchoUpstream | None = None,
    desk_host: str | None = None,
    **policy: Any,
) -> AsyncIterator[TunnelWorld]:
    """`grant` is laid over the agent's; `desk_host` is a name that the upstream `desk` is reached
    by too, at its own port."""
    authority = an_authority()
    redirects = Redirects()
    server = upstream or EchoUpstream()
    context = authority.issue(HOST).server()

    server.names = listen_for_names(context)
    server.tls, server.host = context, HOST
    async with server:
        place = f"{HOST}:{server.port}"
        tools: list[Json] = ["crm/*", "desk/*", "api/*"]
        agents = {
            one: an_agent(**{"tools": [*tools], **deepcopy(dict(grant or {}))})
            for one in (AGENT, OTHER)
        }
        files = a_policy(agents=agents, **policy)
        files["outrider/manifest/api/data.yaml"] = a_manifest(place)
        connect: JsonObject = {
            "url": f"https://{place}", "protocol": "connect", "networks": LOOPBACK
        }  # fmt: skip
        desk = GuardedUpstream()
        upstreams: JsonObject = {"api": connect}
        if desk_host is not None:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                desk.port = taken.getsockname()[1]
            upstreams["desk"] = {"hosts": [f"{desk_host}:{desk.port}"]}
        whole: JsonObject = {
            "capture": {"mode": "transparent"},
            "upstreams": upstreams,
            **(settings or {}),
        }
        async with a_world(
            files,
            upstreams={"desk": desk},
            settings=whole,
            original=redirects,
        ) as world:
            yield TunnelWorld(world=world, api=server, authority=authority, redirects=redirects)
