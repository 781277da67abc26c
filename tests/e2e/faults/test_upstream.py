"""HARDENING §10, rows 18 to 22: upstreams that are not there, do not answer, or say too much."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.net import RawClient, UpstreamTurn
from tests.support.sidecar import PLENTY_S, GuardedUpstream, World, a_world
from tests.support.sidecar_mcp import reason_of
from tests.support.sidecar_process import free_ports

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[UpstreamTurn], Awaitable[None]]


class _Scripted(GuardedUpstream):
    """Answers every request by one script."""

    script: Answer

    async def answer(self, turn: UpstreamTurn, seen: Any) -> None:
        await self.script(turn)


def _upstream(script: Answer) -> _Scripted:
    upstream = _Scripted()
    object.__setattr__(upstream, "script", script)
    return upstream


def _elsewhere(url: str, **more: float) -> JsonObject:
    return {"upstreams": {"desk": {"url": url, **more}}}


async def _outcome(world: World) -> Any:
    await world.quiet()
    return world.records("outcome")[-1]["outcome"]


async def test_row_18_a_refused_connection_is_unavailable_and_not_retried() -> None:
    port = free_ports(1)[0]
    async with a_world(settings=_elsewhere(f"http://127.0.0.1:{port}/desk")) as world:
        answer = await world.post("/desk/tickets", b"{}")
        assert (answer.status, reason_of(answer)) == (503, "upstream_unavailable")
        assert (await _outcome(world))["status"] == "refused"
        assert world.metric("upstream_errors_total", upstream="desk") == 1


async def test_row_18_a_name_that_does_not_resolve_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world(settings=_elsewhere("http://nothing.invalid/desk")) as world:

        async def fails(host: str, port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")

        line: Any = world.sidecar.plane.pool._lines["desk"]
        monkeypatch.setattr(line._dialler._resolver, "_lookup", fails)
        answer = await world.get("/desk/tickets")
        assert (answer.status, reason_of(answer)) == (503, "upstream_unavailable")
        assert (await _outcome(world))["status"] == "refused"


async def test_row_19_an_upstream_that_never_answers_is_given_up_as_unknown() -> None:
    silent = asyncio.Event()

    async def says_nothing(turn: UpstreamTurn) -> None:
        await silent.wait()

    settings: JsonObject = {"upstreams": {"desk": {"first_byte_s": 0.3}}}
    async with a_world(upstreams={"desk": _upstream(says_nothing)}, settings=settings) as world:
        answer = await world.post("/desk/tickets", b"{}")
        assert (answer.status, reason_of(answer)) == (502, "upstream_error")
        assert (await _outcome(world))["status"] == "unknown"
        assert len(world.desk.seen) == 1
        silent.set()


async def _half(turn: UpstreamTurn) -> None:
    await turn.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    turn.writer.close()


async def _reset(turn: UpstreamTurn) -> None:
    await turn.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    turn.reset()


@pytest.mark.parametrize("script", [_half, _reset], ids=["half-close", "reset"])
async def test_row_20_an_answer_that_breaks_off_is_cut_and_not_known(script: Answer) -> None:
    async with a_world(upstreams={"desk": _upstream(script)}) as world:
        async with world.client() as client:
            await client.send(world.head("GET", "/desk/tickets"))
            assert await _status(client) != 200  # refused whole, or cut: never ended as if whole
        outcome = await _outcome(world)
        assert (outcome["status"], outcome["error"]) == ("unknown", "upstream_error")
        assert len(world.desk.seen) == 1


async def _status(client: RawClient) -> int | None:
    """The status of an answer that came whole."""
    try:
        return (await client.answer()).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def _poison(turn: UpstreamTurn) -> None:
    await turn.say(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")


async def test_row_21_bytes_nobody_asked_for_are_delivered_to_nobody() -> None:
    async with a_world(upstreams={"desk": _upstream(_poison)}) as world:
        for _ in range(3):
            answer = await world.get("/desk/tickets")
            assert (answer.status, answer.body) == (200, b"ok")
        assert world.desk.connections == 3


async def test_row_22_an_agent_that_leaves_takes_its_call_with_it() -> None:
    left = asyncio.Event()

    async def holds(turn: UpstreamTurn) -> None:
        assert await turn.reader.read(1) == b""
        left.set()

    async with a_world(upstreams={"desk": _upstream(holds)}) as world:
        async with world.client() as client:
            await client.send(world.head("GET", "/desk/tickets"))
            await world.until(lambda: len(world.desk.seen) == 1)
        async with asyncio.timeout(PLENTY_S):
            await left.wait()
        assert (await _outcome(world))["status"] == "unknown"
        assert world.metric("exchanges_total", outcome="aborted") == 1
