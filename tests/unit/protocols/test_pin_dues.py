"""What is due stays due until it was carried out, in order, and is told once."""

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import MANY_KEYS, Judge, Note, Persist, Step
from outrider.protocols.pin_dues import TABLE, Dues, Key, Written, store_key

ECHO: Key = ("crm", "tool", "echo")
FIND: Key = ("crm", "tool", "find")
PINNED = Note(event="definition_pinned", facts={"name": "echo"})
CHANGED = Note(event="definition_changed", facts={"name": "echo"})


class Table:
    """Rows that change as tests say."""

    def __init__(self) -> None:
        self.rows: dict[Key, JsonObject] = {ECHO: {"v": 1}, FIND: {"v": 1}}
        self.dues = Dues(self._written)

    def _written(self, key: Key) -> Written:
        row = self.rows[key]
        return row, row

    def due(self) -> list[Step]:
        return self.dues.steps("crm", "tool")


def _carry_out(steps: list[Step], *, stop_at: type | None = None) -> list[Step]:
    """What was stored and told, in order; `stop_at` is where a fault ends it."""
    done: list[Step] = []
    for step in steps:
        if stop_at is not None and isinstance(step, stop_at):
            return done
        if isinstance(step, Judge):
            done += _carry_out(step.then(()), stop_at=stop_at)
        else:
            done.append(step)
    return done


def test_nothing_is_due_at_first() -> None:
    assert Table().due() == []


def test_a_row_is_stored_before_it_is_told_of_and_then_no_longer_due() -> None:
    table = Table()
    table.dues.owe(ECHO, PINNED)
    done = _carry_out(table.due())
    assert done == [Persist(table=TABLE, key=store_key(*ECHO), value={"v": 1}), PINNED]
    assert table.due() == []


def test_many_rows_are_one_write() -> None:
    table = Table()
    table.dues.owe(ECHO)
    table.dues.owe(FIND)
    rows = {store_key(*ECHO): {"v": 1}, store_key(*FIND): {"v": 1}}
    assert _carry_out(table.due()) == [Persist(table=TABLE, key=MANY_KEYS, value=rows)]


def test_what_a_store_fault_left_is_due_again() -> None:
    table = Table()
    table.dues.owe(ECHO, PINNED)
    assert _carry_out(table.due(), stop_at=Persist) == []
    assert len(_carry_out(table.due())) == 2


def test_a_caller_who_leaves_leaves_the_notes_to_the_next() -> None:
    table = Table()
    table.dues.owe(ECHO, PINNED)
    table.dues.tell(ECHO, CHANGED)
    persist, stored, telling = table.due()
    assert _carry_out([persist, stored]) == [persist]
    assert isinstance(telling, Judge)
    assert _carry_out(table.due()) == [PINNED, CHANGED]
    assert _carry_out([telling]) == []


def test_of_one_event_only_the_latest_note_is_told() -> None:
    table = Table()
    latest = Note(event=CHANGED.event, facts={"name": "echo", "again": True})
    table.dues.tell(ECHO, CHANGED)
    table.dues.tell(ECHO, latest)
    assert _carry_out(table.due()) == [latest]


def test_a_row_that_changed_while_it_was_stored_is_due_again() -> None:
    table = Table()
    table.dues.owe(ECHO)
    persist, stored = table.due()
    table.rows[ECHO] = {"v": 2}
    assert _carry_out([persist, stored]) == [persist]
    assert _carry_out(table.due()) == [
        Persist(table=TABLE, key=store_key(*ECHO), value={"v": 2}),
    ]


def test_two_who_store_the_same_row_leave_nothing_due() -> None:
    table = Table()
    table.dues.owe(ECHO)
    first, second = table.due(), table.due()
    _carry_out(first)
    _carry_out(second)
    assert table.due() == []


def test_what_is_due_of_one_upstream_is_not_anothers() -> None:
    table = Table()
    table.dues.owe(ECHO, PINNED)
    assert table.dues.steps("desk", "tool") == []
    assert table.dues.steps("crm", "prompt") == []


def test_a_store_key_has_one_shape_whatever_the_name() -> None:
    keys = {store_key("crm", "tool", name) for name in ("echo", "a\nb", "x" * 10_000, "../../etc")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {len(store_key(*ECHO))}
