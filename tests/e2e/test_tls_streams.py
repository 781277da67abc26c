"""Bodies over https, whole: long ones both ways, and those that an upstream breaks off."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.net import RawClient, UpstreamTurn
from tests.support.sidecar import GuardedUpstream, World, a_world
from tests.support.tls import Trust

IP = "127.0.0.1"
MANY = 6_000_000
OPAQUE: JsonObject = {"body": "opaque"}


class _Desk(GuardedUpstream):
    """Answers each request by `say`, a coroutine that a test gives."""

    say: Any

    async def answer(self, turn: UpstreamTurn, seen: Any) -> None:
        await self.say(turn)


@asynccontextmanager
async def _world(room: Path, say: Any = None, **of_desk: Any) -> AsyncIterator[World]:
    trust = Trust.made(room)
    desk = GuardedUpstream() if say is None else _Desk()
    if say is not None:
        object.__setattr__(desk, "say", say)
    desk.tls = trust.authority.issue(IP).server()
    settings: JsonObject = {"upstreams": {"desk": {"ca_file": str(trust.file), **of_desk}}}
    async with a_world(upstreams={"desk": desk}, settings=settings) as world:
        yield world


async def _outcome(world: World) -> Any:
    await world.quiet()
    return world.records("outcome")[-1]["outcome"]


def _pattern(size: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(size // 32 + 1))[:size]


async def test_a_long_body_reaches_the_upstream_as_it_was_sent(tmp_path: Path) -> None:
    sent = _pattern(MANY)
    async with _world(tmp_path, http=OPAQUE) as world:
        answer = await world.post("/desk/tickets", sent, kind="application/octet-stream")
        assert (answer.status, answer.body) == (200, b"ok")
        assert hashlib.sha256(world.desk.seen[0].body).digest() == hashlib.sha256(sent).digest()


@pytest.mark.parametrize("end", ["kept", "closed", "until-close"])
async def test_a_long_answer_reaches_an_agent_that_reads_slowly(tmp_path: Path, end: str) -> None:
    body = _pattern(MANY)
    length = f"Content-Length: {MANY}\r\n" if end != "until-close" else ""

    async def say(turn: UpstreamTurn) -> None:
        await turn.say(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + body)
        if end != "kept":
            turn.writer.close()

    async with _world(tmp_path, say, http=OPAQUE) as world, world.client() as client:
        await client.send(world.head("GET", "/desk/tickets"))
        await asyncio.sleep(0.2)  # the upstream is long done with what it may send
        answer = await client.answer()
        assert (answer.status, answer.body == body) == (200, True)
        assert (await _outcome(world))["status"] == "executed"


CUT = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "until-close": b"HTTP/1.1 200 OK\r\n\r\nhalf",
}


@pytest.mark.parametrize("said", CUT.values(), ids=CUT)
@pytest.mark.parametrize("options", [{}, OPAQUE], ids=["judged", "opaque"])
async def test_an_answer_without_close_notify_or_its_own_end_is_cut(
    tmp_path: Path, said: bytes, options: JsonObject
) -> None:
    async def say(turn: UpstreamTurn) -> None:
        await turn.say(said)
        turn.writer.transport.abort()

    async with _world(tmp_path, say, http=options) as world:
        async with world.client() as client:
            await client.send(world.head("GET", "/desk/tickets"))
            assert await _status(client) != 200
        outcome = await _outcome(world)
        assert (outcome["status"], outcome["error"]) == ("unknown", "upstream_error")
        assert world.metric("upstream_errors_total", upstream="desk", type="truncated") == 1
        assert len(world.desk.seen) == 1


async def _status(client: RawClient) -> int | None:
    """The status of an answer that came whole."""
    try:
        return (await client.answer()).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
