"""P07: the body is judged; headers that disagree, repeated keys and batches are `malformed`."""

import orjson
import pytest

from tests.support.mcp_exchange import modern
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import a_policy

SAFE, UNSAFE = call("echo"), call("update")


async def _refused(world: World, data: bytes) -> None:
    async with world.refuses("malformed"):
        answer = await world.raw(data)
    assert (answer.status, reason_of(answer)) == (400, "malformed")


@pytest.mark.parametrize(
    "changes",
    [{"mcp_name": "echo"}, {"mcp_method": "tools/list"}, {"mcp_name": "Update"}],
    ids=["name", "method", "case"],
)
async def test_P07_headers_are_not_judged_instead_of_the_body(changes: dict[str, str]) -> None:
    async with a_world(a_policy(refused=["crm/update"])) as world:
        assert (await world.raw(world.modern(SAFE))).status == 200  # they agree
        async with world.refuses("policy"):  # they agree, and the body's tool is refused
            await world.raw(world.modern(UNSAFE))
        await _refused(world, world.modern(UNSAFE, **changes))


TWICE = {
    "name": b'{"name":"echo","name":"update",',
    "name-folded": b'{"name":"echo","Name":"update",',
    "name-escaped": b'{"name":"echo","\\u006eame":"update",',
}


@pytest.mark.parametrize("key", TWICE.values(), ids=TWICE.keys())
@pytest.mark.parametrize("wire", ["legacy", "modern"])
async def test_P07_repeated_keys_are_refused(key: bytes, wire: str) -> None:
    async with a_world() as world:
        assert (await world.raw(getattr(world, wire)(SAFE))).status == 200
        whole = orjson.dumps(SAFE if wire == "legacy" else modern(SAFE))
        body = whole.replace(b'{"name":"echo",', key)
        assert body != whole
        data = getattr(world, wire)(SAFE)
        head = data[: data.index(b"\r\n\r\n")].replace(
            b"Content-Length: %d" % len(whole), b"Content-Length: %d" % len(body)
        )
        await _refused(world, head + b"\r\n\r\n" + body)


@pytest.mark.parametrize("batch", [[SAFE], [SAFE, UNSAFE], []], ids=["one", "two", "none"])
async def test_P07_batches_are_refused(batch: list[object]) -> None:
    async with a_world() as world:
        assert (await world.raw(world.legacy(SAFE))).status == 200
        await _refused(world, world.legacy(orjson.dumps(batch)))
