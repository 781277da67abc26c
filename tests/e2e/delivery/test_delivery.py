"""Policy fetched by a whole sidecar: started on, rolled out, refused, kept, rolled back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed, read_tree, write_archive
from outrider.policy.release import built, bundle_bytes
from tests.support.bundles import FakeRegistry, FakeWeb, a_signing_key, signed, write_keys
from tests.support.sidecar import World, a_world
from tests.support.sidecar_policy import ENGINES, a_policy, write_policy


def made(room: Path, sequence: int, key: Any, changes: Any) -> bytes:
    """A policy of `sidecar_policy` as a signed bundle."""
    folder = write_policy(room / f"tree-{sequence}", a_policy(**changes))
    release = built(folder, sequence=sequence, revision=f"s{sequence}")
    plain = read_tree(Packed(name="built", content=bundle_bytes(release)))
    return write_archive(signed(plain, key))


async def packed(room: Path, *, sequence: int, key: Any = None, **changes: Any) -> bytes:
    """As `made`, beside the loop."""
    return await asyncio.to_thread(made, room, sequence, key, changes)


def fetched(url: str, room: Path, **policy: Any) -> Any:
    """Settings of a sidecar that fetches policy from `url`."""
    return {
        "policy": {
            "path": None,
            "bundle": {"url": url, "poll_s": 86_400, **policy.pop("bundle", {})},
            "signature": {"keys": {"release": {"file": str(room / "release.pem")}}},
            **policy,
        }
    }


@pytest.fixture(autouse=True)
def keys(tmp_path: Path) -> None:
    write_keys(tmp_path)
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("secret\n")


async def look(world: World) -> bool:
    assert world.sidecar.delivery is not None
    return await world.sidecar.delivery.look()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_bundle_is_rolled_out_and_an_older_one_is_not(tmp_path: Path, engine: str) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1)) as web,
        a_world(settings=fetched(web.url, tmp_path), engine=engine) as world,
    ):
        assert (await world.get("/desk/tickets")).status == 200
        first = world.sidecar.keeper.status()
        assert (first.sequence, first.signed_by) == (1, "release")
        assert not await look(world)
        assert web.seen[-1].field("if-none-match") == web.etag
        web.content = await packed(tmp_path, sequence=2, refused=["desk/GET /tickets"])
        assert await look(world)
        async with world.refuses("policy"):
            await world.get("/desk/tickets")
        web.content = await packed(tmp_path, sequence=1)
        with pytest.raises(ConfigError, match="older than 2"):
            await look(world)
        assert world.sidecar.keeper.status().sequence == 2
        assert world.metric("policy_bundle_failures_total", stage="verify") == 1
        assert world.metric("policy_revision_info") == 1
        ready = await world.telemetry("/readyz?format=json")
        assert b"revision s2" in ready.body
        records = world.records("policy")
        assert [one["policy"]["sequence"] for one in records] == [1, 2]


async def test_a_registry_is_asked_with_a_token_and_tells_what_is_unchanged(tmp_path: Path) -> None:
    async with FakeRegistry(content=await packed(tmp_path, sequence=1), challenge=True) as registry:
        login = {"username": "robot", "password_file": str(tmp_path / "password")}
        async with a_world(settings=fetched(registry.url(), tmp_path, bundle=login)) as world:
            assert (await world.get("/desk/tickets")).status == 200
            before = len(registry.paths)
            assert not await look(world)
            assert not any("blobs" in path for path in registry.paths[before:])
            registry.content = await packed(tmp_path, sequence=2)
            assert await look(world)
            assert world.sidecar.keeper.status().sequence == 2


async def test_under_load_a_roll_out_refuses_nobody(tmp_path: Path) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1)) as web,
        a_world(settings=fetched(web.url, tmp_path)) as world,
    ):
        statuses: list[int] = []
        over = asyncio.Event()

        async def ask() -> None:
            async with world.client() as client:
                while not over.is_set():
                    await client.send(world.head("GET", "/desk/tickets"))
                    statuses.append((await client.answer()).status)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask())
            for sequence in (2, 3, 4):
                web.content = await packed(tmp_path, sequence=sequence)
                assert await look(world)
            over.set()
        assert len(statuses) > 10
        assert set(statuses) == {200}
        await world.quiet()
        used = {one["decision"]["revision"] for one in world.decisions("allow")}
        assert len(used) > 1


async def test_a_start_without_its_source_goes_on_from_the_last_good_bundle(tmp_path: Path) -> None:
    web = FakeWeb(content=await packed(tmp_path, sequence=1))
    async with web:
        settings = fetched(web.url, tmp_path)
        async with a_world(settings=settings) as world:
            confirmed = world.sidecar.keeper.status().confirmed_unix_s
            folder = world.room / "data/policy"
            kept = {f"policy/{one.name}": one.read_bytes() for one in folder.iterdir()}
    async with a_world(settings=settings, kept=kept) as world:
        assert (await world.get("/desk/tickets")).status == 200
        status = world.sidecar.keeper.status()
        assert status.sequence == 1
        assert status.confirmed_unix_s == pytest.approx(confirmed, abs=0.01)
        assert world.metric("policy_bundle_failures_total", stage="download") == 1


async def test_without_any_bundle_everything_is_refused_and_readiness_says_why(
    tmp_path: Path,
) -> None:
    other = a_signing_key(id="other")
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1, key=other)) as web,
        a_world(settings=fetched(web.url, tmp_path)) as world,
    ):
        async with world.refuses("policy_unavailable"):
            await world.get("/desk/tickets")
        ready = await world.telemetry("/readyz")
        assert ready.status == 503
        assert b"policy.signature.keys does not name" in ready.body
        assert world.metric("policy_bundle_failures_total", stage="verify") >= 1


async def test_an_operator_may_go_back(tmp_path: Path) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=2)) as web,
        a_world(settings=fetched(web.url, tmp_path)) as world,
    ):
        web.content = await packed(tmp_path, sequence=1)
        with pytest.raises(ConfigError, match="older than 2"):
            await look(world)
        assert await world.sidecar.roll_back(1)
        assert world.sidecar.keeper.status().sequence == 1
        assert world.sidecar.keeper.status().sequence == 1
