"""A whole sidecar feeds its OPA from the control listener, by a token that opens nothing else."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.policy.engines.opa import OpaEngine
from outrider.policy.opa_child import OpaChild
from tests.support.net import RawAnswer, RawClient, dialled
from tests.support.sidecar import World, a_world

BUNDLE = "/v1/opa/bundle.tar.gz"
STOPS_S = 5.0
ON_UNIX: JsonObject = {"listeners": {"control": {"addresses": [], "unix": "control.sock"}}}
ON_V6: JsonObject = {"listeners": {"control": {"addresses": ["[::1]:0"]}}}


def child_of(world: World) -> OpaChild:
    engine = world.sidecar.engine
    assert isinstance(engine, OpaEngine)
    link = engine._link
    assert isinstance(link, OpaChild)
    return link


def child_files(world: World) -> tuple[Any, str]:
    """OPA's settings and token, as they lie in its folder. Blocking."""
    run = child_of(world).path.parent
    return orjson.loads((run / "opa.yaml").read_bytes()), (run / "opa.token").read_text("ascii")


async def asked(origin: str, path: str, token: str) -> RawAnswer:
    address = origin.removeprefix("http://")
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        client = RawClient(reader, writer)
        fields = f"Host: {address}\r\nAuthorization: Bearer {token}\r\n"
        await client.send(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        return await client.answer()
    finally:
        writer.close()
        await writer.wait_closed()


def operators_token(world: World) -> str:
    return world.sidecar.state.token.reveal().decode()


def url_of(settings: Any) -> str:
    return str(settings["services"]["outrider"]["url"])


@pytest.mark.parametrize("settings", [{}, ON_V6], ids=["ipv4", "ipv6"])
async def test_opa_is_fed_by_the_control_listener(settings: JsonObject) -> None:
    async with a_world(engine="opa", settings=settings) as world:
        found, _ = await asyncio.to_thread(child_files, world)
        assert url_of(found) == f"{world.sidecar.control.origin}/v1/opa"
        assert (await world.get("/desk/tickets")).status == 200


async def test_the_childs_token_opens_the_bundle_alone_and_no_other_opens_that() -> None:
    async with a_world(engine="opa") as world:
        origin = world.sidecar.control.origin
        assert origin is not None
        _, token = await asyncio.to_thread(child_files, world)
        assert (await asked(origin, BUNDLE, token)).status == 200
        for path in ("/v1/status", "/v1/policy", "/v1/pins"):
            assert (await asked(origin, path, token)).status == 403
            assert (await asked(origin, path, operators_token(world))).status == 200
        refused = [await asked(origin, BUNDLE, operators_token(world))]
        refused.append(await asked(origin, BUNDLE, "x" * 43))
        assert [answer.status for answer in refused] == [403, 401]
        assert not any(answer.body.startswith(b"\x1f\x8b") for answer in refused)
        operation = f"GET {BUNDLE}"
        await world.until(lambda: len(calls_of(world, operation)) == 2)
        assert calls_of(world, operation) == ["forbidden", "unauthenticated"]


def calls_of(world: World, operation: str) -> list[str]:
    calls = [record["admin"] for record in world.records("admin")]
    return [call["result"] for call in calls if call["operation"] == operation]


async def test_where_control_is_a_unix_socket_a_loopback_port_gives_the_bundle_alone() -> None:
    async with a_world(engine="opa", settings=ON_UNIX) as world:
        assert world.sidecar.control.origin is None
        found, token = await asyncio.to_thread(child_files, world)
        origin = url_of(found).removesuffix("/v1/opa")
        assert origin.startswith("http://127.0.0.1:")
        assert (await asked(origin, BUNDLE, token)).status == 200
        assert (await asked(origin, BUNDLE, operators_token(world))).status == 401
        assert (await asked(origin, "/v1/status", token)).status == 404
        assert (await asked(origin, "/v1/status", operators_token(world))).status == 401
        assert (await world.get("/desk/tickets")).status == 200


@pytest.mark.parametrize("settings", [{}, ON_UNIX], ids=["control", "alone"])
async def test_one_that_was_killed_is_fed_again_and_takes_the_next_policy(
    settings: JsonObject,
) -> None:
    async with a_world(engine="opa", settings=settings) as world:
        child, keeper = child_of(world), world.sidecar.keeper
        os.kill(child.pid or 0, signal.SIGKILL)
        await world.until(lambda: child.starts == 2)
        await world.until(lambda: world.sidecar.health.missing() == ())
        before = keeper.active().revision
        with (world.policy / "outrider" / "main.rego").open("a", encoding="utf-8") as file:
            file.write("\n# another word\n")
        assert await keeper.reload()
        assert keeper.active().revision != before
        assert (await world.get("/desk/tickets")).status == 200


async def test_a_reload_asked_for_on_the_control_listener_is_fed_by_it_meanwhile() -> None:
    async with a_world(engine="opa") as world:
        with (world.policy / "outrider" / "main.rego").open("a", encoding="utf-8") as file:
            file.write("\n# another word\n")
        port = int(world.sidecar.control.addresses[0].rpartition(":")[2])
        async with dialled(port) as client:
            await client.send(
                f"POST /v1/policy/reload HTTP/1.1\r\nHost: localhost:{port}\r\n"
                f"Authorization: Bearer {operators_token(world)}\r\nContent-Length: 0\r\n\r\n"
                .encode()
            )  # fmt: skip
            answer = await client.answer()
        assert (answer.status, orjson.loads(answer.body)) == (200, {"changed": True})


@pytest.mark.parametrize("settings", [{}, ON_UNIX], ids=["control", "alone"])
async def test_it_ends_with_the_sidecar_and_keeps_nobody_waiting(settings: JsonObject) -> None:
    loop = asyncio.get_running_loop()
    async with a_world(engine="opa", settings=settings) as world:
        pid, run = child_of(world).pid, child_of(world).path.parent
        began_s = loop.time()
    assert loop.time() - began_s < STOPS_S
    assert not await asyncio.to_thread(Path(f"/proc/{pid}").exists)
    assert not await asyncio.to_thread(run.exists)
