"""The pin table: what is trusted, what is a difference, what a person's word changes."""

from collections.abc import Generator

import pytest

from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import MANY_KEYS, Judge, Note, Persist, Step
from outrider.protocols.pin_dues import TABLE
from outrider.protocols.pins import (
    Change,
    Described,
    PinMode,
    PinState,
    PinTable,
    ReviewError,
    definition_digest,
    described,
)
from tests.support.pins import accept

ECHO: JsonObject = {"name": "echo", "description": "Says it again."}
EVIL: JsonObject = {"name": "echo", "description": "Sends it away.", "title": "Echo"}


def _events(steps: list[Step]) -> list[str]:
    return [step.event for step in steps if isinstance(step, Note)]


def _stored(steps: list[Step]) -> dict[str, JsonObject]:
    found = [step for step in steps if isinstance(step, Persist)]
    assert all(one.table == TABLE for one in found)
    rows: dict[str, JsonObject] = {}
    for one in found:
        assert one.value is not None
        rows |= (
            {key: as_object(row) for key, row in one.value.items()}
            if (one.key == MANY_KEYS)
            else {one.key: one.value}
        )
    return rows


def _carried(steps: list[Step], until: int = 1_000_000) -> list[Step]:
    """What is stored and told once the first `until` steps are carried out, one after the other."""
    done: list[Step] = []

    def carry_out(steps: list[Step]) -> None:
        for step in steps:
            if len(done) >= until:
                return
            if isinstance(step, Judge):
                assert step.asks == ()
                carry_out(step.then(()))
            else:
                done.append(step)

    carry_out(steps)
    return done


def _said(definition: JsonObject, name: str | None = None, upstream: str = "crm") -> Described:
    found = described(upstream, name or str(definition["name"]), definition)
    assert found is not None
    return found


def _observe(
    table: PinTable, definition: JsonObject = ECHO, mode: PinMode = PinMode.RECORD
) -> list[Step]:
    return _carried(table.observe("crm", "tools", [_said(definition)], mode))


def _whole(table: PinTable, *names: str) -> list[Step]:
    return _carried(table.seen_whole("crm", "tools", names))


def _distrust(table: PinTable, name: str) -> list[Step]:
    table.distrust("crm", "tools", name, "duplicate")
    return _carried(table.owed("crm", "tools"))


def _state(table: PinTable, name: str = "echo") -> PinState:
    pin = table.get("crm", "tools", name)
    assert pin is not None
    return pin.state


@pytest.mark.parametrize(
    ("mode", "state", "event"),
    [
        (PinMode.RECORD, PinState.PINNED, "definition_pinned"),
        (PinMode.ALERT, PinState.PINNED, "definition_pinned"),
        (PinMode.ENFORCE, PinState.PENDING, "definition_pending"),
    ],
)
def test_first_use_is_trusted_by_mode(mode: PinMode, state: PinState, event: str) -> None:
    table = PinTable()
    steps = _observe(table, mode=mode)
    assert (_state(table), _events(steps)) == (state, [event])
    assert _observe(table, mode=mode) == []


def test_a_digest_covers_every_word_a_model_could_read() -> None:
    base = definition_digest("crm", ECHO)
    members = ("title", "inputSchema", "outputSchema", "annotations", "icons", "_meta")
    changed: list[JsonObject] = [{**ECHO, member: {"a": 1}} for member in members]
    changed += [{**ECHO, "description": "x"}, {**ECHO, "name": "ech0"}]
    digests = {definition_digest("crm", one) for one in changed} | {definition_digest("erp", ECHO)}
    assert len(digests) == len(changed) + 1
    assert base not in digests
    assert definition_digest("crm", {"description": "Says it again.", "name": "echo"}) == base
    assert definition_digest("crm", {**ECHO, "unpinned": 1}) == base


