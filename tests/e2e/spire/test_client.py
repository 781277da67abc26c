"""Our Workload API client against SPIRE's own agent: what a fake cannot promise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from outrider.cli.demo.spire.nodes import SYNC_S, Agent
from outrider.config.identity_checks import endpoint_of
from outrider.config.identity_settings import WorkloadApi as Settings
from outrider.core.clock import SystemClock
from outrider.core.errors import CredentialUnavailableError
from outrider.identity.jwt_svid import Expectation, verify_jwt_svid
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import Snapshot, SourceState
from outrider.identity.workload_api import WorkloadApi
from tests.support.identity import RecordingIdentityEvents
from tests.support.spire import (
    OURS,
    PLENTY_S,
    TOLD_S,
    Realm,
    another_agent,
    federated,
    within,
)

pytestmark = [pytest.mark.spire, pytest.mark.timeout(120)]
SHORT_S = 14
"""A life that rotates about every three seconds: SPIRE adds 10 s before it."""


@dataclass(slots=True, kw_only=True)
class Client:
    """Our client on one agent, with every snapshot that it gave."""

    keeper: IdentityKeeper
    api: WorkloadApi
    events: RecordingIdentityEvents
    clock: SystemClock
    snapshots: list[Snapshot] = field(default_factory=list)

    @property
    def state(self) -> SourceState:
        return self.keeper.state()

    @property
    def spiffe_id(self) -> str | None:
        own = self.keeper.own()
        return own.spiffe_id.text if own is not None else None

    async def until(self, state: SourceState, limit_s: float = PLENTY_S) -> float:
        return await within(limit_s, lambda: self.state is state, f"the client is {state}")

    async def is_now(self, spiffe_id: str) -> None:
        """Until our SVID is of `spiffe_id`: that of the test before may still be told at first."""
        await within(PLENTY_S, lambda: self.spiffe_id == spiffe_id, f"the client is {spiffe_id}")

    def verify(self, token: str, audience: str) -> str:
        """Whom our own validator takes `token` for, by the bundles that came over the stream."""
        verified = verify_jwt_svid(
            token,
            bundles=self.keeper.snapshot().jwt,
            expected=Expectation(
                audience=audience,
                trust_domains=frozenset({"a.test", "b.test"}),
                leeway_s=5,
                max_life_s=3600,
            ),
            now_unix_s=self.clock.unix_s(),
        )
        return verified.subject.text


@asynccontextmanager
async def a_client(agent: Agent, **settings: Any) -> AsyncIterator[Client]:
    target = endpoint_of(agent.address)
    assert target is not None
    clock, events = SystemClock(), RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=clock, events=events)
    api = WorkloadApi(
        target=target,
        keeper=keeper,
        clock=clock,
        events=events,
        settings=Settings(),
        spiffe_id=settings.get("spiffe_id"),
    )
    client = Client(keeper=keeper, api=api, events=events, clock=clock)
    keeper.tell(client.snapshots.append)
    async with asyncio.TaskGroup() as group:
        job = group.create_task(api.run())
        try:
            yield client
        finally:
            job.cancel()
            await api.close()


async def test_it_waits_for_an_entry_and_has_no_gap_over_two_rotations(realm: Realm) -> None:
    async with a_client(realm.agent) as client:
        await client.until(SourceState.REDACTED)
        await realm.grant("/rotated", OURS, ttl_s=SHORT_S)
        await client.is_now("spiffe://a.test/rotated")
        client.snapshots.clear()

        def leaves() -> set[str]:
            return {one.svid.leaf_sha256 for one in client.snapshots if one.svid is not None}

        await within(PLENTY_S, lambda: len(leaves()) >= 2, "it rotated twice")
        assert all(one.svid is not None for one in client.snapshots)
        assert client.state is SourceState.SERVING
        assert client.events.updates["x509", "discarded"] == 0
        assert set(client.keeper.snapshot().x509) == {"a.test"}


async def test_an_entry_taken_away_ends_the_identity_and_a_new_one_brings_it_back(
    realm: Realm,
) -> None:
    async with a_client(realm.agent) as client:
        entry = await realm.grant("/taken", OURS)
        await client.is_now("spiffe://a.test/taken")
        await realm.take_back(entry)
        await client.until(SourceState.REDACTED, TOLD_S)
        assert client.spiffe_id is None
        assert client.keeper.snapshot().anchors == {}
        await realm.grant("/taken", OURS)
        await client.is_now("spiffe://a.test/taken")
        assert client.state is SourceState.SERVING


async def test_a_killed_agent_is_outlived_and_heard_again_when_it_is_back(realm: Realm) -> None:
    async with another_agent(realm, "/mortal") as agent, a_client(agent) as client:
        await realm.grant("/survivor", OURS, agent=agent)
        await client.until(SourceState.SERVING)
        before = client.keeper.own()
        await asyncio.to_thread(agent.kill)
        await client.until(SourceState.DISCONNECTED)
        assert client.keeper.own() is before
        await asyncio.to_thread(agent.start)
        await client.until(SourceState.SERVING)
        assert client.spiffe_id == "spiffe://a.test/survivor"


async def test_a_jwt_svid_goes_round_though_the_agents_keys_say_nothing_of_their_use(
    realm: Realm,
) -> None:
    """SPIRE's Workload API sends JWT bundles without `use` (IDENTITY §6.1, key choice trap)."""
    async with a_client(realm.agent) as client:
        await realm.grant("/bearer", OURS)
        await client.is_now("spiffe://a.test/bearer")

        def has_keys() -> bool:
            bundle = client.keeper.snapshot().jwt.by_domain.get("a.test")
            return bundle is not None and len(bundle.jwt_keys) > 0

        await within(PLENTY_S, has_keys, "the keys of a.test have come")
        svid = await client.api.fetch_jwt_svid("outrider-tests")
        assert svid.spiffe_id.text == "spiffe://a.test/bearer"
        token = svid.token.reveal().decode()
        assert client.verify(token, "outrider-tests") == "spiffe://a.test/bearer"
        assert await client.api.fetch_jwt_svid("outrider-tests") is svid
        assert client.events.fetches == {"ok": 1}
        assert 0 < svid.expires_unix_s - client.clock.unix_s() <= 60 + SYNC_S


