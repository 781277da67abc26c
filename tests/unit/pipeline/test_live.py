"""Answers that tell of what their caller may see: they look again when that may have changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Ending, Reply, TlsPeer
from outrider.core.obligation import LimitObligation
from outrider.core.ports import Emit, Step
from outrider.core.vocabulary import Credential, Effect, Reason
from outrider.pipeline.live import LiveExchange, LiveExchanges
from tests.support.builders import (
    a_decision,
    a_grant,
    a_peer,
    a_subject,
    a_task,
    a_tls_peer,
    an_exchange,
)
from tests.support.pipeline import FixedIncoming, Rig


@dataclass(slots=True)
class Stream:
    """A stream under way that tells `news`, and whatever its caller has got of it."""

    rig: Rig
    looks: int = 0
    got: list[bytes] = field(default_factory=list)
    reader: "asyncio.Task[None] | None" = None
    reply: Reply | None = None

    def news(self) -> list[Step]:
        self.looks += 1
        return [Emit(data=b"news ")]

    async def read(self) -> None:
        assert self.reply is not None
        assert not isinstance(self.reply.body, bytes)
        try:
            async for piece in self.reply.body:
                self.got.append(piece)
        finally:
            self.reply.settle(Ending.SENT, 0)

    async def turn(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@asynccontextmanager
async def _stream(
    rig: Rig, *, tells: bool = True, tls: TlsPeer | None = None
) -> AsyncIterator[Stream]:
    stream = Stream(rig)
    gate = asyncio.Event()
    rig.upstream.answers = [FixedIncoming(chunks=[b"first "], gate=gate)]
    rig.adapter.conversation.is_stream = True
    rig.adapter.conversation.news = stream.news if tells else None
    async with rig.jobs, asyncio.TaskGroup() as group:
        stream.reply = await rig.enforcer().handle(an_exchange(peer=a_peer(tls=tls)))
        stream.reader = group.create_task(stream.read())
        await stream.turn()
        yield stream
        gate.set()


async def test_a_stream_that_waits_looks_again_at_once() -> None:
    rig = Rig()
    async with _stream(rig) as stream:
        assert stream.got == [b"first "]
        rig.live.changed()
        rig.live.changed()
        await stream.turn()
        assert (stream.got, stream.looks) == ([b"first ", b"news "], 1)
        await stream.turn()
        assert stream.looks == 1
        rig.live.changed("crm")
        rig.live.changed("mail")
        await stream.turn()
        assert stream.looks == 2
    assert rig.audit.kinds() == ["decision", "outcome"]
    assert len(rig.live) == 0


async def test_other_answers_are_not_disturbed() -> None:
    rig = Rig()
    async with _stream(rig, tells=False) as stream:
        rig.live.changed()
        await stream.turn()
        assert stream.got == [b"first "]
        assert len(rig.binder.names) == 1


def test_only_what_tells_of_the_upstream_is_woken() -> None:
    live, woken = LiveExchanges(), list[str]()
    for name, upstream in (("a", "crm"), ("b", "mail"), ("c", None)):
        entry = LiveExchange(id=name, upstream=upstream)
        entry.wake = lambda name=name: woken.append(name)
        live._live[name] = entry
    live._live["d"] = LiveExchange(id="d", upstream="crm")
    live.changed("crm")
    assert woken == ["a"]
    live.changed()
    assert woken == ["a", "a", "b", "c"]


def _denies(rig: Rig) -> None:
    rig.decider.decision = a_decision(Effect.DENY, reason=Reason.POLICY)


def _takes_the_grant(rig: Rig) -> None:
    rig.binder.task = a_task(grant=a_grant(tools=["mail/*"]))


def _ends_the_task(rig: Rig) -> None:
    rig.binder.fault = EnforcementError("over", reason=Reason.TASK_ENDED)


def _quarantines(rig: Rig) -> None:
    rig.quarantine.agents.add("spiffe://acme.test/ns/support/sa/triage")


def _loses_the_policy(rig: Rig) -> None:
    rig.decider.fault = EnforcementError("none", reason=Reason.POLICY_UNAVAILABLE)


@pytest.mark.parametrize(
    ("change", "reason", "decisions"),
    [
        pytest.param(_denies, Reason.POLICY, 2, id="policy"),
        pytest.param(_takes_the_grant, Reason.UNRECOGNISED, 1, id="grant"),
        pytest.param(_ends_the_task, Reason.TASK_ENDED, 1, id="task"),
        pytest.param(_quarantines, Reason.QUARANTINED, 1, id="quarantine"),
        pytest.param(_loses_the_policy, Reason.POLICY_UNAVAILABLE, 1, id="no-policy"),
    ],
)
async def test_a_stream_that_would_not_be_allowed_now_ends(
    change: object, reason: Reason, decisions: int
) -> None:
    rig = Rig()
    async with _stream(rig) as stream:
        change(rig)  # type: ignore[operator]
        rig.live.changed()
        await stream.turn()
        assert stream.looks == 0
        assert stream.reader is not None
        assert stream.reader.done()
    assert rig.adapter.refusals[-1].reason is reason
    assert len(rig.audit.of("decision")) == decisions
    assert rig.audit.of("outcome")[-1]["outcome"]["status"] == "unknown"
    assert len(rig.live) == 0


async def test_what_a_stream_asks_later_is_judged_by_the_policy_in_force_then() -> None:
    rig = Rig()
    async with _stream(rig) as stream:
        before = len(rig.decider.asked)
        task = rig.binder.task = a_task(grant_revision=7)
        rig.live.changed()
        await stream.turn()
        assert [question.task for question in rig.decider.asked[before:]] == [task]
        assert stream.looks == 1


async def test_a_stream_of_which_policy_asks_something_new_ends() -> None:
    rig = Rig()
    async with _stream(rig) as stream:
        rig.decider.decision = a_decision(obligations=(LimitObligation(response_bytes=5),))
        rig.live.changed()
        await stream.turn()
        assert stream.looks == 0
    assert rig.adapter.refusals[-1].reason is Reason.OBLIGATION


async def test_what_has_no_task_to_end_is_marked_like_the_rest() -> None:
    live, entered = LiveExchanges(), asyncio.Event()
    entry, other = LiveExchange(id="a", tools=("crm/a",)), LiveExchange(id="b")

    def enter() -> None:
        live.enter(entry)  # a callback of the loop is no task
        live.enter(other)
        entered.set()

    asyncio.get_running_loop().call_soon(enter)
    await entered.wait()
    assert live.cut(lambda one: one.tools == ("crm/a",), Reason.QUARANTINED) == ("a",)
    assert (entry.cut_for, other.cut_for) == (Reason.QUARANTINED, None)


def test_only_the_exchange_of_that_conversation_is_ended_and_says_why() -> None:
    live = LiveExchanges()
    mine, other = (LiveExchange(id=name, conversation=object()) for name in ("mine", "other"))
    for entry in (mine, other):
        live._live[entry.id] = entry
    why = EnforcementError("its server asked", reason=Reason.POLICY)
    live.end(mine.conversation, why)
    assert (mine.why, mine.cut_for) == (why, Reason.POLICY)
    assert (other.why, other.cut_for) == (None, None)


# --- as long as its caller is proven ---


PEER = a_tls_peer()
OTHER = a_tls_peer("spiffe://b.test/planner")


@pytest.mark.parametrize(
    ("tls", "credential", "holds", "own"),
    [
        pytest.param(PEER, Credential.X509_SVID, False, True, id="its-proof-is-gone"),
        pytest.param(PEER, Credential.X509_SVID, True, False, id="we-have-none-to-meet-it"),
        pytest.param(None, Credential.ATTESTED_LOCAL, True, False, id="ours-is-gone"),
    ],
)
async def test_a_stream_whose_caller_is_no_longer_proven_ends_with_a_word_and_its_connection(
    tls: TlsPeer | None, credential: Credential, holds: bool, own: bool
) -> None:
    rig = Rig()
    rig.identifier.subject = a_subject(credential=credential)
    async with _stream(rig, tls=tls) as stream:
        assert stream.reply is not None
        assert stream.reply.is_last is not None
        assert not stream.reply.is_last()
        assert rig.live.revalidate(lambda _: True, own=True) == 0
        assert rig.live.revalidate(lambda _: holds, own=own) == 1
        await stream.turn()
        assert stream.got == [b"first ", b"unauthenticated"]
        assert stream.reply.is_last()
    assert len(rig.live) == 0
    assert rig.audit.of("outcome")[-1]["outcome"]["error"] == "unauthenticated"


@pytest.mark.parametrize(
    ("tls", "credential", "own"),
    [
        pytest.param(PEER, Credential.X509_SVID, True, id="a-peer-that-holds"),
        pytest.param(None, Credential.ATTESTED_LOCAL, True, id="our-agent-while-we-hold"),
        pytest.param(None, Credential.JWT_SVID, False, id="a-token-stands-by-itself"),
    ],
)
async def test_who_is_proven_goes_on(
    tls: TlsPeer | None, credential: Credential, own: bool
) -> None:
    rig = Rig()
    rig.identifier.subject = a_subject(credential=credential)
    async with _stream(rig, tls=tls) as stream:
        assert rig.live.revalidate(lambda peer: peer == PEER, own=own) == 0
        await stream.turn()
        assert stream.got == [b"first "]


async def test_only_the_peer_that_is_no_longer_proven_is_cut() -> None:
    live = LiveExchanges()
    for name, tls in (("a", PEER), ("b", OTHER), ("c", None)):
        live._live[name] = LiveExchange(id=name, peer=tls)
    assert live.revalidate(lambda peer: peer is not OTHER, own=True) == 1
    assert [entry.id for entry in live._live.values() if entry.cut_for is not None] == ["b"]
    assert live._live["b"].cut_for is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("tls", [pytest.param(None, id="alone"), pytest.param(PEER, id="over-tls")])
async def test_a_stream_that_a_bearer_opened_ends_when_it_would_be_taken_no_more(
    tls: TlsPeer | None,
) -> None:
    rig, stands = Rig(), [True]
    rig.identifier.subject = a_subject(credential=Credential.JWT_SVID, still=lambda: stands[0])
    async with _stream(rig, tls=tls) as stream:
        assert rig.live.revalidate(lambda _: True, own=True) == 0
        stands[0] = False
        assert rig.live.revalidate(lambda _: True, own=True) == 1
        await stream.turn()
        assert stream.got == [b"first ", b"unauthenticated"]
        assert stream.reply is not None
        assert stream.reply.is_last is not None
        assert stream.reply.is_last()