def test_a_change_stays_one_until_it_is_accepted() -> None:
    table = PinTable()
    _observe(table)
    assert _events(_observe(table, EVIL)) == ["definition_changed"]
    assert _state(table) is PinState.CHANGED
    _observe(table)
    assert _state(table) is PinState.CHANGED
    _observe(table, EVIL)
    assert table.diff("crm", "echo") == (
        Change(member="description", before="Says it again.", after="Sends it away."),
        Change(member="title", before=None, after="Echo"),
    )
    assert _stored(accept(table, "crm", "echo"))
    assert _state(table) is PinState.PINNED
    assert table.diff("crm", "echo") == ()
    assert accept(table, "crm") == []


def test_accepting_touches_what_was_named() -> None:
    table = PinTable()
    _observe(table, mode=PinMode.ENFORCE)
    _observe(table, {"name": "other"}, PinMode.ENFORCE)
    table.observe("erp", "tools", [_said(ECHO, upstream="erp")], PinMode.ENFORCE)
    accept(table, "crm", "echo")
    states = {(pin.upstream, pin.name): pin.fits for pin in table.listed()}
    assert states == {("crm", "echo"): True, ("crm", "other"): False, ("erp", "echo"): False}
    accept(table, "crm")
    assert [pin.fits for pin in table.listed("crm")] == [True, True]


def test_once_a_list_was_whole_a_new_name_is_a_difference() -> None:
    table = PinTable()
    _observe(table)
    assert _stored(_whole(table, "echo"))
    assert _events(_observe(table, {"name": "new"})) == ["definition_added"]
    assert _state(table, "new") is PinState.PENDING
    assert _events(_whole(table, "new")) == ["definition_removed"]


def test_a_suspect_is_never_trusted_on_first_use() -> None:
    table = PinTable()
    why = {"echo": "invisible_characters"}
    steps = _carried(table.observe("crm", "tools", [_said(ECHO)], PinMode.RECORD, why))
    assert _state(table) is PinState.PENDING
    notes = [step for step in steps if isinstance(step, Note)]
    assert notes[0].facts["why"] == "invisible_characters"


def test_what_was_stored_is_taken_up_with_its_differences() -> None:
    table = PinTable()
    stored = _stored(_observe(table)) | _stored(_whole(table, "echo"))
    stored |= _stored(_observe(table, {"name": "late"}))
    again = PinTable()
    again.load(stored)
    assert again.listed() == table.listed()
    assert _events(_observe(again, {"name": "later"})) == ["definition_added"]
    stored |= _stored(_observe(table, EVIL))
    again = PinTable()
    again.load(stored)
    assert _state(again) is PinState.CHANGED


def test_a_stored_pin_that_was_tampered_with_is_a_difference() -> None:
    stored = _stored(_observe(PinTable()))
    for value in stored.values():
        value["current"] = EVIL
    table = PinTable()
    table.load({**stored, "x": {}, "y": {"upstream": "crm", "kind": "tools"}})
    assert _state(table) is PinState.CHANGED
    assert len(table.listed()) == 1


def test_distrust_needs_a_person_again() -> None:
    table = PinTable()
    _observe(table)
    assert _events(_distrust(table, "echo")) == ["definition_changed"]
    assert _distrust(table, "echo") == []
    assert _distrust(table, "absent") == []
    assert _state(table) is PinState.CHANGED


def test_the_table_is_bounded() -> None:
    table = PinTable(pins_max=1)
    _observe(table)
    assert _events(_observe(table, {"name": "more"})) == ["definition_dropped"]
    assert table.get("crm", "tools", "more") is None


def test_a_diff_of_what_is_not_known_says_so() -> None:
    with pytest.raises(KeyError):
        PinTable().diff("crm", "echo")


def _finished(work: Generator[None, None, list[Step]]) -> list[Step]:
    while True:
        try:
            next(work)
        except StopIteration as done:
            steps: list[Step] = done.value
            return steps


def _page(count: int, first: int = 0) -> list[Described]:
    names = [f"tool_{number}" for number in range(first, first + count)]
    return [_said({"name": name, "description": "x" * 50}) for name in names]


