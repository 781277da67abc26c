"""The hot client against a double that answers right, wrong, late, half and not at all."""

import asyncio
import os

import orjson
import pytest

from outrider.core.clock import SystemClock
from outrider.core.ports import Failed
from outrider.core.vocabulary import Reason
from outrider.policy import opa_hot
from outrider.policy.opa_door import UnixDoor
from outrider.policy.opa_hot import HotClient, request_head
from outrider.policy.opa_reply import Reply
from tests.support.fake_opa import FakeOpa, Fault, a_result, an_answer, fake_opa
from tests.support.opa import until

HEAD = request_head("data.outrider.decision")
OK = a_result(True)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def a_client(double: FakeOpa, connections: int = 8) -> HotClient:
    return HotClient(door=double.door, connections=connections, clock=SystemClock())


async def ask(client: HotClient, query: bytes = b"{}", *, within_s: float = 5.0, trace=TRACE):
    return await client.ask(HEAD, query, SystemClock().monotonic_s() + within_s, trace)


def reason(reply: Reply | Failed) -> Reason:
    assert isinstance(reply, Failed), reply
    return reply.code


def test_the_head_is_fixed_by_the_entry_point_and_asks_for_strict_errors():
    assert HEAD.startswith(
        b"POST /v1/data/outrider/decision?strict-builtin-errors=true HTTP/1.1\r\n"
    )
    assert b"&provenance=true HTTP/1.1" in request_head("data.outrider.task", provenance=True)


async def test_the_query_is_spliced_in_as_it_is():
    async with fake_opa(OK) as opa:
        reply = await ask(a_client(opa), b'{"b": 1,  "a":[ ]}')
    assert isinstance(reply, Reply)
    head, _, body = opa.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"input":{"b": 1,  "a":[ ]}}'
    assert f"traceparent: {TRACE}".encode() in head.split(b"\r\n")


@pytest.mark.parametrize("trace", [None, "a\r\nX-Evil: 1", "x" * 65, "ü"])
async def test_what_is_no_trace_is_not_sent(trace):
    async with fake_opa(OK) as opa:
        assert isinstance(await ask(a_client(opa), trace=trace), Reply)
    assert b"traceparent" not in opa.requests[0]
    assert b"Evil" not in opa.requests[0]


async def test_hostile_text_stays_in_the_body():
    texts = ["\r\n\r\nPOST /v1/policies HTTP/1.1", "\x00", "../../system", "\u202e", "a" * 20_000]
    async with fake_opa(OK) as opa:
        client = a_client(opa)
        for text in texts:
            assert isinstance(await ask(client, orjson.dumps({"action": text})), Reply)
    assert {request.partition(b"\r\nContent-Length")[0] for request in opa.requests} == {
        opa.requests[0].partition(b"\r\nContent-Length")[0]
    }
    for request, text in zip(opa.requests, texts, strict=True):
        body = request.partition(b"\r\n\r\n")[2]
        assert orjson.loads(body) == {"input": {"action": text}}


async def test_one_connection_serves_one_question_after_another():
    async with fake_opa(OK) as opa:
        client = a_client(opa)
        for _ in range(5):
            assert isinstance(await ask(client), Reply)
    assert opa.connections == 1


