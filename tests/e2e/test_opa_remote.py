"""A sidecar that asks an OPA elsewhere, each under its SVID: what it decides, and what ends it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from outrider.config.load import validate
from outrider.core.jsonvalue import JsonObject
from outrider.policy.opa_bundles import BundleSource
from outrider.policy.release import load
from tests.support.command import outrider
from tests.support.opa_remote import OPA, SAMPLE, RemoteOpa, remote_opa
from tests.support.sidecar import World, a_world
from tests.support.sidecar_policy import AGENT, a_policy, write_policy
from tests.support.spiffe_ca import Ca, a_ca
from tests.support.svid_directory import write_svid

pytestmark = pytest.mark.opa
POLICY = a_policy(refused=["desk/GET /tickets/{id}"])
PATIENCE_S = 15.0
BLOCKS = re.findall(
    r"```yaml\n(.*?)```", (SAMPLE / "README.md").read_text(encoding="utf-8"), re.DOTALL
)
SAMPLE_SETTINGS = BLOCKS[0]


@dataclass(slots=True, kw_only=True)
class Room:
    """A running sidecar, its OPA, and where its SVID comes from."""

    world: World
    opa: RemoteOpa
    ca: Ca
    folder: Path

    def hold(self, ca: Ca | None = None) -> None:
        """Another SVID for the sidecar, and with `ca` other trust than before."""
        write_svid(self.folder, ca or self.ca, AGENT.removeprefix("spiffe://acme.test"))

    async def until_generation_is_above(self, number: int) -> None:
        keeper = self.world.sidecar.identity.keeper
        await self.world.until(lambda: keeper.snapshot().generation > number)

    async def until_ready_is(self, status: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if (await self.world.telemetry("/readyz")).status == status:
                    return
                await asyncio.sleep(0.05)

    async def until_told(self, words: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if words in (await self.world.telemetry("/readyz")).body:
                    return
                await asyncio.sleep(0.05)

    @property
    def generation(self) -> int:
        return self.world.sidecar.identity.keeper.snapshot().generation


async def _offered(source: BundleSource, folder: Path) -> None:
    release = await asyncio.to_thread(lambda: load(write_policy(folder / "policy", POLICY)))
    source.offer(release)


@asynccontextmanager
async def a_room(folder: Path) -> AsyncIterator[Room]:
    ca = a_ca("acme.test")
    write_svid(folder / "svid", ca, AGENT.removeprefix("spiffe://acme.test"))
    async with remote_opa(ca, admits=AGENT) as (opa, source):
        await _offered(source, folder)
        settings: JsonObject = {
            "identity": {"source": "files", "files": {"directory": str(folder / "svid")}},
            "policy": {
                "engine": "opa",
                "timeout_ms": 5000,
                "opa": {
                    "mode": "remote",
                    "url": f"https://127.0.0.1:{opa.port}",
                    "expect": [f"spiffe://acme.test{OPA}"],
                },
            },
        }
        async with a_world(POLICY, settings=settings) as world:
            await world.until(lambda: world.sidecar.keeper.status().revision is not None)
            yield Room(world=world, opa=opa, ca=ca, folder=folder / "svid")


async def test_it_lets_pass_and_refuses_as_that_opa_says(tmp_path):
    async with a_room(tmp_path) as room:
        assert (await room.world.get("/desk/tickets")).status == 200
        async with room.world.refuses("policy") as records:
            assert (await room.world.get("/desk/tickets/7")).status == 403
        assert records[0]["decision"]["engine"] == "opa"
        assert (await room.world.telemetry("/readyz")).status == 200


async def test_a_rotated_svid_refuses_nothing(tmp_path):
    async with a_room(tmp_path) as room:
        for _ in range(3):
            before = room.generation
            room.hold()
            while room.generation == before:
                assert (await room.world.get("/desk/tickets")).status == 200
            assert (await room.world.get("/desk/tickets")).status == 200
        made = room.world.metric("identity_handshakes_total", role="client", reason="ok")
        assert made >= 4


async def test_when_opas_authority_is_withdrawn_everything_is_refused_until_it_is_back(tmp_path):
    async with a_room(tmp_path) as room:
        assert (await room.world.get("/desk/tickets")).status == 200
        before = room.generation
        room.hold(a_ca("acme.test"))
        await room.until_generation_is_above(before)
        async with room.world.refuses("policy_unavailable"):
            assert (await room.world.get("/desk/tickets")).status == 503
        await room.until_ready_is(503)
        before = room.generation
        room.hold()
        await room.until_generation_is_above(before)
        await room.until_ready_is(200)
        assert (await room.world.get("/desk/tickets")).status == 200


async def test_when_opa_is_gone_everything_is_refused_until_it_is_back(tmp_path):
    async with a_room(tmp_path) as room:
        await room.opa.stop()
        async with room.world.refuses("policy_unavailable"):
            assert (await room.world.get("/desk/tickets")).status == 503
        await room.until_ready_is(503)
        await room.opa.start()
        await room.until_ready_is(200)
        assert (await room.world.get("/desk/tickets")).status == 200


async def test_an_opa_that_does_not_let_us_ask_is_told_until_it_does(tmp_path):
    async with a_room(tmp_path) as room:
        await asyncio.to_thread(room.opa.admit, "spiffe://acme.test/another")
        await room.opa.start()
        await room.until_told(b"name our SPIFFE ID")
        for _ in range(5):  # what callers are answered does not hide it
            await room.world.get("/desk/tickets")
            assert (await room.world.telemetry("/readyz")).status == 503
        await asyncio.to_thread(room.opa.admit, AGENT)
        await room.opa.start()
        await room.until_ready_is(200)
        assert (await room.world.get("/desk/tickets")).status == 200


async def test_an_opa_with_the_bundle_that_policy_build_makes_has_the_same_policy(tmp_path):
    async with a_room(tmp_path) as room:
        bundle = tmp_path / "bundle.tar.gz"
        said = await asyncio.to_thread(
            outrider, "policy", "build", tmp_path / "policy", "-o", bundle, "--json"
        )
        assert said.json["revision"] == room.world.sidecar.keeper.status().revision
        await room.opa.stop()
        await room.until_told(b"nothing answers at https://127.0.0.1")
        settings = SAMPLE_SETTINGS.replace("/etc/opa/bundle.tar.gz", str(bundle))
        (room.opa.room / "opa.yaml").write_text(settings, "utf-8")
        await room.opa.start()
        await room.until_ready_is(200)
        assert (await room.world.get("/desk/tickets")).status == 200


def test_the_settings_that_its_readme_shows_are_good():
    validate(yaml.safe_load(BLOCKS[1]))
