"""How an exchange ends: what is said of it, and (PROTOCOLS §12 case 50) when."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass

import pytest

from outrider.core.decision import Permit
from outrider.core.errors import ObligationError
from outrider.core.exchange import Ending, Outgoing, Reply
from outrider.core.ports import Emit, Judge, Step
from outrider.core.vocabulary import Phase
from outrider.pipeline.enforcer import ABANDONED_S
from tests.support.builders import an_exchange
from tests.support.pipeline import FixedIncoming, GroupJobs, RecordingUpstream, Rig
from tests.support.virtual import at, in_virtual_time, now_s

LEFT_S = 5.0
SOON_S = 0.1


@dataclass
class Slow(RecordingUpstream):
    """An upstream whose head comes at `head_s`; keeps when it was told to stop."""

    head_s: float = 1e9
    stopped_s: float | None = None

    async def send(self, permit: Permit, outgoing: Outgoing) -> FixedIncoming:
        head = at(self.head_s)
        try:
            await head.wait()
        except asyncio.CancelledError:
            self.stopped_s = now_s()
            raise
        return await super().send(permit, outgoing)


@dataclass(slots=True)
class Timed(FixedIncoming):
    """An answer that keeps when its connection was dropped."""

    dropped_s: float | None = None

    def abort(self) -> None:
        FixedIncoming.abort(self)
        if self.dropped_s is None:
            self.dropped_s = now_s()


async def _leave(rig: Rig) -> float | None:
    """One call whose caller leaves before its head came; when its outcome was on the chain."""
    ended: list[float] = []
    append = rig.audit.append_nowait

    def told(record: dict[str, object]) -> None:
        append(record)  # type: ignore[arg-type]
        ended.append(now_s())

    rig.audit.append_nowait = told  # type: ignore[method-assign,assignment]
    async with rig.jobs, asyncio.TaskGroup() as group:
        call = group.create_task(rig.enforcer().handle(an_exchange()))
        await at(LEFT_S).wait()
        call.cancel()
    return ended[0] if ended else None


def _status(rig: Rig) -> str:
    (outcome,) = rig.audit.of("outcome")
    return str(outcome["outcome"]["status"])


def test_case_50_a_modern_call_is_cancelled_at_its_upstream_within_a_tenth_of_a_second() -> None:
    upstream = Slow()
    rig = Rig(upstream=upstream)
    ended_s = in_virtual_time(_leave(rig))
    assert upstream.stopped_s is not None
    assert upstream.stopped_s - LEFT_S <= SOON_S
    assert ended_s is not None
    assert ended_s - LEFT_S <= SOON_S
    assert _status(rig) == "unknown"  # it was sent: nobody knows what became of it


def test_case_50_a_modern_stream_is_dropped_within_a_tenth_of_a_second() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = True

    async def leave() -> float | None:
        incoming = Timed(chunks=[b"one"], gate=asyncio.Event())
        rig.upstream.answers = [incoming]
        async with rig.jobs:
            reply = await rig.enforcer().handle(an_exchange())
            await _first(reply)
            await at(LEFT_S).wait()
            await _close(reply)
        return incoming.dropped_s

    dropped_s = in_virtual_time(leave())
    assert dropped_s is not None
    assert dropped_s - LEFT_S <= SOON_S
    assert _status(rig) == "unknown"


def test_case_50_a_legacy_call_runs_on_to_its_end() -> None:
    upstream = Slow(head_s=LEFT_S + ABANDONED_S - 1)
    rig = Rig(upstream=upstream)
    rig.adapter.conversation.runs_on = True
    assert in_virtual_time(_leave(rig)) == upstream.head_s
    assert upstream.stopped_s is None
    assert _status(rig) == "executed"


def test_case_50_a_legacy_call_that_never_ends_is_cut_in_the_end() -> None:
    upstream = Slow()
    rig = Rig(upstream=upstream)
    rig.adapter.conversation.runs_on = True
    assert in_virtual_time(_leave(rig)) == LEFT_S + ABANDONED_S
    assert upstream.stopped_s == LEFT_S + ABANDONED_S
    assert _status(rig) == "unknown"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


def test_case_50_a_legacy_stream_runs_on_and_is_cut_in_the_end() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True

    async def leave() -> tuple[float | None, float]:
        incoming = Timed(chunks=[b"one"], gate=asyncio.Event())
        rig.upstream.answers = [incoming]
        async with rig.jobs:
            reply = await rig.enforcer().handle(an_exchange())
            await _first(reply)
            await at(LEFT_S).wait()
            await _close(reply)
            before = incoming.dropped_s
        assert before is None
        return incoming.dropped_s, now_s()

    dropped_s, ended_s = in_virtual_time(leave())
    assert dropped_s == ended_s == LEFT_S + ABANDONED_S
    assert _status(rig) == "unknown"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "in-a-stream"])
async def test_what_left_was_not_refused_whatever_its_answer_broke(is_stream: bool) -> None:
    """A condition on the answer: the upstream has done by then what it was asked for."""
    rig = Rig()
    rig.adapter.conversation.is_stream = is_stream

    def breaks() -> list[Step]:
        raise ObligationError("more records than policy allows")

    def late(_chunk: bytes) -> list[Step]:
        return [Judge(asks=(), phase=Phase.RESPONSE, then=lambda _verdicts: breaks())]

    rig.adapter.conversation.on_chunk = late
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"])]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        if not isinstance(reply.body, bytes):
            assert [piece async for piece in reply.body] == [b"obligation"]
        reply.settle(Ending.SENT, 0)
    (outcome,) = rig.audit.of("outcome")
    assert outcome["outcome"]["error"] == "obligation"
    assert outcome["outcome"]["status"] == "unknown"


async def _first(reply: Reply) -> None:
    assert isinstance(reply.body, AsyncGenerator)
    assert await anext(reply.body) == b"one"


async def _close(reply: Reply) -> None:
    assert isinstance(reply.body, AsyncGenerator)
    await reply.body.aclose()
    reply.settle(Ending.CLIENT_LEFT, 3)


class _Kept(GroupJobs):
    """Jobs that a test can end, as the end of the process does."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, job: Coroutine[None, None, None]) -> None:
        self.tasks.append(self._group.create_task(job, name=name))


