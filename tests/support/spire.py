"""Real SPIRE for tests: what `deploy/spire` describes, on loopback, or a skip that says why not.

Laws: nothing outlives its `with`; waiting is bounded; a workload is who the kernel says it is.
"""

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from outrider.cli.demo.spire.nodes import SYNC_S, Agent, Entry, Ground, Server
from outrider.cli.demo.spire.programs import Programs, find_programs
from outrider.cli.demo.spire.users import why_no_other_user
from outrider.cli.demo.stage import free_ports
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError

TOLD_S: Final = SYNC_S + 1.0
"""Within this a change of entries has reached a workload (issue 4, "Shows")."""
PLENTY_S: Final = 30.0
OURS: Final = os.getuid()
"""The uid of the tests themselves: what they fetch themselves they are given by it."""

_NO_USERS: Final = why_no_other_user(os.environ, Path(tempfile.gettempdir()) / "any")
_users = itertools.count(70_001)


@cache
def _found() -> Programs | str:
    try:
        return find_programs(os.environ)
    except ConfigError as fault:
        return str(fault)


def spire_programs() -> Programs:
    """SPIRE's programs on this machine; skips where there are none."""
    found = _found()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def a_user() -> int:
    """A uid that no other test uses; skips where workloads cannot differ by uid."""
    if _NO_USERS is not None:
        pytest.skip(f"workloads differ by uid here: {_NO_USERS}")
    return next(_users)


@contextmanager
def a_ground() -> Iterator[Ground]:
    """A folder with a short path that every uid may pass through."""
    programs = spire_programs()
    with tempfile.TemporaryDirectory(prefix="sp-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": folder}
        yield Ground(programs=programs, home=home, environ=environ, clock=SystemClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """A trust domain with a server and one agent, both running."""

    ground: Ground
    server: Server
    agent: Agent
    entries: list[str] = field(default_factory=list)

    def id_of(self, path: str) -> str:
        return self.server.id_of(path)

    async def grant(
        self,
        path: str,
        uid: int,
        *,
        ttl_s: int = 3600,
        federates_with: tuple[str, ...] = (),
        agent: Agent | None = None,
    ) -> str:
        """Register the workload of `uid`; the id of the entry, which ends with the test."""
        entry = Entry(
            spiffe_id=self.id_of(path),
            parent=(agent or self.agent).id,
            selector=f"unix:uid:{uid}",
            ttl_s=ttl_s,
            federates_with=federates_with,
        )
        made = await asyncio.to_thread(self.server.create, entry)
        self.entries.append(made)
        return made

    async def take_back(self, entry: str) -> None:
        self.entries.remove(entry)
        await asyncio.to_thread(self.server.delete, entry)

    def clear(self) -> None:
        """Delete every entry that is left."""
        while self.entries:
            self.server.delete(self.entries.pop())


@contextmanager
def a_realm(ground: Ground, trust_domain: str) -> Iterator[Realm]:
    """Server and agent of `trust_domain`, started and ready."""
    one, two = free_ports(2)
    with ExitStack() as stack:
        server = stack.enter_context(ground.server(trust_domain, (one, two)))
        server.run()
        agent = stack.enter_context(ground.agent(server))
        agent.start()
        yield Realm(ground=ground, server=server, agent=agent)


@asynccontextmanager
async def another_agent(realm: Realm, path: str) -> AsyncIterator[Agent]:
    """One more agent of `realm`, for tests that take it away."""
    agent = await asyncio.to_thread(realm.ground.agent, realm.server, path)
    try:
        await asyncio.to_thread(agent.start)
        yield agent
    finally:
        await asyncio.to_thread(agent.close)


@dataclass(slots=True)
class Federation:
    """Which server trusts which other's word, until it is withdrawn."""

    stands: list[tuple[Server, Server]] = field(default_factory=list)

    async def begin(self, server: Server, told_of: Server) -> None:
        await asyncio.to_thread(server.federate, told_of)
        self.stands.append((server, told_of))

    async def withdraw(self, server: Server) -> None:
        """`server` trusts nobody but itself from now on."""
        for pair in [pair for pair in self.stands if pair[0] is server]:
            self.stands.remove(pair)
            await asyncio.to_thread(server.withdraw, pair[1])


@asynccontextmanager
async def federated(one: Realm, other: Realm) -> AsyncIterator[Federation]:
    """Each of two trust domains knows the other's bundle; no more afterwards."""
    federation = Federation()
    try:
        await federation.begin(one.server, other.server)
        await federation.begin(other.server, one.server)
        yield federation
    finally:
        for server in (one.server, other.server):
            await federation.withdraw(server)


async def within(limit_s: float, holds: Callable[[], Awaitable[bool] | bool], what: str) -> float:
    """Seconds until `holds`, looked at often; fails past `limit_s`, naming `what`."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        found = holds()
        if found if isinstance(found, bool) else await found:
            return loop.time() - began_s
        if loop.time() - began_s > limit_s:
            pytest.fail(f"not within {limit_s:.1f} s: {what}")
        await asyncio.sleep(0.02)