async def test_questions_side_by_side_get_a_connection_each_up_to_the_limit():
    async with fake_opa(OK) as opa:
        client = a_client(opa, connections=3)
        replies = await asyncio.gather(*(ask(client) for _ in range(30)))
    assert all(isinstance(reply, Reply) for reply in replies)
    assert len(opa.requests) == 30
    assert opa.connections <= 3


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(Fault.HANG, Reason.POLICY_TIMEOUT, id="silent"),
        pytest.param(Fault.CLOSE, Reason.POLICY_UNAVAILABLE, id="closed"),
        pytest.param(Fault.HALF, Reason.POLICY_UNAVAILABLE, id="half a head"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", Reason.POLICY_MALFORMED, id="not HTTP"),
        pytest.param(OK + OK, Reason.POLICY_MALFORMED, id="two answers at once"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Reason.POLICY_MALFORMED, id="1xx"),
        pytest.param(
            an_answer(b"x" * (300 << 10)), Reason.POLICY_MALFORMED, id="larger than a result may be"
        ),
        pytest.param(
            an_answer(b"{}", extra="".join(f"X-{n}: 1\r\n" for n in range(100))),
            Reason.POLICY_MALFORMED,
            id="headers without end",
        ),
    ],
)
async def test_what_is_no_answer_fails_and_its_connection_is_not_used_again(line, expected):
    async with fake_opa(OK, line) as opa:
        client = a_client(opa)
        first = await ask(client, within_s=1.0)  # the question must have come before it is given up
        if isinstance(first, Reply):  # two answers at once: the first one stood whole
            assert line == OK + OK
        else:
            assert first.code is expected
        assert isinstance(await ask(client), Reply)
    assert opa.connections == 2


async def test_an_answer_of_ten_megabytes_is_cut_off_early():
    async with fake_opa(an_answer(b"x" * (10 << 20))) as opa:
        assert reason(await ask(a_client(opa))) is Reason.POLICY_MALFORMED


async def test_an_answer_that_closes_its_connection_counts_and_ends_it():
    async with fake_opa(an_answer(b"{}", extra="Connection: close\r\n")) as opa:
        client = a_client(opa)
        assert isinstance(await ask(client), Reply)
        assert isinstance(await ask(client), Reply)
    assert opa.connections == 2


async def test_a_kept_connection_that_was_closed_is_retried_once_at_once():
    async with fake_opa(OK, OK, Fault.CLOSE) as opa:
        client = a_client(opa)
        assert isinstance(await ask(client), Reply)
        assert isinstance(await ask(client), Reply)
    assert len(opa.requests) == 3


async def test_no_retry_after_the_first_byte_of_an_answer():
    async with fake_opa(OK, OK, Fault.HALF) as opa:
        client = a_client(opa)
        assert isinstance(await ask(client), Reply)
        assert reason(await ask(client)) is Reason.POLICY_UNAVAILABLE
    assert len(opa.requests) == 2


async def test_no_retry_where_a_new_connection_was_closed():
    async with fake_opa(Fault.CLOSE) as opa:
        assert reason(await ask(a_client(opa))) is Reason.POLICY_UNAVAILABLE
    assert len(opa.requests) == 1


async def test_no_retry_after_a_status():
    async with fake_opa(an_answer(b"{}", status=500)) as opa:
        reply = await ask(a_client(opa))
    assert isinstance(reply, Reply)
    assert (reply.status, len(opa.requests)) == (500, 1)


async def test_nobody_listening_is_unavailable_at_once(tmp_path):
    client = HotClient(door=UnixDoor(tmp_path / "none"), connections=1, clock=SystemClock())
    async with asyncio.timeout(1):
        assert reason(await ask(client)) is Reason.POLICY_UNAVAILABLE


async def test_another_process_on_the_socket_is_asked_nothing():
    async with fake_opa(OK) as opa:
        opa.pids = frozenset({1})
        assert reason(await ask(a_client(opa))) is Reason.POLICY_UNAVAILABLE
        opa.pids = frozenset({os.getpid()})
        assert isinstance(await ask(a_client(opa)), Reply)
    assert len(opa.requests) == 1


async def test_no_connection_free_by_the_deadline_is_overload_not_slowness():
    async with fake_opa(OK, Fault.HANG) as opa:
        client = a_client(opa, connections=1)
        slow, waiting = await asyncio.gather(ask(client, within_s=0.3), ask(client, within_s=0.1))
        assert (reason(slow), reason(waiting)) == (Reason.POLICY_TIMEOUT, Reason.OVERLOAD)
        assert isinstance(await ask(client), Reply)


