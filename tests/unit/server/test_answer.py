import asyncio

import pytest

from outrider.core.errors import UpstreamFailedError
from outrider.server.answer import HIGH_BYTES, Answer
from tests.support.builders import a_response_head


class RecordingTap:
    def __init__(self):
        self.calls = []

    def pause(self):
        self.calls.append("pause")

    def resume(self):
        self.calls.append("resume")

    def drop(self):
        self.calls.append("drop")


def an_answer():
    tap = RecordingTap()
    return Answer(head=a_response_head(), tap=tap), tap


async def test_pieces_come_in_order_and_then_the_end():
    answer, _ = an_answer()
    answer.put(b"a")
    answer.put(b"b")
    answer.finish()
    assert [piece async for piece in answer] == [b"a", b"b"]


async def test_a_full_buffer_stops_the_upstream_until_it_is_taken():
    answer, tap = an_answer()
    for _ in range(3):
        answer.put(b"x" * (HIGH_BYTES // 2))
    assert tap.calls == ["pause"]
    await anext(answer)
    await anext(answer)
    assert tap.calls == ["pause"]
    await anext(answer)
    assert tap.calls == ["pause", "resume"]


async def test_a_failed_answer_delivers_nothing_more():
    answer, tap = an_answer()
    answer.put(b"part")
    answer.fail(UpstreamFailedError("cut"))
    with pytest.raises(UpstreamFailedError):
        await anext(answer)
    answer.abort()
    assert tap.calls == []


async def test_a_reader_that_waits_is_woken_with_an_empty_piece_and_no_other_one():
    answer, _ = an_answer()
    answer.wake()  # nobody waits
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(anext(answer))
        await asyncio.sleep(0)
        answer.wake()
        answer.wake()
    assert reader.result() == b""
    answer.put(b"a")
    answer.wake()
    answer.finish()
    answer.wake()
    assert [piece async for piece in answer] == [b"a"]


async def test_aborting_a_whole_answer_does_nothing():
    answer, tap = an_answer()
    answer.put(b"a")
    answer.finish()
    answer.abort()
    assert (tap.calls, await anext(answer)) == ([], b"a")


async def test_who_waits_is_woken():
    answer, _ = an_answer()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(answer, None))
        await asyncio.sleep(0)
        answer.put(b"a")
    assert waiting.result() == b"a"
