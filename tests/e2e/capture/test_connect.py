"""CONNECT through a whole sidecar: who may, to where, what leaves, and how it ends."""

import asyncio

import pytest
import yaml

from outrider.core.vocabulary import Reason
from tests.support.hellos import a_hello
from tests.support.sidecar import BY_TOKEN, a_world
from tests.support.sidecar_policy import AGENT, OTHER
from tests.support.tunnels import HOST, a_tunnel_world


async def test_an_allowed_tunnel_carries_tls_that_the_sidecar_does_not_read():
    async with a_tunnel_world() as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"hello there")
            assert await client.reader.readexactly(11) == b"hello there"
            assert tunnels.world.metric("tunnels") == 1
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["action"]["resource"] == f"api/{tunnels.place}"
        assert decision["action"]["protocol"] == "connect"
        (outcome,) = tunnels.world.records("outcome")
        assert outcome["outcome"]["bytes_sent"] > 400
        assert outcome["outcome"]["bytes_in"] > 400
        assert tunnels.api.names == [HOST]
        assert bytes(tunnels.api.heard) == b"hello there"
        await tunnels.world.until(lambda: tunnels.world.metric("tunnels") == 0)
        assert tunnels.world.metric("tunnel_bytes_total", upstream="api", way="out") > 400


@pytest.mark.parametrize(
    ("target", "reason", "status"),
    [
        pytest.param("evil.example:443", Reason.UNRECOGNISED, 404, id="a-stranger"),
        pytest.param("127.0.0.1:443", Reason.UNRECOGNISED, 404, id="loopback"),
        pytest.param("169.254.169.254:80", Reason.UNRECOGNISED, 404, id="metadata"),
        pytest.param("localhost:22", Reason.UNRECOGNISED, 404, id="another-port"),
        pytest.param("[::1]:443", Reason.UNRECOGNISED, 404, id="v6"),
    ],
)
async def test_what_no_route_has_is_denied_before_anything_is_dialled(target, reason, status):
    async with a_tunnel_world() as tunnels, tunnels.world.refuses(reason.value) as found:
        answer = await tunnels.world.raw(tunnels.connect(target))
        assert answer.status == status
        assert answer.field("connection") == "close"
    assert found[0]["action"]["resource"] == target
    assert tunnels.api.connections == 0


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param({"grant": {"tools": ["desk/*"]}}, "grant", id="not-granted"),
        pytest.param({"grant": {"effects": ["read"]}}, "grant", id="another-effect"),
        pytest.param({"grant": {"destinations": ["*.acme.test"]}}, "grant", id="another-place"),
        pytest.param({"grant": {"bytes": 1_000_000}}, "budget", id="bytes-nobody-counts"),
        pytest.param({"grant": {"records": 10}}, "budget", id="records-nobody-counts"),
    ],
)
async def test_what_the_grant_does_not_cover_is_not_dialled(how, reason):
    async with a_tunnel_world(**how) as tunnels:
        answer = await tunnels.world.raw(tunnels.connect())
        assert answer.status in {403, 429}, answer.body
        await tunnels.world.quiet()
        assert tunnels.world.decisions()[-1]["decision"]["reason"] == reason
        assert tunnels.api.connections == 0


async def test_policy_denies_before_anything_is_dialled():
    async with a_tunnel_world() as tunnels:
        refused = tunnels.world.policy / "outrider/testing/data.yaml"
        refused.write_text(f'refused: ["api/{tunnels.place}"]\nhidden: []\n')
        await tunnels.world.sidecar.keeper.reload()
        answer = await tunnels.world.raw(tunnels.connect())
        assert answer.status == 403
        assert b'"reason":"policy"' in answer.body
        await tunnels.world.quiet()
        assert tunnels.api.connections == 0


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(a_hello("evil.example"), id="another-server-name"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="no-tls"),
        pytest.param(b"\x16\x03\x01\x00\x00", id="broken-tls"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["behind-the-question", "after-it-stands"])
async def test_inside_a_tunnel_is_tls_to_its_host_or_it_is_cut(said, at_once):
    async with a_tunnel_world() as tunnels:
        async with tunnels.world.client() as client:
            asked = tunnels.connect()
            await client.send(asked + said if at_once else asked)
            if not at_once:
                assert (await client.answer(head_only=True)).status == 200
                await client.send(said)
                assert await client.rest() == b""
            else:
                assert (await client.answer()).status == 400
        await tunnels.world.quiet()
        assert bytes(tunnels.api.heard) == b""
        assert tunnels.api.names == []
        (outcome,) = tunnels.world.records("outcome")
        assert outcome["outcome"]["error"] == "malformed"


