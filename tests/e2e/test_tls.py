"""Upstreams over https, whole: an agent's call on one side, real TLS servers on the other."""

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar import GuardedUpstream, McpUpstream, World, a_world
from tests.support.sidecar_mcp import call, message_of, reason_of
from tests.support.tls import (
    HOST,
    HandMade,
    HandMadeUpstream,
    Trust,
    acme_lookup,
    an_authority,
    listen_for_names,
)
from tests.support.tls_cases import GOOD, IDENTITY, TLS, Server


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust.made(tmp_path)


@asynccontextmanager
async def _world(
    trust: Trust,
    context: ssl.SSLContext,
    *,
    host: str = HOST,
    desk: GuardedUpstream | None = None,
    settings: JsonObject | None = None,
    **of_desk: Any,
) -> AsyncIterator[World]:
    """A sidecar whose two upstreams are at https://`host`, with a CA of their own."""
    upstreams = {"crm": McpUpstream(), "desk": desk or GuardedUpstream()}
    for upstream in upstreams.values():
        upstream.host, upstream.tls = host, context
    ca_file = str(trust.file)
    changes: JsonObject = {
        "upstreams": {"crm": {"ca_file": ca_file}, "desk": {"ca_file": ca_file, **of_desk}},
        **(settings or {}),
    }
    async with a_world(upstreams=upstreams, settings=changes) as world:
        _resolve(world)
        yield world


def _resolve(world: World) -> None:
    line: Any = world.sidecar.plane.pool._lines["desk"]
    line._dialler._resolver._lookup = acme_lookup


async def _outcome(world: World) -> Any:
    await world.quiet()
    return world.records("outcome")[-1]["outcome"]


# --- who is believed -----------------------------------------------------------------------


@pytest.mark.parametrize(("host", "server"), GOOD.values(), ids=GOOD)
async def test_a_governed_call_passes_to_a_server_that_is_the_configured_host(
    trust: Trust, host: str, server: Server
) -> None:
    async with _world(trust, server(trust.authority), host=host) as world:
        answer = await world.get("/desk/tickets")
        assert (answer.status, answer.body) == (200, b"ok")
        answer = await world.raw(world.legacy(call()))
        assert (answer.status, reason_of(answer)) == (200, None)
        assert world.desk.seen[0].line == "GET /desk/tickets HTTP/1.1"
        assert world.desk.seen[0].field("host") == f"{host}:{world.desk.port}"
        assert world.crm.methods == ["tools/call"]
        assert (await _outcome(world))["status"] == "executed"
        assert world.metric("upstream_errors_total") == 0
        assert world.metric("upstream_connect_duration_seconds_count", tls="true") >= 2


_REFUSALS = {"identity": (403, "upstream_identity"), "tls": (503, "upstream_unavailable")}
BAD = [
    *(
        pytest.param("identity", host, server, id=name)
        for name, (_, host, server) in IDENTITY.items()
    ),
    *(pytest.param("tls", *case, id=name) for name, case in TLS.items()),
]


@pytest.mark.parametrize(("fault", "host", "server"), BAD)
async def test_a_call_to_any_other_server_ends_before_its_first_byte(
    trust: Trust, fault: str, host: str, server: Server
) -> None:
    async with _world(trust, server(trust.authority), host=host) as world:
        status, reason = _REFUSALS[fault]
        answer = await world.post("/desk/tickets", b"{}")
        assert (answer.status, reason_of(answer)) == (status, reason)
        outcome = await _outcome(world)
        assert (outcome["status"], outcome["error"]) == ("refused", reason)
        assert world.metric("upstream_errors_total", upstream="desk", type=fault) == 1
        answer = await world.raw(world.legacy(call()))
        assert reason_of(answer) == reason
        assert (message_of(answer)["jsonrpc"], message_of(answer)["id"]) == ("2.0", 1)
        outcome = await _outcome(world)
        assert (outcome["status"], outcome["error"]) == ("refused", reason)
        assert world.metric("upstream_errors_total", upstream="crm", type=fault) >= 1
        assert world.metric("upstream_errors_total") == world.metric(
            "upstream_errors_total", type=fault
        )
        for upstream in (world.desk, world.crm):
            assert (upstream.connections, upstream.seen) == (0, [])


# --- servers that are none -----------------------------------------------------------------


@asynccontextmanager
async def _raw_server(
    trust: Trust, script: Callable[[HandMade], Awaitable[None]]
) -> AsyncIterator[tuple[World, HandMadeUpstream]]:
    """A sidecar whose `desk` is a server in the hands of `script`."""
    context = trust.authority.issue(HOST).server()
    async with HandMadeUpstream(context=context, script=script) as server:
        url = f"https://{HOST}:{server.port}/desk"
        quick: JsonObject = {"limits": {"tls_s": 0.3}}
        async with _world(trust, context, url=url, settings=quick) as world:
            yield world, server


