"""The pin table: what is trusted, what is a difference, what a person's word changes."""

import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Note, Persist, Step
from outrider.protocols.pins import (
    TABLE,
    Change,
    PinMode,
    PinState,
    PinTable,
    definition_digest,
)

ECHO: JsonObject = {"name": "echo", "description": "Says it again."}
EVIL: JsonObject = {"name": "echo", "description": "Sends it away.", "title": "Echo"}


def _events(steps: list[Step]) -> list[str]:
    return [step.event for step in steps if isinstance(step, Note)]


def _stored(steps: list[Step]) -> dict[str, JsonObject]:
    found = [step for step in steps if isinstance(step, Persist)]
    assert all(one.table == TABLE for one in found)
    return {one.key: one.value for one in found if one.value is not None}


def _observe(
    table: PinTable, definition: JsonObject = ECHO, mode: PinMode = PinMode.RECORD
) -> list[Step]:
    return table.observe("crm", "tools", [(str(definition["name"]), definition)], mode)


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
    changed = [{**ECHO, member: {"a": 1}} for member in members]
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
    assert _stored(table.accept("crm", "echo"))
    assert _state(table) is PinState.PINNED
    assert table.diff("crm", "echo") == ()
    assert table.accept("crm") == []


def test_accepting_touches_what_was_named() -> None:
    table = PinTable()
    _observe(table, mode=PinMode.ENFORCE)
    _observe(table, {"name": "other"}, PinMode.ENFORCE)
    table.observe("erp", "tools", [("echo", ECHO)], PinMode.ENFORCE)
    table.accept("crm", "echo")
    states = {(pin.upstream, pin.name): pin.fits for pin in table.listed()}
    assert states == {("crm", "echo"): True, ("crm", "other"): False, ("erp", "echo"): False}
    table.accept("crm")
    assert [pin.fits for pin in table.listed("crm")] == [True, True]


def test_once_a_list_was_whole_a_new_name_is_a_difference() -> None:
    table = PinTable()
    _observe(table)
    assert _stored(table.seen_whole("crm", "tools", {"echo"}))
    assert _events(_observe(table, {"name": "new"})) == ["definition_added"]
    assert _state(table, "new") is PinState.PENDING
    assert _events(table.seen_whole("crm", "tools", {"new"})) == ["definition_removed"]


def test_a_suspect_is_never_trusted_on_first_use() -> None:
    table = PinTable()
    steps = table.observe(
        "crm", "tools", [("echo", ECHO)], PinMode.RECORD, {"echo": "invisible_characters"}
    )
    assert _state(table) is PinState.PENDING
    notes = [step for step in steps if isinstance(step, Note)]
    assert notes[0].facts["why"] == "invisible_characters"


def test_what_was_stored_is_taken_up_with_its_differences() -> None:
    table = PinTable()
    stored = _stored(_observe(table)) | _stored(table.seen_whole("crm", "tools", {"echo"}))
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
    assert _events(table.distrust("crm", "tools", "echo", "duplicate")) == ["definition_changed"]
    assert table.distrust("crm", "tools", "echo", "duplicate") == []
    assert table.distrust("crm", "tools", "absent", "duplicate") == []
    assert _state(table) is PinState.CHANGED


def test_the_table_is_bounded() -> None:
    table = PinTable(pins_max=1)
    _observe(table)
    assert _events(_observe(table, {"name": "more"})) == ["definition_dropped"]
    assert table.get("crm", "tools", "more") is None


def test_a_diff_of_what_is_not_known_says_so() -> None:
    with pytest.raises(KeyError):
        PinTable().diff("crm", "echo")
