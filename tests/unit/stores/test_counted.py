"""Every operation of the store is counted by what came of it, and is otherwise the store's own."""

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held, States
from outrider.stores.counted import CountedStates
from outrider.stores.memory import MemoryStates
from outrider.stores.redis_link import UNKNOWN
from tests.support.builders import FixedClock


class BrokenStates:
    """Fails every operation with this cause."""

    shared = True

    def __init__(self, cause: str) -> None:
        self._fault = StoreUnavailableError("away", cause=cause)

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        raise self._fault

    async def swap(self, *_: object, **__: object) -> Held | None:
        raise self._fault

    async def items(self, table: str) -> dict[str, Held]:
        raise self._fault


async def test_what_is_answered_is_ok_and_goes_through_as_it_is() -> None:
    told: list[str] = []
    inner = MemoryStates(clock=FixedClock())
    states: States = CountedStates(inner, counted=told.append)
    assert states.shared == inner.shared
    assert await states.swap("books", "a", 0, b"1", life_s=60, durable=True) is None
    held = await states.read("books", "a")
    assert held is not None
    assert held.value == b"1"
    assert await states.swap("books", "a", 7, b"2") == held
    assert list(await states.items("books")) == ["a"]
    assert told == ["ok"] * 4


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        pytest.param("", "error", id="not-carried-out"),
        pytest.param(UNKNOWN, "unknown", id="nobody-knows"),
    ],
)
async def test_what_is_not_is_counted_and_raised(cause: str, result: str) -> None:
    told: list[str] = []
    states = CountedStates(BrokenStates(cause), counted=told.append)
    with pytest.raises(StoreUnavailableError):
        await states.read("books", "a")
    with pytest.raises(StoreUnavailableError):
        await states.swap("books", "a", 0, b"")
    with pytest.raises(StoreUnavailableError):
        await states.items("books")
    assert told == [result] * 3


def test_what_the_store_says_of_losses_is_still_heard() -> None:
    class Losing(BrokenStates):
        def losses(self, table: str) -> int:
            return len(table)

    losing = CountedStates(Losing(""), counted=lambda _: None)
    assert losing.losses is not None
    assert losing.losses("books") == 5
    assert CountedStates(BrokenStates(""), counted=lambda _: None).losses is None
