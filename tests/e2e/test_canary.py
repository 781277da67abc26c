"""No secret of a whole run stands in a log, a metric, a record or an answer (OPERATIONS §9)."""

from pathlib import Path

import orjson
import pytest

from outrider.core.jsonvalue import Json, JsonObject
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call

LEASED = "canary-of-the-upstream"
AGENTS = "canary-of-the-agent"
ARGUMENT = "canary-in-an-argument"
ECHO = b"HTTP/1.1 200 OK\r\nX-Echo: canary-of-the-upstream\r\nContent-Length: 0\r\n\r\n"


def _settings(folder: Path) -> JsonObject:
    secret = folder / "desk.token"
    secret.write_text(LEASED, "utf-8")
    secret.chmod(0o600)
    names: list[Json] = ["desk"]
    return {
        "credentials": {"desk": {"file": str(secret), "upstreams": names}},
        "upstreams": {"desk": {"credential": "desk"}},
        "telemetry": {"log_level": "DEBUG", "log_sample": 1.0},
    }


async def _a_run(world: World) -> list[bytes]:
    """Allowed, refused, broken and hostile exchanges; what was answered to each."""
    mine = (f"Authorization: Bearer {AGENTS}", f"Cookie: session={AGENTS}")
    told = [(await world.get("/desk/tickets/7", *mine)).body]
    told.append((await world.get(f"/nowhere/{AGENTS}", *mine)).body)
    told.append((await world.get("/desk/tickets/7", *mine, "Bad Name: 1")).body)
    message = call("update", {"id": 1, "text": ARGUMENT})
    told.append((await world.raw(world.legacy(message, *mine))).body)
    world.desk.answers = (ECHO,)
    echoed = await world.get("/desk/tickets/7", *mine)
    told += [echoed.body, repr(echoed.fields).encode()]
    world.desk.answers = (b"garbage " + LEASED.encode() + b"\r\n\r\n",)
    told.append((await world.get("/desk/tickets/7", *mine)).body)
    return told


async def test_no_secret_of_a_run_is_seen_anywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with a_world(settings=_settings(tmp_path)) as world:
        told = await _a_run(world)
        told.append((await world.telemetry("/metrics")).body)
        told.append((await world.telemetry("/readyz?format=json")).body)
        leased = [seen.field("authorization") for seen in world.desk.seen]
        await world.quiet()
        told.append(orjson.dumps(world.records()))
        operators = world.sidecar.state.token.reveal()
    said = capfd.readouterr()
    lines = said.err.splitlines()

    assert leased[0] == f"Bearer {LEASED}"  # it was in play
    assert any(orjson.loads(line)["event"] == "exchange" for line in lines)
    everything = b"\n".join([*told, said.out.encode(), said.err.encode()])
    for secret in (LEASED.encode(), AGENTS.encode(), bytes(operators)):
        assert secret not in everything
    assert ARGUMENT.encode() not in said.err.encode()


async def test_every_line_of_a_run_is_json_of_the_schema(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with a_world(settings=_settings(tmp_path)) as world:
        await _a_run(world)
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert len(lines) > 5
    for line in lines:
        assert {"ts", "level", "event", "msg"} <= set(line)
        assert line["level"] in {"DEBUG", "INFO", "WARNING", "ERROR"}
