"""Whole sidecars that hold SVIDs: called by SPIFFE peers, and calling one another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from outrider.core.jsonvalue import JsonObject
from tests.support.net import RawAnswer, RawClient, dialled
from tests.support.sidecar import NETWORKS, GuardedUpstream, World, _laid, a_world
from tests.support.sidecar_policy import Files, a_policy, an_agent
from tests.support.spiffe_ca import Ca, Svid
from tests.support.spiffe_wire import their_client
from tests.support.svid_directory import write_svid

HOME: Final = "/ns/support/sa/triage"
"""Where a sidecar's SVID stands in its trust domain, unless another path is given."""
CALLER: Final = "/ns/desk/sa/planner"


@dataclass(slots=True, kw_only=True)
class Node:
    """A running sidecar of `ca`'s trust domain, and the files of its SVID."""

    world: World
    ca: Ca
    folder: Path
    path: str

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{self.ca.trust_domain}{self.path}"

    @property
    def port(self) -> int:
        """Of its ingress."""
        ingress = self.world.sidecar.ingress
        assert ingress is not None
        return ingress.ports[0]

    @asynccontextmanager
    async def called_by(self, svid: Svid) -> AsyncIterator[RawClient]:
        """A connection to its ingress under `svid`."""
        async with dialled(self.port, their_client(svid)) as client:
            yield client

    async def ask(self, svid: Svid, data: bytes) -> RawAnswer:
        """One request on a connection of its own to its ingress."""
        async with self.called_by(svid) as client:
            await client.send(data)
            return await client.answer()

    def request(self, target: str, *fields: str, method: str = "GET") -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: agent.acme.test", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def trusts(self, *federated: Ca) -> None:
        """Have its files name these federated trust domains alone, and wait for it to know."""
        keeper = self.world.sidecar.identity.keeper
        before = keeper.snapshot().generation
        await asyncio.to_thread(write_svid, self.folder, self.ca, self.path, federated=federated)
        if not federated:
            for file in self.folder.glob("federated.*.pem"):
                file.unlink()
        await self.world.until(lambda: keeper.snapshot().generation > before)


def among(*names: str) -> JsonObject:
    """Agents of these SPIFFE IDs, each of whom may do everything."""
    return {name: an_agent(tools=["*"]) for name in names}


@asynccontextmanager
async def a_node(
    folder: Path,
    ca: Ca,
    *,
    path: str = HOME,
    federated: Iterable[Ca] = (),
    upstreams: Mapping[str, GuardedUpstream] | None = None,
    policy: Files | None = None,
    settings: JsonObject | None = None,
) -> AsyncIterator[Node]:
    """A sidecar whose SVID and bundles are files in `folder`. Its upstreams are egress unless
    `settings` say otherwise."""
    others = tuple(federated)
    write_svid(folder, ca, path, federated=others)
    files: JsonObject = {
        "directory": str(folder),
        "federated": {one.trust_domain: f"federated.{one.trust_domain}.pem" for one in others},
    }
    own = f"spiffe://{ca.trust_domain}{path}"
    whole = _laid(
        {
            "identity": {"spiffe_id": own, "source": "files", "files": files},
            "listeners": {"ingress": {"addresses": ["127.0.0.1:0"]}},
        },
        settings or {},
    )
    domains = (ca.trust_domain, *(one.trust_domain for one in others))
    callers = a_policy(agents=among(own, *(f"spiffe://{one}{CALLER}" for one in domains)))
    async with a_world(
        callers if policy is None else policy, upstreams=upstreams, settings=whole
    ) as world:
        yield Node(world=world, ca=ca, folder=folder, path=path)


def inward(prefix: str = "/", **more: Any) -> JsonObject:
    """The settings of an upstream that is the local agent."""
    return {"direction": "ingress", "prefix": prefix, "networks": NETWORKS, **more}


def peer_upstream(port: int, *expect: str, **more: Any) -> JsonObject:
    """The settings of an upstream that is another sidecar's ingress."""
    return {
        "url": f"https://127.0.0.1:{port}/",
        "networks": NETWORKS,
        "tls": {"spiffe": {"expect": list(expect)}},
        **more,
    }


async def ends_within(seconds: float, holds: Callable[[], bool]) -> None:
    """Until `holds`. Raises `TimeoutError` where it takes longer."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the other side is a socket
            await asyncio.sleep(0.005)