async def _speaks_plainly(turn: HandMade) -> None:
    await turn.put(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def _stalls(turn: HandMade) -> None:
    flight = await turn.flight()
    await turn.put(flight[:100])


async def _leaves(turn: HandMade) -> None:
    await _stalls(turn)
    turn.writer.close()


@pytest.mark.parametrize("script", [_speaks_plainly, _stalls, _leaves])
async def test_a_server_that_does_no_whole_handshake_is_unavailable_in_time(
    trust: Trust, script: Callable[[HandMade], Awaitable[None]]
) -> None:
    async with _raw_server(trust, script) as (world, server):
        began_s = asyncio.get_running_loop().time()
        answer = await world.post("/desk/tickets", b'{"secret": "of the agent"}')
        assert (answer.status, reason_of(answer)) == (503, "upstream_unavailable")
        assert asyncio.get_running_loop().time() - began_s < 2.5
        assert (await _outcome(world))["status"] == "refused"
        assert world.metric("upstream_errors_total", upstream="desk", type="tls") == 1
        assert len(server.came) == 1
        assert not {b"HTTP", b"tickets", b"secret"} & set(bytes(server.came[0]).split())
        assert b"secret" not in server.came[0]


async def test_a_server_that_wants_a_client_certificate_reads_no_request(trust: Trust) -> None:
    """TLS 1.3 tells so after the client's handshake: bytes have left, so the outcome is unknown."""
    context = trust.authority.issue(HOST).server(verify_mode=ssl.CERT_REQUIRED)
    async with _world(trust, context) as world:
        answer = await world.post("/desk/tickets", b"{}")
        assert (answer.status, reason_of(answer)) == (502, "upstream_error")
        assert (await _outcome(world))["status"] == "unknown"
        assert (world.desk.connections, world.desk.seen) == (0, [])
        assert world.metric("upstream_errors_total", upstream="desk") == 1


# --- names, redirects ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    ["GET /tickets", "GET http://front.test/tickets"],
    ids=["host", "absolute"],
)
async def test_the_server_is_asked_for_by_its_configured_name_whatever_the_caller_says(
    trust: Trust, said: str
) -> None:
    context = trust.authority.issue(HOST).server()
    names = listen_for_names(context)
    async with _world(trust, context, hosts=["front.test"]) as world:
        answer = await world.raw(f"{said} HTTP/1.1\r\nHost: front.test\r\n\r\n".encode())
        assert (answer.status, answer.body, names) == (200, b"ok", [HOST])
        assert world.desk.seen[0].field("host") == f"{HOST}:{world.desk.port}"


async def test_a_certificate_for_the_callers_host_does_not_do(trust: Trust) -> None:
    context = trust.authority.issue("front.test").server()
    async with _world(trust, context, hosts=["front.test"]) as world:
        answer = await world.raw(b"GET /tickets HTTP/1.1\r\nHost: front.test\r\n\r\n")
        assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
        assert world.desk.connections == 0


@pytest.mark.control("SC-03")
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_redirect_elsewhere_is_refused_and_not_followed(trust: Trust, scheme: str) -> None:
    async with GuardedUpstream() as elsewhere:
        there = f"{scheme}://127.0.0.1:{elsewhere.port}/x"
        found = f"HTTP/1.1 307 X\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
        desk = GuardedUpstream(answers=(found.encode(),))
        context = trust.authority.issue(HOST).server()
        async with _world(trust, context, desk=desk) as world:
            answer = await world.post("/desk/tickets", b"{}")
            assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
            assert (len(desk.seen), elsewhere.connections) == (1, 0)


async def test_a_redirect_to_itself_is_handed_on_and_not_followed(trust: Trust) -> None:
    found = b"HTTP/1.1 302 X\r\nLocation: /desk/tickets/7\r\nContent-Length: 0\r\n\r\n"
    desk = GuardedUpstream(answers=(found,))
    async with _world(trust, trust.authority.issue(HOST).server(), desk=desk) as world:
        assert (await world.get("/desk/tickets")).status == 302
        assert len(desk.seen) == 1


# --- the file of CAs -----------------------------------------------------------------------


async def test_a_reload_takes_the_cas_as_they_are_then_and_no_old_connection(trust: Trust) -> None:
    context = trust.authority.issue(HOST).server()
    async with _world(trust, context) as world:
        assert (await world.get("/desk/tickets")).status == 200
        trust.file.write_bytes(an_authority("Other CA").pem)
        assert (await world.get("/desk/tickets")).status == 200
        await world.sidecar.reload()
        _resolve(world)
        answer = await world.get("/desk/tickets")
        assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
        assert len(world.desk.seen) == 2
        trust.file.write_bytes(an_authority("Other CA").pem + trust.authority.pem)
        await world.sidecar.reload()
        _resolve(world)
        assert (await world.get("/desk/tickets")).status == 200


@pytest.mark.parametrize("content", [None, b"", b"no PEM"], ids=["missing", "empty", "not-pem"])
async def test_a_reload_with_cas_that_cannot_be_used_changes_nothing(
    trust: Trust, content: bytes | None
) -> None:
    context = trust.authority.issue(HOST).server()
    async with _world(trust, context) as world:
        plane = world.sidecar.plane
        if content is None:
            trust.file.unlink()
        else:
            trust.file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"upstreams\.desk\.ca_file is '.*'; give a PEM file"):
            await world.sidecar.reload()
        await world.sidecar.try_reload()
        assert world.sidecar.plane is plane
        assert (await world.get("/desk/tickets")).status == 200


async def test_a_relative_path_starts_at_the_settings_file_not_where_the_process_does(
    trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tempfile.gettempdir()  # the settings file lies in a folder of it
    trust.file = Path("..") / await asyncio.to_thread(os.path.relpath, trust.file, room)
    monkeypatch.chdir(tmp_path)
    async with _world(trust, trust.authority.issue(HOST).server()) as world:
        assert (await world.get("/desk/tickets")).status == 200
