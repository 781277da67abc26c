"""What SPIRE itself says of the ground that the other tests stand on."""

import asyncio
import subprocess
from typing import Any

import orjson
import pytest

from outrider.cli.demo.spire.users import as_user
from tests.support.spire import PLENTY_S, TOLD_S, Realm, a_user, another_agent, federated, within

pytestmark = [pytest.mark.spire, pytest.mark.timeout(120)]


def _said(realm: Realm, uid: int, socket: str) -> Any:
    """What the agent tells a workload of `uid`: its SVIDs and the bundles of other domains."""
    program = str(realm.ground.programs.agent)
    words = ["api", "fetch", "x509", "-socketPath", socket, "-output", "json", "-silent"]
    done = subprocess.run(
        as_user(uid, [program, *words]), capture_output=True, check=False, timeout=PLENTY_S
    )
    return orjson.loads(done.stdout) if done.returncode == 0 else {"svids": []}


def _fetched(realm: Realm, uid: int, socket: str) -> list[str]:
    return [svid["spiffe_id"] for svid in _said(realm, uid, socket)["svids"]]


async def test_a_workload_is_who_its_uid_is_and_nobody_else(realm: Realm) -> None:
    planner, tracker, stranger = a_user(), a_user(), a_user()
    await realm.grant("/planner", planner)
    await realm.grant("/tracker", tracker)
    socket = str(realm.agent.socket)

    async def gets(uid: int, *paths: str) -> bool:
        found = await asyncio.to_thread(_fetched, realm, uid, socket)
        return found == [realm.id_of(path) for path in paths]

    await within(PLENTY_S, lambda: gets(planner, "/planner"), "the planner has its SVID")
    await within(PLENTY_S, lambda: gets(tracker, "/tracker"), "the tracker has its SVID")
    assert await gets(stranger)


async def test_an_agent_that_was_killed_joins_again_and_serves_the_same_entries(
    realm: Realm,
) -> None:
    user = a_user()
    async with another_agent(realm, "/killed") as agent:
        await realm.grant("/worker", user, agent=agent)

        async def serves() -> bool:
            return bool(await asyncio.to_thread(_fetched, realm, user, str(agent.socket)))

        await within(PLENTY_S, serves, "the workload has its SVID")
        await asyncio.to_thread(agent.kill)
        assert not await serves()
        await asyncio.to_thread(agent.start)
        await within(PLENTY_S, serves, "the workload has its SVID again")


async def test_another_domain_is_known_to_entries_that_ask_for_it_as_long_as_both_servers_agree(
    realm: Realm, other: Realm
) -> None:
    told, untold = a_user(), a_user()

    async def knows(uid: int) -> bool:
        said = await asyncio.to_thread(_said, realm, uid, str(realm.agent.socket))
        return bool(said["svids"]) and "spiffe://b.test" in said.get("federated_bundles", {})

    async with federated(realm, other):
        await realm.grant("/told", told, federates_with=("b.test",))
        await realm.grant("/untold", untold)
        await within(PLENTY_S, lambda: knows(told), "b.test is known")
        assert not await knows(untold)

    async def forgot() -> bool:
        return not await knows(told)

    await within(TOLD_S, forgot, "b.test is forgotten")
