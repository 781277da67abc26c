"""Large work in turns: the same steps in the same order, however it is cut."""

from collections.abc import Generator

import pytest

from outrider.core.errors import UpstreamFailedError
from outrider.core.ports import Emit, Judge, Step
from outrider.protocols.wire.turns import Work, in_turns


def _counting(pieces: int, done: list[int]) -> Work:
    for piece in range(pieces):
        done.append(piece)
        yield
    return [Emit(data=b"end")]


def _carried_out(steps: list[Step], depth: int = 0) -> Generator[int | bytes, None, None]:
    """The depth at each turn of the loop, and the bytes that left."""
    for step in steps:
        if isinstance(step, Judge):
            assert step.asks == ()
            yield depth
            yield from _carried_out(step.then(()), depth + 1)
        elif isinstance(step, Emit):
            yield step.data


def test_what_has_no_pieces_is_done_at_once() -> None:
    assert in_turns(_counting(0, [])) == [Emit(data=b"end")]


@pytest.mark.parametrize("pieces", [1, 2, 5000])
def test_the_loop_has_its_turn_before_each_further_piece(pieces: int) -> None:
    done: list[int] = []
    steps = in_turns(_counting(pieces, done))
    assert done == [0]
    seen: list[int | bytes] = []
    for one in _carried_out(steps):
        seen.append(one)
        if isinstance(one, int) and len(seen) > 1:
            assert len(done) <= len(seen)
    assert len(done) == pieces
    assert seen[-1] == b"end"
    assert len(seen) - 1 >= pieces


def test_a_long_work_is_no_deep_nest_of_calls() -> None:
    depths = [one for one in _carried_out(in_turns(_counting(5000, []))) if isinstance(one, int)]
    assert max(depths) <= 2


def test_what_follows_waits_until_the_work_is_done() -> None:
    steps = [*in_turns(_counting(3, [])), Emit(data=b"after")]
    assert [one for one in _carried_out(steps) if isinstance(one, bytes)] == [b"end", b"after"]


def test_a_fault_in_a_later_piece_ends_it() -> None:
    def failing() -> Work:
        yield
        raise UpstreamFailedError("no good")

    with pytest.raises(UpstreamFailedError):
        list(_carried_out(in_turns(failing())))