async def test_without_an_entry_there_is_no_jwt_svid_either(realm: Realm) -> None:
    async with a_client(realm.agent) as client:
        await within(PLENTY_S, lambda: client.state is SourceState.REDACTED, "it is told so")
        with pytest.raises(CredentialUnavailableError):
            await client.api.fetch_jwt_svid("outrider-tests")


async def test_the_identity_that_settings_ask_for_is_taken_and_no_other(realm: Realm) -> None:
    wanted = realm.id_of("/second")
    async with a_client(realm.agent, spiffe_id=wanted) as client:
        await realm.grant("/first", OURS)
        await within(PLENTY_S, lambda: client.events.updates["x509", "applied"] > 0, "an SVID came")
        assert (client.state, client.spiffe_id) == (SourceState.REDACTED, None)
        entry = await realm.grant("/second", OURS)
        await client.is_now(wanted)
        await realm.take_back(entry)
        await client.until(SourceState.REDACTED, TOLD_S)
        assert client.spiffe_id is None


async def test_another_domains_authorities_come_and_go_with_the_federation(
    realm: Realm, other: Realm
) -> None:
    async with a_client(realm.agent) as client:

        def domains() -> tuple[set[str], set[str]]:
            snapshot = client.keeper.snapshot()
            return set(snapshot.anchors), set(snapshot.jwt.by_domain)

        async with federated(realm, other):
            await realm.grant("/friend", OURS, federates_with=("b.test",))
            await client.is_now("spiffe://a.test/friend")
            both = {"a.test", "b.test"}
            await within(PLENTY_S, lambda: domains() == (both, both), "both domains are known")
            one, two = (client.keeper.snapshot().anchors[name] for name in sorted(both))
            assert not one & two
        alone = {"a.test"}
        await within(TOLD_S, lambda: domains() == (alone, alone), "b.test is forgotten")
        assert client.state is SourceState.SERVING
