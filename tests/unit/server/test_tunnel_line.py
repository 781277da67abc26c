"""The upstream's side of tunnels: one permitted place, one checked address, cut on both sides."""

import asyncio
from typing import Any

import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import Upstream
from outrider.core.capture import Meant
from outrider.core.clock import SystemClock
from outrider.core.errors import EnforcementError, UpstreamUnavailableError
from outrider.core.exchange import Outgoing
from outrider.core.secret import Secret
from outrider.core.vocabulary import Reason
from outrider.server.dialler import Dialler
from outrider.server.dns import Resolver
from outrider.server.events import Way
from outrider.server.origin import origin_of, pool_limits
from outrider.server.tunnel_line import TunnelLine
from tests.support.net import ScriptedUpstream
from tests.support.peers import RecordingEvents


class FixedLookup:
    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host, port):
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


class TunnelEvents(RecordingEvents):
    def __init__(self):
        super().__init__()
        self.standing, self.bytes = 0, {Way.OUT: 0, Way.IN: 0}

    def tunnel(self, delta):
        self.standing += delta

    def tunnel_bytes(self, upstream, way, count):
        self.bytes[way] += count


class Near:
    """A caller's side."""

    def __init__(self, fault=None):
        self.far, self.fault, self.did = None, fault, []

    def join(self, far):
        if self.fault is not None:
            raise self.fault
        self.far = far

    def pause(self):
        self.did.append("pause")

    def resume(self):
        self.did.append("resume")


class Line:
    def __init__(self, port, *answers, networks=("127.0.0.0/8",), **limits):
        self.events, self.lookup = TunnelEvents(), FixedLookup(*(answers or (["127.0.0.1"],)))
        clock, bounds = SystemClock(), pool_limits(Limits(**limits))
        dialler = Dialler(
            limits=bounds,
            clock=clock,
            events=self.events,
            resolver=Resolver(clock=clock, lookup=self.lookup),
        )
        upstream = Upstream(url=f"http://api.test:{port}", networks=networks, connections=2)
        self.line = TunnelLine(
            origin=origin_of("api", upstream), limits=bounds, dialler=dialler, events=self.events
        )
        self.port = port

    async def open(self, near=None, **changes: Any):
        values: dict[str, Any] = {"target": f"api.test:{self.port}"}
        outgoing = Outgoing(method="CONNECT", headers=(), body=b"", **values | changes)
        return await self.line.open(outgoing, near or Near())


@pytest.fixture(name="server")
async def _server():
    async def echo(turn):
        while data := await turn.reader.read(65_536):
            await turn.say(data)

    async with ScriptedUpstream(script=echo) as upstream:
        yield upstream


async def gone(line):
    async with asyncio.timeout(5):
        while line.events.standing or line.line.is_busy:  # noqa: ASYNC110 - the kernel's turn
            await asyncio.sleep(0.005)


async def test_bytes_go_and_come_and_are_counted(server):
    line, near = Line(server.port), Near()
    answer = await line.open(near)
    assert (answer.head.status, line.events.standing) == (200, 1)
    near.far.write(b"hello")
    assert await anext(answer) == b"hello"
    near.far.end()
    with pytest.raises(StopAsyncIteration):
        await anext(answer)
    assert answer.carried_bytes == 5
    assert line.events.bytes == {Way.OUT: 5, Way.IN: 5}
    near.far.drop()
    await gone(line)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"target": "api.test:1"}, Reason.UPSTREAM_UNAVAILABLE, id="another-port"),
        pytest.param({"target": "evil.test:{}"}, Reason.UPSTREAM_UNAVAILABLE, id="another-host"),
        pytest.param(
            {"secret_headers": (("authorization", Secret("x")),)}, Reason.OBLIGATION, id="a-lease"
        ),
        pytest.param(
            {"meant": Meant(address="127.0.0.1", port=1)},
            Reason.UPSTREAM_UNAVAILABLE,
            id="was-going-to-another-port",
        ),
        pytest.param(
            {"meant": Meant(address="127.0.0.9", port=0)}, Reason.UNRECOGNISED, id="another-address"
        ),
    ],
)
async def test_nothing_is_dialled_but_the_place_that_was_permitted(server, changes, reason):
    line = Line(server.port)
    changes = dict(changes)
    if "{}" in changes.get("target", ""):
        changes["target"] = changes["target"].format(server.port)
    if changes.get("meant") and not changes["meant"].port:
        changes["meant"] = Meant(address=changes["meant"].address, port=server.port)
    with pytest.raises(UpstreamUnavailableError) as caught:
        await line.open(**changes)
    assert caught.value.reason is reason
    assert server.connections == 0
    await gone(line)