async def test_the_line_of_those_who_wait_is_bounded(monkeypatch):
    monkeypatch.setattr(opa_hot, "MOST_WAITERS", 1)
    async with fake_opa(Fault.HANG) as opa:
        client = a_client(opa, connections=1)
        replies = await asyncio.gather(*(ask(client, within_s=0.1) for _ in range(3)))
    assert [reason(reply) for reply in replies][2] is Reason.OVERLOAD


async def test_a_cancelled_question_closes_its_connection_and_frees_its_slot():
    async with fake_opa(OK, Fault.HANG) as opa:
        client = a_client(opa, connections=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(client)
        assert isinstance(await ask(client), Reply)
    assert opa.connections == 2


async def test_cancelling_one_who_waits_leaves_the_line_whole():
    async with fake_opa(OK, Fault.HANG) as opa:
        client = a_client(opa, connections=1)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ask(client, within_s=0.2))
            gone = group.create_task(ask(client))
            last = group.create_task(ask(client))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gone.cancel()
        assert reason(first.result()) is Reason.POLICY_TIMEOUT
        assert gone.cancelled()
        assert isinstance(last.result(), Reply)


@pytest.mark.parametrize("given_up", ["cancelled", "cancelled as it is granted", "too late"])
async def test_one_who_leaves_the_line_as_a_slot_comes_free_does_no_harm(given_up):
    async with fake_opa(OK) as opa:
        client = a_client(opa, connections=1)
        assert await client._slot(SystemClock().monotonic_s() + 5)
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(client._slot(SystemClock().monotonic_s() + 5))
            await asyncio.sleep(0)
            if given_up == "cancelled":
                leaving.cancel()
            elif given_up == "too late":
                client._waiters[0].set_result(False)
            client._free_slot()
            if given_up == "cancelled as it is granted":
                leaving.cancel()
        assert leaving.cancelled() or leaving.result() is False
        assert isinstance(await ask(client), Reply)


async def test_a_deadline_in_the_past_asks_nothing():
    async with fake_opa(OK) as opa:
        assert reason(await ask(a_client(opa), within_s=-1)) is Reason.POLICY_TIMEOUT
    assert opa.requests == []


async def test_one_who_leaves_while_connecting_frees_the_slot():
    async with fake_opa(OK) as opa:
        client = a_client(opa, connections=1)
        leaving = asyncio.ensure_future(ask(client))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert isinstance(await ask(client), Reply)
    assert len(opa.requests) == 1


async def test_what_comes_unasked_ends_the_connection():
    async with fake_opa(OK) as opa:
        client = a_client(opa)
        assert isinstance(await ask(client), Reply)
        (idle,) = client._idle
        for writer in opa._writers:
            writer.write(an_answer(b'{"result": {"effect": "allow"}}'))
        await until(lambda: not idle.alive)
        reply = await ask(client)
        assert isinstance(reply, Reply)
        assert reply.body in OK
    assert opa.connections == 2


async def test_a_question_to_a_connection_that_is_gone_is_lost_at_once():
    async with fake_opa(OK) as opa:
        client = a_client(opa)
        assert isinstance(await ask(client), Reply)
        (idle,) = client._idle
        idle.close()
        answer = asyncio.get_running_loop().create_future()
        idle.send(b"", answer)
        assert reason(answer.result()) is Reason.POLICY_UNAVAILABLE


async def test_an_answer_that_comes_after_the_deadline_is_none():
    async with fake_opa(OK) as opa:

        class Late(SystemClock):
            """An hour passes as soon as the question is there."""

            def monotonic_s(self):
                return 3600.0 if opa.requests else 0.0

        client = HotClient(door=opa.door, connections=1, clock=Late())
        assert reason(await client.ask(HEAD, b"{}", 5.0)) is Reason.POLICY_TIMEOUT
        assert isinstance(await client.ask(HEAD, b"{}", 3605.0), Reply)
    assert len(opa.requests) == 2