async def test_the_name_inside_is_held_to_the_one_that_was_asked_for():
    """The certificate is good for it, and still another name may not be asked for inside."""
    async with a_tunnel_world() as tunnels:
        with pytest.raises((OSError, EOFError, AssertionError)):
            async with tunnels.tunnel("other.example"):
                pass
        await tunnels.world.quiet()
        assert tunnels.api.names == []


@pytest.mark.parametrize("scope", ["agent", "upstream", "tool"])
async def test_quarantine_cuts_a_tunnel_that_stands_and_lets_no_other_through(scope):
    async with a_tunnel_world() as tunnels:
        world = tunnels.world
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            cut = {
                "agent": lambda entry: entry.agent == AGENT,
                "upstream": lambda entry: entry.upstream == "api",
                "tool": lambda entry: f"api/{tunnels.place}" in entry.tools,
            }[scope]
            assert world.sidecar.live.cut(cut, Reason.QUARANTINED)
            assert await client.rest() == b""
            async with asyncio.timeout(5):
                await tunnels.api.ended.wait()
        await world.quiet()
        (outcome,) = world.records("outcome")
        assert outcome["outcome"]["error"] == "quarantined"
        assert world.metric("tunnels") == 0


async def test_a_caller_that_leaves_takes_its_tunnel_with_it():
    async with a_tunnel_world() as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            client.writer.transport.abort()
            async with asyncio.timeout(5):
                await tunnels.api.ended.wait()
        await tunnels.world.quiet()


async def test_an_upstream_that_ends_ends_the_tunnel_whole():
    async with a_tunnel_world() as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            for writer in tunnels.api._writers:
                writer.close()
            assert await client.rest() == b""
        await tunnels.world.quiet()
        (outcome,) = tunnels.world.records("outcome")
        assert outcome["outcome"]["status"] == "executed"


async def test_bytes_silence_and_life_are_bounded():
    limits = {"limits": {"tunnel_bytes": 65_536, "tunnel_idle_s": 0.3}}
    async with a_tunnel_world(settings=limits) as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"x" * 60_000)
            assert len(await client.rest()) < 60_000
        async with tunnels.tunnel() as client:
            assert await client.rest() == b""  # nobody said anything for a while
        await tunnels.world.quiet()
        errors = [record["outcome"]["error"] for record in tunnels.world.records("outcome")]
        assert errors == ["too_large", "slow_client"]


async def test_a_bearer_names_the_caller_of_a_tunnel_and_goes_no_further():
    async with a_tunnel_world(settings=dict(BY_TOKEN)) as tunnels:
        answer = await tunnels.world.raw(tunnels.connect())
        assert answer.status == 401
        async with tunnels.tunnel(HOST, tunnels.world.bearer()) as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["subject"]["id"] == OTHER


async def test_where_no_upstream_is_a_tunnels_connect_is_not_offered():
    async with a_world() as world, world.refuses("unrecognised"):
        answer = await world.raw(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        assert answer.status == 405


async def test_a_reload_that_takes_the_upstream_away_cuts_its_tunnels():
    async with a_tunnel_world() as tunnels:
        file = tunnels.world.room / "outrider.yaml"
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            document = yaml.safe_load(file.read_text())
            del document["upstreams"]["api"]
            file.write_text(yaml.safe_dump(document))
            await tunnels.world.sidecar.reload()
            assert await client.rest() == b""
        assert (await tunnels.world.raw(tunnels.connect())).status == 405


async def test_what_came_through_a_tunnel_counts_as_untrusted_text_that_nobody_read():
    async with a_tunnel_world() as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
        await tunnels.world.quiet()
        await tunnels.world.get("/desk/tickets")
        await tunnels.world.quiet()
        last = tunnels.world.decisions("allow")[-1]
        assert "untrusted_read" in last["behaviour"]["flags"]


async def test_a_task_that_ends_takes_its_tunnels_with_it():
    async with a_tunnel_world() as tunnels:
        live = tunnels.world.sidecar.live
        async with tunnels.tunnel() as client:
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
            (entry,) = live._live.values()
            assert entry.task is not None
            assert live.cut_tasks({entry.task}, Reason.BUDGET) == 1
            assert await client.rest() == b""
        await tunnels.world.quiet()
        (outcome,) = tunnels.world.records("outcome")
        assert outcome["outcome"]["error"] == "budget"