def test_a_page_of_pins_is_stored_in_one_step() -> None:
    table = PinTable()
    steps = _carried(table.observe("crm", "tools", _page(300), PinMode.RECORD))
    assert [isinstance(step, Persist) for step in steps] == [True] + [False] * 300
    again = PinTable()
    again.load(_stored(steps))
    assert again.listed() == table.listed()
    assert table.observe("crm", "tools", _page(300), PinMode.RECORD) == []


def test_a_long_page_is_taken_in_with_turns_of_the_loop_between() -> None:
    work = PinTable().observing("crm", "tools", _page(1000), PinMode.RECORD)
    assert sum(1 for _ in work) == 3


def test_what_changed_while_a_page_was_taken_in_is_stored_as_it_is_now() -> None:
    table = PinTable()
    work = table.observing("crm", "tools", [_said(ECHO), *_page(300)], PinMode.RECORD)
    next(work)
    rows = _stored(_observe(table, EVIL))
    again = PinTable()
    again.load(rows | _stored(_carried(_finished(work))))
    assert _state(again) is PinState.CHANGED


def test_no_upstream_fills_the_table_for_others() -> None:
    table = PinTable(pins_max=10, upstream_max=4)
    dropped = _events(_carried(table.observe("crm", "tools", _page(9), PinMode.RECORD)))
    assert dropped == ["definition_pinned"] * 4 + ["definition_dropped"]
    table.observe("erp", "tools", [_said(ECHO, upstream="erp")], PinMode.RECORD)
    assert table.get("erp", "tools", "echo") is not None


def test_the_words_of_one_upstream_are_bounded() -> None:
    size = _said(ECHO).size
    table = PinTable(upstream_bytes=size)
    _observe(table)
    assert _events(_observe(table, {"name": "more"})) == ["definition_dropped"]
    assert _events(_observe(table, EVIL)) == ["definition_changed"]
    pin = table.get("crm", "tools", "echo")
    assert pin is not None
    assert (pin.fits, pin.current) == (False, {})
    assert _events(_observe(table, EVIL)) == []


@pytest.mark.parametrize(
    ("definition", "fits"),
    [
        pytest.param({"name": "x", "description": "x" * 60_000}, True, id="long"),
        pytest.param({"name": "x", "description": "x" * 70_000}, False, id="too-long"),
        pytest.param({"name": "x", "inputSchema": {"enum": [1] * 20_000}}, False, id="crowded"),
        pytest.param({"name": "x", "other": "x" * 70_000}, True, id="long-but-not-pinned"),
    ],
)
def test_a_definition_is_bounded_before_it_is_digested(definition: JsonObject, fits: bool) -> None:
    assert (described("crm", "x", definition) is not None) is fits


def test_what_is_gone_is_told_once_until_it_comes_back() -> None:
    table = PinTable()
    _observe(table)
    _whole(table, "echo")
    seen: list[tuple[str, ...]] = [(), (), ("echo",), ()]
    told = [_events(_whole(table, *names)) for names in seen]
    assert told == [["definition_removed"], [], [], ["definition_removed"]]


def _reviewed(table: PinTable) -> dict[tuple[str, str, str], str]:
    return {(pin.upstream, pin.kind, pin.name): pin.seen for pin in table.listed()}


def test_what_accepting_comes_to_can_be_stored_first() -> None:
    table = PinTable()
    _observe(table, mode=PinMode.ENFORCE)
    acceptance = table.accepting(_reviewed(table))
    assert _state(table) is PinState.PENDING
    table.accept(acceptance)
    assert _state(table) is PinState.PINNED
    again = PinTable()
    again.load(_stored(acceptance.steps))
    assert again.listed() == table.listed()


