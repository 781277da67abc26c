"""Pinned definitions, through the listeners: what is stored and told, and what a person accepts."""

from typing import Any

import orjson
import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.pins import PinTable
from tests.support.mcp_exchange import a_tool, request
from tests.support.net import RawAnswer, dialled
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, reason_of

LIST = request("tools/list")


async def _lists(world: World) -> Json:
    return reason_of(await world.raw(world.legacy(LIST)))


def _events(world: World) -> list[str]:
    return [record["note"]["event"] for record in world.records() if record.get("note")]


async def _accepts(world: World, digest: str) -> RawAnswer:
    port = int(world.sidecar.control.addresses[0].rpartition(":")[2])
    token = (world.room / "data" / "control.token").read_text().strip()
    pins = [{"kind": "tools", "name": "echo", "digest": digest}]
    body = orjson.dumps({"upstream": "crm", "pins": pins})
    head = (
        f"POST /v1/pins/accept HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with dialled(port) as client:
        await client.send(head.encode() + body)
        return await client.answer()


def _seen(world: World) -> str:
    pin = world.sidecar.pins.get("crm", "tools", "echo")
    assert pin is not None
    return pin.seen


async def test_what_a_store_fault_kept_from_being_stored_is_stored_and_told_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        put: Any = type(world.sidecar.store).put

        async def full(self: Any, table: str, key: str, value: JsonObject | None) -> None:
            raise StoreUnavailableError("the disk is full")

        monkeypatch.setattr(type(world.sidecar.store), "put", full)
        assert await _lists(world) == "store_unavailable"
        monkeypatch.setattr(type(world.sidecar.store), "put", put)
        assert await _lists(world) is None
        await world.quiet()
        assert _events(world).count("definition_pinned") == len(world.sidecar.pins.listed("crm"))
        again = PinTable()
        again.load(await world.sidecar.store.items("pins"))
        assert again.listed() == world.sidecar.pins.listed()


async def test_an_acceptance_is_of_the_definition_that_was_reviewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await _lists(world)
        world.crm.fake.tools[0] = a_tool(description="second")
        await _lists(world)
        second = _seen(world)
        put: Any = type(world.sidecar.store).put

        async def meanwhile(self: Any, table: str, key: str, value: JsonObject | None) -> None:
            await put(self, table, key, value)
            if value is not None and value.get("state") == "pinned":
                monkeypatch.setattr(type(world.sidecar.store), "put", put)
                world.crm.fake.tools[0] = a_tool(description="third")
                await _lists(world)

        monkeypatch.setattr(type(world.sidecar.store), "put", meanwhile)
        assert (await _accepts(world, second)).status == 200
        assert reason_of(await world.raw(world.legacy(call()))) == "definition_changed"
        late = await _accepts(world, second)
        assert (late.status, b"something else" in late.body) == (409, True)
        assert (await _accepts(world, _seen(world))).status == 200
        assert reason_of(await world.raw(world.legacy(call()))) is None
        await world.quiet()
        notes = [record["note"] for record in world.records("definition")]
        accepted = [one["digest"] for one in notes if one["event"] == "definition_accepted"]
        assert accepted == [second, _seen(world)]