async def test_of_a_redirected_caller_its_own_address_is_dialled_and_no_other():
    async def hear(reader, writer):
        writer.write(b"hello")
        await reader.read()
        writer.close()

    try:
        server = await asyncio.start_server(hear, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        line = Line(port, ["127.0.0.1", "::1"], networks=("127.0.0.0/8", "::1/128"))
        near = Near()
        answer = await line.open(near, meant=Meant(address="::1", port=port))
        assert await anext(answer) == b"hello"
        near.far.drop()
        with pytest.raises(UpstreamUnavailableError) as caught:
            await line.open(meant=Meant(address="127.0.0.1", port=port))
        assert caught.value.cause == "connect"
        await gone(line)


async def test_a_name_that_turns_is_asked_for_again_before_it_is_refused(server):
    line = Line(server.port, ["127.0.0.5"], ["127.0.0.1"])
    await line.line._dialler._resolver.resolve("api.test", server.port, line.line._origin.networks)
    line.line._dialler._resolver._answers = {
        key: (until - 5, found)
        for key, (until, found) in line.line._dialler._resolver._answers.items()
    }
    near = Near()
    await line.open(near, meant=Meant(address="127.0.0.1", port=server.port))
    assert line.lookup.asked == 2
    near.far.drop()
    await gone(line)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(["127.0.0.1"], id="loopback"),
        pytest.param(["169.254.169.254"], id="metadata"),
        pytest.param(["10.0.0.1"], id="private"),
        pytest.param(["fe80::1"], id="link-local"),
        pytest.param(["::ffff:10.0.0.1"], id="mapped"),
        pytest.param(["192.0.2.1"], id="where-probes-go"),
        pytest.param(["93.184.216.34", "10.0.0.1"], id="one-of-two"),
        pytest.param([], id="none"),
    ],
)
async def test_an_address_that_is_not_listed_is_never_dialled(server, answer):
    line = Line(server.port, answer, networks=())
    with pytest.raises(UpstreamUnavailableError):
        await line.open()
    assert server.connections == 0
    await gone(line)


async def test_what_the_caller_did_wrong_meanwhile_drops_the_connection(server):
    line = Line(server.port)
    with pytest.raises(EnforcementError, match="wrong"):
        await line.open(Near(EnforcementError("wrong")))
    await gone(line)


async def test_a_tunnel_that_is_cut_tells_who_reads_it_and_who_is_there(server):
    line, near = Line(server.port), Near()
    answer = await line.open(near)
    near.far.fail(EnforcementError("cut", reason=Reason.QUARANTINED))
    with pytest.raises(EnforcementError) as caught:
        await anext(answer)
    assert caught.value.reason is Reason.QUARANTINED
    near.far.write(b"more")
    await gone(line)
    assert line.events.bytes[Way.OUT] == 0


async def test_an_upstream_that_breaks_off_is_no_end(server):
    async def reset(turn):
        await turn.reader.read(1)
        turn.reset()

    async with ScriptedUpstream(script=reset) as broken:
        line, near = Line(broken.port), Near()
        answer = await line.open(near)
        near.far.write(b"x")
        with pytest.raises(EnforcementError) as caught:
            await anext(answer)
        assert caught.value.reason is Reason.UPSTREAM_ERROR
        await gone(line)
        assert line.events.count("fault", "reset") == 1


async def test_places_are_bounded_and_given_back(server):
    line, nears = Line(server.port, wait_s=0.05), [Near(), Near(), Near()]
    for near in nears[:2]:
        await line.open(near)
    with pytest.raises(EnforcementError) as caught:
        await line.open(nears[2])
    assert caught.value.reason is Reason.OVERLOAD
    nears[0].far.drop()
    async with asyncio.timeout(5):
        while line.line._turnstile.inside > 1:  # noqa: ASYNC110 - the kernel's turn
            await asyncio.sleep(0.005)
    await line.open(nears[2])
    nears[1].far.drop()
    nears[2].far.drop()
    await gone(line)


async def test_one_that_fails_too_often_is_left_alone():
    line = Line(1, breaker_failures=2)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailableError):
            await line.open()
    with pytest.raises(UpstreamUnavailableError) as caught:
        await line.open()
    assert caught.value.cause == "breaker"


async def test_where_it_is_closed_all_are_cut_and_none_opens(server):
    line, near = Line(server.port), Near()
    answer = await line.open(near)
    line.line.close()
    with pytest.raises(EnforcementError):
        await anext(answer)
    with pytest.raises(UpstreamUnavailableError):
        await line.open()
    await gone(line)


async def test_an_upstream_that_takes_nothing_more_stops_the_caller(server):
    async def deaf(turn):
        await asyncio.Event().wait()

    async with ScriptedUpstream(script=deaf) as silent:
        line, near = Line(silent.port), Near()
        await line.open(near)
        for _ in range(400):
            near.far.write(b"x" * 65_536)
        assert near.did == ["pause"]
        near.far.drop()
        await gone(line)
