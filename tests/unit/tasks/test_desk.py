"""Whom the books tell."""

from outrider.stores.memory import MemoryStates
from outrider.tasks.behaviour.document import EXTERNAL, UNTRUSTED, TaskCodec
from outrider.tasks.desk import Desk
from outrider.tasks.ledger import Ledger
from outrider.tasks.memory import MemoryCodec
from tests.support.books import RecordingEvents
from tests.support.builders import FixedClock


def test_each_flag_is_told_by_its_name() -> None:
    clock, events = FixedClock(), RecordingEvents()
    states = MemoryStates(clock=clock)
    desk = Desk(
        tasks=Ledger(states=states, table="books", codec=TaskCodec(), clock=clock),
        memories=Ledger(states=states, table="memory", codec=MemoryCodec(), clock=clock),
        clock=clock,
        events=events,
        watch=events,
        shared=False,
    )
    desk.flags(0)
    desk.flags(UNTRUSTED | EXTERNAL)
    assert events.flags == ["untrusted_read", "external_send"]