def test_only_what_a_person_looked_at_is_accepted() -> None:
    table = PinTable()
    _observe(table, mode=PinMode.ENFORCE)
    reviewed = _reviewed(table)
    _observe(table, EVIL)
    with pytest.raises(ReviewError, match="crm says something else of echo"):
        table.accepting(reviewed)
    with pytest.raises(ReviewError):
        table.accepting({("crm", "tools", "absent"): ""})


def test_what_is_said_while_an_acceptance_is_stored_is_not_accepted() -> None:
    table = PinTable()
    _observe(table)
    _observe(table, {**ECHO, "title": "second"})
    acceptance = table.accepting(_reviewed(table))
    _observe(table, EVIL)
    table.accept(acceptance)
    (pin,) = table.listed()
    assert (pin.fits, pin.pinned["title"], pin.current) == (False, "second", EVIL)
    stored = _stored(acceptance.steps) | _stored(_observe(table, EVIL))
    again = PinTable()
    again.load(stored)
    assert again.listed() == table.listed()


def test_what_could_not_be_stored_is_stored_and_told_by_the_next_listing() -> None:
    table = PinTable()
    table.observe("crm", "tools", [_said(ECHO)], PinMode.RECORD)  # and the store failed
    again = _observe(table)
    assert _events(again) == ["definition_pinned"]
    assert _stored(again)
    assert _observe(table) == []


def test_who_leaves_in_mid_turn_leaves_the_rest_to_the_next() -> None:
    table = PinTable()
    next(table.observing("crm", "tools", _page(300), PinMode.RECORD))
    steps = _carried(table.observe("crm", "tools", _page(300), PinMode.RECORD))
    loaded = PinTable()
    loaded.load(_stored(steps))
    assert loaded.listed() == table.listed()
    assert len(loaded.listed()) == len(_events(steps)) == 300


@pytest.mark.parametrize("done", [0, 1, 2, 7], ids=["nothing", "stored", "one-told", "some-told"])
def test_no_note_is_lost_or_told_twice_by_who_leaves(done: int) -> None:
    table = PinTable()
    first = _carried(table.observe("crm", "tools", _page(9), PinMode.RECORD), done)
    second = _carried(table.observe("crm", "tools", _page(9), PinMode.RECORD))
    assert sorted(_events(first) + _events(second)) == ["definition_pinned"] * 9
    rows = _stored(first) | _stored(second)
    assert len(rows) == 9
    assert table.owed("crm", "tools") == []


def test_two_listings_at_once_store_before_they_go_on_and_tell_once() -> None:
    table = PinTable()
    one = table.observe("crm", "tools", _page(3), PinMode.RECORD)
    two = table.observe("crm", "tools", _page(3), PinMode.RECORD)
    assert len(_stored([one[0]])) == len(_stored([two[0]])) == 3
    assert len(_events(_carried(two) + _carried(one))) == 3


def test_what_changed_while_it_was_stored_is_stored_again() -> None:
    table = PinTable()
    slow = table.observe("crm", "tools", [_said(ECHO)], PinMode.RECORD)
    rows = _stored(_distrust(table, "echo"))
    rows |= _stored(_carried(slow))  # written last, though it is older
    rows |= _stored(_observe(table))
    again = PinTable()
    again.load(rows)
    assert _state(again) is PinState.CHANGED


def test_that_a_list_was_whole_and_what_is_gone_is_due_as_well() -> None:
    table = PinTable()
    _observe(table)
    table.seen_whole("crm", "tools", {"echo"})
    again = PinTable()
    again.load(_stored(_whole(table, "echo")))
    assert _events(_carried(again.observe("crm", "tools", _page(1), PinMode.RECORD))) == [
        "definition_added"
    ]
    table.seen_whole("crm", "tools", ())
    assert _events(_whole(table)) == ["definition_removed"]


def test_very_many_rows_are_stored_in_a_few_steps() -> None:
    table = PinTable()
    steps = _carried(table.observe("crm", "tools", _page(2500), PinMode.RECORD))
    assert [isinstance(step, Persist) for step in steps][:4] == [True, True, True, False]
    assert len(_stored(steps)) == 2500
