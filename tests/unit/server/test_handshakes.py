import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from outrider.server.handshakes import Doorkeeper
from tests.support.builders import FixedClock


@dataclass(slots=True)
class Door:
    room: int = 2
    clock: FixedClock = field(default_factory=FixedClock)
    turned_away: int = 0
    keeper: Doorkeeper = field(init=False)

    def __post_init__(self) -> None:
        self.keeper = Doorkeeper(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            room=lambda: self.room,
            turned_away=self._count,
            handshake_s=lambda: 5.0,
            clock=self.clock,
        )

    def _count(self) -> None:
        self.turned_away += 1

    def knock(self) -> ssl.SSLObject:
        return self.keeper.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)


def _finished(door: Door, made: list[ssl.SSLObject]) -> None:
    door.keeper.finished(made[0])


def _forgotten(door: Door, made: list[ssl.SSLObject]) -> None:
    made.clear()


def _overdue(door: Door, made: list[ssl.SSLObject]) -> None:
    door.clock.pass_s(6.1)


def test_as_many_as_there_is_room_for_may_begin() -> None:
    door = Door()
    made = [door.knock(), door.knock()]
    assert (door.keeper.under_way, door.turned_away, len(made)) == (2, 0, 2)
    with pytest.raises(ssl.SSLWantReadError):
        made[0].do_handshake()


def test_one_more_is_closed_before_it_was_read_and_told() -> None:
    door = Door()
    made = [door.knock(), door.knock()]
    refused = door.knock()
    with pytest.raises(ssl.SSLError, match="not accepted"):
        refused.do_handshake()
    assert (door.keeper.under_way, door.turned_away, len(made)) == (2, 1, 2)


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(_finished, id="became-a-connection"),
        pytest.param(_forgotten, id="failed"),
        pytest.param(_overdue, id="never-heard-of-again"),
    ],
)
def test_a_place_comes_free(ended: Callable[[Door, list[ssl.SSLObject]], None]) -> None:
    door = Door()
    made = [door.knock(), door.knock()]
    ended(door, made)
    another = door.knock()
    with pytest.raises(ssl.SSLWantReadError):
        another.do_handshake()
    assert door.turned_away == 0


def test_what_is_merely_slow_keeps_its_place() -> None:
    door = Door()
    made = [door.knock(), door.knock()]
    door.clock.pass_s(5.9)
    door.knock()
    assert (door.turned_away, len(made)) == (1, 2)


def test_a_connection_that_was_not_counted_finishes_nothing() -> None:
    door = Door()
    kept = door.knock()
    door.keeper.finished(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True
        )
    )
    assert door.keeper.under_way == 1, kept
