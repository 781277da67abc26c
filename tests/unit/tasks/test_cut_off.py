"""Who policy had cut off stays cut off, here and wherever the store is read."""

import pytest

from outrider.core.errors import EnforcementError, StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.memory import MemoryStates
from outrider.tasks.cut_off import CutOffs
from outrider.tasks.quarantine import QuarantineList, Scope
from tests.support.builders import FixedClock

AGENT = "spiffe://acme.test/ns/support/sa/triage"


def some(states: MemoryStates) -> tuple[CutOffs, QuarantineList]:
    cut = QuarantineList()
    return CutOffs(states=states, cut=cut, clock=FixedClock()), cut


def refused(cut: QuarantineList, **named: str) -> bool:
    try:
        cut.check(agent=named.pop("agent", "nobody"), **named)
    except EnforcementError:
        return True
    return False


@pytest.mark.parametrize(
    ("scope", "named"),
    [
        pytest.param(Scope.AGENT, {"agent": "x"}, id="agent"),
        pytest.param(Scope.TASK, {"task": "x"}, id="task"),
        pytest.param(Scope.TOOL, {"tool": "x"}, id="tool"),
        pytest.param(Scope.UPSTREAM, {"upstream": "x"}, id="upstream"),
    ],
)
async def test_what_is_cut_off_is_refused_here_and_by_the_next_to_look(
    scope: Scope, named: dict[str, str]
) -> None:
    states = MemoryStates(clock=FixedClock())
    here, cut = some(states)
    await here.cut(scope, "x", "SQ-01")
    assert refused(cut, **named)
    there, other = some(states)
    assert not refused(other, **named)
    assert await there.load() == ((scope, "x"),)
    assert await there.load() == ()
    assert refused(other, **named)
    assert not refused(other, agent=AGENT)


async def test_cutting_off_twice_is_once() -> None:
    states = MemoryStates(clock=FixedClock())
    here, _ = some(states)
    await here.cut(Scope.AGENT, AGENT, "SQ-01")
    await here.cut(Scope.AGENT, AGENT, "SQ-06")
    there, _ = some(states)
    assert await there.load() == ((Scope.AGENT, AGENT),)


class Gone(MemoryStates):
    """A store that cannot be written."""

    async def swap(self, *args: object, **more: object) -> Held | None:
        raise StoreUnavailableError("gone")


async def test_without_the_store_it_counts_here_all_the_same() -> None:
    here, cut = some(Gone(clock=FixedClock()))
    with pytest.raises(StoreUnavailableError):
        await here.cut(Scope.AGENT, AGENT, "SQ-01")
    assert refused(cut, agent=AGENT)


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"scope":"all","name":"x"}', b'{"scope":"task"}'])
async def test_a_list_that_cannot_be_read_is_not_taken_for_empty(value: bytes) -> None:
    states = MemoryStates(clock=FixedClock())
    await states.swap("quarantine", "x", 0, value)
    here, _ = some(states)
    with pytest.raises(StoreUnavailableError):
        await here.load()


async def test_how_fast_word_travels_is_told_but_not_of_what_stood_there_before() -> None:
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    here = CutOffs(states=states, cut=QuarantineList(), clock=clock)
    told: list[float] = []
    there = CutOffs(states=states, cut=QuarantineList(), clock=clock, propagated=told.append)
    await here.cut(Scope.AGENT, "old", "SQ-01")
    clock.pass_s(60)
    await there.load()
    assert told == []
    await here.cut(Scope.AGENT, "new", "SQ-01")
    clock.pass_s(1.5)
    await there.load()
    await there.load()
    assert told == [pytest.approx(1.5)]


async def test_our_own_cut_says_nothing_of_propagation() -> None:
    told: list[float] = []
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    here = CutOffs(states=states, cut=QuarantineList(), clock=clock, propagated=told.append)
    await here.load()
    await here.cut(Scope.AGENT, "x", "SQ-01")
    await here.load()
    assert told == []
