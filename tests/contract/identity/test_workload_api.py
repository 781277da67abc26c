"""conf_EP, conf_WA and conf_HX: how the Workload API is found, heard, and not believed blindly."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import grpc
import pytest

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.identity.snapshot import SourceState
from outrider.identity.workload_proto import FETCH_JWT_BUNDLES, FETCH_JWT_SVID, FETCH_X509_SVID
from tests.contract.identity.stage import (
    AUDIENCE,
    HOME,
    OWN_ID,
    WITHIN_S,
    Seen,
    Stage,
    a_harness,
    an_agent,
    entry,
    ports_of,
    staged,
    token,
)
from tests.support.fake_workload_api import FakeWorkloadApi, SvidEntry
from tests.support.spiffe_ca import Ca, a_ca

TCP: Final = "tcp://127.0.0.1:0"
CALLS_A_SECOND: Final = 20
WATCHED_S: Final = 1.0


async def serves(agent: FakeWorkloadApi, ca: Ca) -> None:
    """A harness on `agent` gets ready and shows the SVID it was given."""
    async with a_harness(agent.address) as harness:
        await harness.ready()
        assert (await ports_of(harness, ca).probe()).shown_id == OWN_ID


# --- EP: the endpoint (EP-1 stands in test_process.py) ---


async def test_conf_EP_2_every_call_carries_the_security_header() -> None:
    async with staged() as stage:
        stage.agent.mint = lambda audience, _: ((OWN_ID, token(stage.key, aud=list(audience))),)
        await stage.until_taken(token(stage.key))
        assert (await stage.fetch(AUDIENCE)).status == 200
        made = {call.method for call in stage.agent.requests}
        assert made == {FETCH_X509_SVID, FETCH_JWT_BUNDLES, FETCH_JWT_SVID}
        assert all(call.metadata["workload.spiffe.io"] == "true" for call in stage.agent.requests)


async def test_conf_EP_3_an_agent_on_tcp_is_heard() -> None:
    ca = a_ca("a.test")
    async with an_agent(TCP) as agent:
        agent.push_x509(entry(ca.svid("/workload"), ca))
        await serves(agent, ca)


@pytest.mark.parametrize(
    ("address", "spoilt"),
    [
        pytest.param(
            None,
            lambda right: right.replace("unix://", "unix://localhost"),
            id="conf_EP-4/unix-authority",
        ),
        pytest.param(TCP, lambda right: f"{right}/foo", id="conf_EP-4/tcp-path"),
    ],
)
async def test_an_address_that_says_more_than_it_may_is_refused(
    address: str | None, spoilt: Callable[[str], str]
) -> None:
    ca = a_ca("a.test")
    async with an_agent(address) as agent:
        agent.push_x509(entry(ca.svid("/workload"), ca))
        assert spoilt(agent.address) != agent.address
        with pytest.raises(ConfigError, match="SPIFFE_ENDPOINT_SOCKET"):
            async with a_harness(spoilt(agent.address)):
                pass
        assert agent.requests == []
        await serves(agent, ca)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(grpc.StatusCode.UNAVAILABLE, id="conf_EP-5"),
        pytest.param(grpc.StatusCode.PERMISSION_DENIED, id="conf_EP-6"),
    ],
)
async def test_a_refused_call_is_made_again_and_never_at_once(code: grpc.StatusCode) -> None:
    ca, clock = a_ca("a.test"), SystemClock()
    async with an_agent() as agent:
        agent.deny(code, method=FETCH_X509_SVID)
        started_s = clock.monotonic_s()
        async with a_harness(agent.address) as harness:
            await agent.wait_until(lambda: agent.opened(FETCH_X509_SVID) >= 3, within_s=WITHIN_S)
            assert harness.identity.keeper.own() is None
            agent.push_x509(entry(ca.svid("/workload"), ca))
            await harness.ready()
            passed_s = clock.monotonic_s() - started_s
            assert (await ports_of(harness, ca).probe()).shown_id == OWN_ID
        calls = [call for call in agent.requests if call.method == FETCH_X509_SVID]
        assert [call.status for call in calls[:3]] == [code] * 3
        assert len(calls) - 1 <= CALLS_A_SECOND * passed_s


async def test_conf_EP_7_a_call_that_is_called_invalid_is_not_made_again() -> None:
    ca = a_ca("a.test")
    async with an_agent() as agent:
        agent.deny(grpc.StatusCode.INVALID_ARGUMENT)
        async with a_harness(agent.address) as harness:
            await agent.wait_until(lambda: len(agent.requests) >= 2, within_s=WITHIN_S)
            with pytest.raises(TimeoutError):
                await agent.wait_until(lambda: len(agent.requests) > 2, within_s=WATCHED_S)
            assert {call.method for call in agent.requests} == {FETCH_X509_SVID, FETCH_JWT_BUNDLES}
            assert harness.identity.keeper.state() is SourceState.FAILED
            assert (await ports_of(harness, ca).probe()).line == ""
        agent.push_x509(entry(ca.svid("/workload"), ca))
        await serves(agent, ca)


async def test_conf_EP_8_an_agent_that_comes_late_is_waited_for() -> None:
    ca = a_ca("a.test")
    async with an_agent() as agent:
        await agent.stop()
        async with a_harness(agent.address) as harness:
            await agent.wait_until(lambda: bool(harness.events.reconnects), within_s=WITHIN_S)
            assert (await ports_of(harness, ca).probe()).line == ""
            agent.push_x509(entry(ca.svid("/workload"), ca))
            await agent.start()
            await harness.ready()
            assert (await ports_of(harness, ca).probe()).shown_id == OWN_ID


# --- WA: what the stream says ---


async def test_conf_WA_1_a_stream_that_ends_is_opened_again() -> None:
    async with staged() as stage:
        before = stage.agent.opened(FETCH_X509_SVID)
        stage.agent.end_streams(grpc.StatusCode.UNAVAILABLE)
        await stage.agent.wait_until(lambda: stage.agent.opened(FETCH_X509_SVID) > before)
        await stage.settle(path="/wa-1")
        assert stage.held() == [OWN_ID, f"{HOME}/wa-1"]


Spoil = Callable[[SvidEntry], tuple[SvidEntry, ...]]
BLANK: Final[dict[str, Spoil]] = {
    "empty-svids": lambda _: (),
    "empty-spiffe-id": lambda right: (replace(right, spiffe_id=""),),
    "empty-x509-svid": lambda right: (replace(right, chain=b""),),
    "empty-key": lambda right: (replace(right, key=b""),),
    "empty-bundle": lambda right: (replace(right, bundle=b""),),
}


async def check_ignored(stage: Stage, *bad: SvidEntry) -> None:
    """A is served, `bad` is pushed, then B: of all that was ever held, nothing is but A and B."""
    await stage.settle(path="/a")
    stage.agent.push_x509(*bad)
    assert (await stage.probe()).shown_id in (f"{HOME}/a", f"{HOME}/b")
    await stage.settle(path="/b")
    assert stage.held() == [OWN_ID, f"{HOME}/a", f"{HOME}/b"]
    assert stage.harness.events.updates["x509", "discarded"] == 1


@pytest.mark.parametrize(
    "spoil", [pytest.param(spoil, id=f"conf_WA-2/{name}") for name, spoil in BLANK.items()]
)
async def test_a_message_without_a_mandatory_field_changes_nothing(spoil: Spoil) -> None:
    async with staged() as stage:
        await check_ignored(stage, *spoil(entry(stage.ca.svid("/c"), stage.ca)))


async def test_conf_WA_3_the_first_svid_is_the_default() -> None:
    async with staged() as stage:
        one, other = stage.ca.svid("/wa-3-a"), stage.ca.svid("/wa-3-b")
        stage.give(one, other)
        assert (await stage.shows("/wa-3-a")).chain[0] == one.der
        stage.give(other, one)
        assert (await stage.shows("/wa-3-b")).chain[0] == other.der
        assert stage.held() == [OWN_ID, f"{HOME}/wa-3-a", f"{HOME}/wa-3-b"]


async def test_conf_WA_4_who_is_denied_shows_nothing_any_more() -> None:
    async with staged() as stage:
        assert (await stage.probe()).shown_id == OWN_ID
        stage.agent.deny(method=FETCH_X509_SVID)
        await stage.until_held([OWN_ID, None])
        assert await stage.probe() == Seen(line="", chain=())


# --- HX: SVIDs of the agent that keep no rule ---


def broken_signature(ca: Ca) -> SvidEntry:
    right = entry(ca.svid("/bad"), ca)
    return replace(right, chain=right.chain[:-1] + bytes([right.chain[-1] ^ 1]))


HOUR_S: Final = 3600.0
SIGNS: Final = ("digital_signature", "key_cert_sign")
TWO: Final = (f"{HOME}/bad", f"{HOME}/bad-second")
WEB: Final = "https://a.test/bad"
BAD: Final[dict[str, Callable[[Ca], SvidEntry]]] = {
    "HX-1": broken_signature,
    "HX-2": lambda ca: entry(a_ca("a.test").svid("/bad"), ca),
    "HX-3": lambda ca: entry(ca.svid("/bad", seconds=(-2 * HOUR_S, -HOUR_S)), ca),
    "HX-4": lambda ca: entry(ca.svid("/bad", basics=True), ca),
    "HX-5": lambda ca: entry(ca.svid("/bad", usages=SIGNS), ca),
    "HX-6": lambda ca: entry(ca.svid(uris=TWO), ca),
    "HX-7": lambda ca: entry(ca.svid(uris=(WEB,)), ca),
    "HX-8": lambda ca: replace(entry(ca.svid("/bad"), ca), key=ca.svid("/bad").key_der),
    "HX-9": lambda ca: entry(ca.svid("/bad"), ca, spiffe_id=f"{HOME}/claimed"),
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=f"conf_{row}") for row, bad in BAD.items()])
async def test_an_svid_of_ours_that_breaks_a_rule_is_never_taken_on(
    bad: Callable[[Ca], SvidEntry],
) -> None:
    async with staged() as stage:
        await check_ignored(stage, bad(stage.ca))
