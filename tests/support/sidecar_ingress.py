"""A whole sidecar that SPIFFE peers call: its SVID in files, its agent behind the ingress."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from outrider.core.jsonvalue import JsonObject
from tests.support.net import RawAnswer, RawClient
from tests.support.sidecar import NETWORKS, GuardedUpstream, World, _laid, a_world
from tests.support.sidecar_policy import Files, a_policy, an_agent
from tests.support.spiffe_ca import Ca, Svid, a_ca
from tests.support.spiffe_wire import their_client
from tests.support.svid_directory import write_svid

PATH: Final = "/ns/support/sa/triage"
OWN: Final = f"spiffe://acme.test{PATH}"
PLANNER: Final = "spiffe://acme.test/ns/desk/sa/planner"
PARTNER: Final = "spiffe://beta.test/partner"


@dataclass(slots=True, kw_only=True)
class Called:
    """The running sidecar, the authorities of both trust domains, and the files of its SVID."""

    world: World
    folder: Path
    acme: Ca
    beta: Ca
    federated: tuple[Ca, ...] = field(default=())

    @property
    def port(self) -> int:
        ingress = self.world.sidecar.ingress
        assert ingress is not None
        return ingress.ports[0]

    def planner(self, **changes: Any) -> Svid:
        return self.acme.svid("/ns/desk/sa/planner", **changes)

    def trust(self, *federated: Ca) -> None:
        """Write the files anew, with these federated trust domains alone."""
        write_svid(self.folder, self.acme, PATH, federated=federated)

    @asynccontextmanager
    async def connected(self, svid: Svid | None) -> AsyncIterator[RawClient]:
        """A connection under `svid`. Raises `OSError` where the handshake already fails."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=their_client(svid), server_hostname=""
        )
        client = RawClient(reader, writer)
        try:
            yield client
        finally:
            await client.close()

    def request(self, target: str, *fields: str) -> bytes:
        lines = [f"GET {target} HTTP/1.1", "Host: agent.acme.test", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def ask(self, svid: Svid | None, target: str, *fields: str) -> RawAnswer:
        """One request on a connection of its own."""
        async with self.connected(svid) as client:
            await client.send(self.request(target, *fields))
            return await client.answer()

    async def served(self, svid: Svid | None, target: str = "/tickets") -> int | None:
        """The status, or None where the connection ended without an answer."""
        try:
            return (await self.ask(svid, target)).status
        except (OSError, asyncio.IncompleteReadError):
            return None


def callers_policy(**changes: Any) -> dict[str, str | JsonObject]:
    """Both callers may do what the local agent may."""
    agents = {OWN: an_agent(), PLANNER: an_agent(), PARTNER: an_agent()}
    return a_policy(**{"agents": agents} | changes)


@asynccontextmanager
async def a_called_sidecar(
    folder: Path, policy: Files | None = None, settings: JsonObject | None = None
) -> AsyncIterator[Called]:
    """A sidecar of acme.test that trusts beta.test too, its agent's `desk` behind ingress `/`.

    `folder` takes the files of the SVID; `settings` are laid over the rest, key by key."""
    acme, beta = a_ca("acme.test"), a_ca("beta.test")
    write_svid(folder, acme, PATH, federated=(beta,))
    source: JsonObject = {
        "directory": str(folder),
        "federated": {"beta.test": "federated.beta.test.pem"},
    }
    desk: JsonObject = {"direction": "ingress", "prefix": "/", "networks": NETWORKS}
    whole = _laid(
        {
            "identity": {"spiffe_id": OWN, "source": "files", "files": source},
            "listeners": {"ingress": {"addresses": ["127.0.0.1:0"]}},
            "upstreams": {"desk": desk},
        },
        settings or {},
    )
    async with a_world(
        callers_policy() if policy is None else policy,
        upstreams={"desk": GuardedUpstream()},
        settings=whole,
    ) as world:
        yield Called(world=world, folder=folder, acme=acme, beta=beta)