def _closed(rig: Rig) -> None:
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_reader_that_leaves_a_modern_stream_gets_no_words_and_the_call_is_unknown() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = True
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"], gate=asyncio.Event())]
    got: list[bytes] = []
    began = asyncio.Event()

    async def read(reply: Reply) -> None:
        assert not isinstance(reply.body, bytes)
        async for piece in reply.body:
            got.append(piece)
            began.set()

    async with rig.jobs, asyncio.TaskGroup() as group:
        reply = await rig.enforcer().handle(an_exchange())
        reader = group.create_task(read(reply))
        await began.wait()
        reader.cancel()
    reply.settle(Ending.CLIENT_LEFT, 3)
    assert (got, rig.adapter.refusals) == ([b"one"], [])
    assert _status(rig) == "unknown"
    _closed(rig)


async def test_what_comes_of_a_legacy_stream_after_its_reader_left_is_read_to_its_end() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True
    read: list[bytes] = []

    def kept(chunk: bytes) -> list[Step]:
        read.append(chunk)
        return [Emit(data=chunk)]

    rig.adapter.conversation.on_chunk = kept
    rig.upstream.answers = [FixedIncoming(chunks=[b"one", b"two", b"three"])]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        await _first(reply)
        await _close(reply)
        assert read == [b"one"]
    assert read == [b"one", b"two", b"three"]
    assert _status(rig) == "executed"
    _closed(rig)


@pytest.mark.parametrize(
    "leaves_s",
    [
        pytest.param(LEFT_S - 1, id="before-the-head"),
        pytest.param(LEFT_S, id="with-the-head"),
    ],
)
def test_a_legacy_stream_that_begins_for_nobody_is_read_to_its_end(leaves_s: float) -> None:
    upstream = Slow(head_s=LEFT_S)
    incoming = FixedIncoming(chunks=[b"one", b"two"])
    upstream.answers = [incoming]
    rig = Rig(upstream=upstream)
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True

    async def leave() -> None:
        async with rig.jobs, asyncio.TaskGroup() as group:
            call = group.create_task(rig.enforcer().handle(an_exchange()))
            await at(leaves_s).wait()
            call.cancel()
        assert call.cancelled()

    in_virtual_time(leave())
    assert incoming.chunks == []
    assert _status(rig) == "executed"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_stream_whose_head_comes_in_the_moment_its_caller_leaves_is_read_out() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True
    calls: list[asyncio.Task[Reply]] = []

    class Leaving(RecordingUpstream):
        """An upstream whose answer is there when the caller is about to be gone."""

        async def send(self, permit: Permit, outgoing: Outgoing) -> FixedIncoming:
            asyncio.get_running_loop().call_soon(calls[0].cancel)
            return await super().send(permit, outgoing)

    incoming = FixedIncoming(chunks=[b"one", b"two"])
    rig.upstream = Leaving(answers=[incoming])
    async with rig.jobs, asyncio.TaskGroup() as group:
        calls.append(group.create_task(rig.enforcer().handle(an_exchange())))
    assert (calls[0].cancelled(), incoming.chunks) == (True, [])
    assert _status(rig) == "executed"
    _closed(rig)


async def test_a_legacy_call_that_ends_with_the_process_is_unknown_and_answers_nobody() -> None:
    jobs = _Kept()
    rig = Rig(jobs=jobs)
    rig.adapter.conversation.runs_on = True
    rig.upstream.gate = asyncio.Event()
    async with rig.jobs, asyncio.TaskGroup() as group:
        call = group.create_task(rig.enforcer().handle(an_exchange()))
        await rig.upstream.reached.wait()
        jobs.tasks[0].cancel()
    assert (call.cancelled(), rig.adapter.refusals) == (True, [])
    assert _status(rig) == "unknown"
    _closed(rig)
