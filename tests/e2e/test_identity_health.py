"""A sidecar under an SVID of files says on every face how it is: readiness, gauges, the command."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from outrider.core.jsonvalue import JsonObject, as_object
from tests.support.command import Said, outrider
from tests.support.net import dialled
from tests.support.sidecar import World, a_world
from tests.support.spiffe_ca import Ca, a_ca, bundle_of
from tests.support.spiffe_wire import listening, their_server
from tests.support.svid_directory import write_svid

PATH = "/ns/support/sa/triage"
OWN = f"spiffe://acme.test{PATH}"


class Room:
    """A running sidecar and the files that its identity is read from."""

    def __init__(self, world: World, ca: Ca, folder: Path) -> None:
        self.world = world
        self.ca = ca
        self.folder = folder

    def renew(self, **changes: Any) -> None:
        write_svid(self.folder, self.ca, PATH, **changes)

    async def ready(self) -> tuple[int, str]:
        answer = await self.world.telemetry("/readyz")
        return answer.status, answer.body.decode()

    async def until_ready_says(self, status: int, words: str) -> str:
        async with asyncio.timeout(15):
            while True:
                found, body = await self.ready()
                if found == status and words in body:
                    return body
                await asyncio.sleep(0.05)

    async def asked(self, *words: str) -> Said:
        """The command line, at this sidecar's control listener."""
        return await asyncio.to_thread(outrider, "identity", *words, "--config", self.config)

    @property
    def config(self) -> Path:
        return self.world.room / "here.yaml"

    def point(self) -> None:
        """Settings by which the command line finds the port that the system chose."""
        text = (self.world.room / "outrider.yaml").read_text("utf-8")
        (address,) = self.world.sidecar.control.addresses
        document = as_object(yaml.safe_load(text))
        listeners = as_object(document["listeners"])
        listeners["control"] = {"addresses": [address]}
        self.config.write_bytes(orjson.dumps(document))


@asynccontextmanager
async def a_room(
    folder: Path, *, identity: JsonObject | None = None, **changes: Any
) -> AsyncIterator[Room]:
    ca = a_ca("acme.test")
    write_svid(folder, ca, PATH, **changes)
    files: JsonObject = {"source": "files", "files": {"directory": str(folder)}}
    settings: JsonObject = {"identity": {"spiffe_id": OWN, **(identity or files)}}
    async with a_world(settings=settings) as world:
        room = Room(world, ca, folder)
        room.point()
        yield room


async def test_from_degraded_to_run_out_and_back_readiness_and_gauges_say_it(
    tmp_path: Path,
) -> None:
    async with a_room(tmp_path, seconds=(-12, 3)) as room:
        body = await room.until_ready_says(200, "identity: degraded: ")
        assert body.startswith("ok\n")
        assert "identity.files renews it" in body

        body = await room.until_ready_says(503, "identity: expired: ")
        assert "the files of identity.files gave no other" in body
        await room.world.until(
            lambda: room.world.metric("identity_workload_api_state", state="expired") == 1
        )
        assert room.world.metric("identity_svid_seconds_remaining") == 0
        assert room.world.metric("identity_svid_lifetime_seconds") == 15
        assert (await room.world.telemetry("/livez")).status == 200
        said = await room.asked("show")
        assert said.code == 1
        assert "expired: our SVID ran out" in said.out

        room.renew()
        assert await room.until_ready_says(200, "ok\n") == "ok\n"
        await room.world.until(
            lambda: room.world.metric("identity_workload_api_state", state="serving") == 1
        )
        assert room.world.metric("identity_svid_seconds_remaining") > 3000
        assert (await room.asked("show")).code == 0


async def test_as_json_readiness_names_the_state_and_since(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        told = orjson.loads((await room.world.telemetry("/readyz?format=json")).body)
    (identity,) = [one for one in told if one["name"] == "identity"]
    assert (identity["ok"], identity["state"], identity["detail"]) == (True, "ok", "serving")
    assert identity["since"].endswith("Z")


async def test_without_an_agent_it_waits_and_is_not_ready(tmp_path: Path) -> None:
    api: JsonObject = {
        "source": "workload_api",
        "workload_api": {"address": f"unix://{tmp_path}/nobody.sock"},
    }
    async with a_room(tmp_path, identity=api) as room:
        body = await room.until_ready_says(503, "there is no such socket")
        assert "identity: waiting: no SVID came from the Workload API yet" in body
        assert f"unix:{tmp_path}/nobody.sock" in body
        said = await room.asked("show", "--json")
    assert (said.code, said.json["state"], said.json["proven"]) == (1, "waiting", False)
    assert said.json["svid"] is None


async def test_a_peer_is_checked_and_the_check_is_on_the_chain(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        async with listening(their_server(room.ca.svid("/crm"))) as echo:
            good = await room.asked("check", f"127.0.0.1:{echo.port}", "--json")
        async with listening(their_server(a_ca("other.test").svid("/crm"))) as echo:
            bad = await room.asked("check", f"https://127.0.0.1:{echo.port}", "--json")
        named = await room.asked("check", "crm")
        noted = [
            record["admin"]
            for record in room.world.records("admin")
            if record["admin"]["operation"] == "POST /v1/identity/check"
        ]
        handshakes = room.world.metric("identity_handshakes_total", role="client")
    assert (good.code, good.json["reason"], good.json["ours"]) == (0, "ok", OWN)
    assert (bad.code, bad.json["reason"]) == (1, "unknown_authority")
    assert bad.json["found"]["verified"] is False
    assert (named.code, named.out) == (2, "")
    assert "upstreams.crm.url is not https" in named.err
    assert noted == [{"operation": "POST /v1/identity/check", "result": "ok"}] * 3
    assert not handshakes  # a check is no traffic


async def test_a_watch_tells_of_a_rotation(tmp_path: Path) -> None:
    async with a_room(tmp_path) as room:
        before = (await room.asked("show", "--json")).json["svid"]["leaf_sha256"]
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(room.asked("watch", "--json", "--changes", "1"))
            await room.world.until(
                lambda: len(room.world.records("admin")) >= 3  # two looks, and a wait
            )
            # not by the files, which are three: one that is read between two writes is told too
            room.world.sidecar.identity.keeper.take_x509(
                room.ca.own(PATH), {"acme.test": bundle_of(room.ca)}, own_domain="acme.test"
            )
    said = watching.result()
    first, then = map(orjson.loads, said.out.splitlines())
    assert said.code == 0
    assert (first["what"], first["svid"]["leaf_sha256"]) == (["now"], before)
    assert "rotated" in then["what"]
    assert then["svid"]["leaf_sha256"] != before


@pytest.mark.parametrize("token", [b"", b"Bearer " + b"x" * 64], ids=["none", "wrong"])
@pytest.mark.parametrize("path", ["/v1/identity", "/v1/identity/check"])
async def test_nobody_but_an_operator_is_told(tmp_path: Path, path: str, token: bytes) -> None:
    async with a_room(tmp_path) as room:
        (address,) = room.world.sidecar.control.addresses
        port = int(address.rpartition(":")[2])
        async with dialled(port) as client:
            fields = f"Authorization: {token.decode()}\r\n" if token else ""
            await client.send(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n".encode())
            answer = await client.answer()
    assert answer.status == 401
    assert b"acme.test" not in answer.body
