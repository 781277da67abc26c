"""What is compared, and that each kind of difference is named."""

from pathlib import Path
from typing import Any

import pytest

from outrider.cli.demo.evidence import (
    Seen,
    counted,
    differences,
    is_of_interest,
    misplaced,
)
from outrider.cli.demo.story import Want
from outrider.core.vocabulary import Effect, Reason

ALLOWED = Want(effect=Effect.ALLOW, calls=("notes/read_note",))
REFUSED = Want(effect=Effect.DENY, reason=Reason.POLICY, code="HD-01")


def a_record(enforced: str, reason: str | None = None, *codes: str, **more: Any) -> dict[str, Any]:
    decision = {
        "enforced": enforced,
        "reason": reason,
        "reasons": [{"code": code} for code in codes],
        "cause": more.get("cause"),
    }
    return {
        "kind": "decision",
        "action": {"protocol": "mcp", "name": "tools/call"},
        "subject": {"credential": "attested-local"},
        "decision": decision,
    }


def seen(*decisions: dict[str, Any], calls: tuple[str, ...] = ()) -> Seen:
    return Seen(calls=calls, decisions=decisions, events=())


@pytest.mark.parametrize(
    ("want", "found"),
    [
        pytest.param(ALLOWED, seen(a_record("allow"), calls=("notes/read_note",)), id="allowed"),
        pytest.param(REFUSED, seen(a_record("deny", "policy", "HD-01", "XX-01")), id="refused"),
    ],
)
def test_what_went_as_it_must_differs_in_nothing(want: Want, found: Seen) -> None:
    assert differences(want, found, {"text": "done"}) == []


@pytest.mark.parametrize(
    ("want", "found", "named"),
    [
        pytest.param(ALLOWED, seen(a_record("allow")), "ran upstream: nothing", id="never-ran"),
        pytest.param(
            ALLOWED,
            seen(a_record("allow"), calls=("notes/read_note", "notes/read_note")),
            "ran upstream: notes/read_note, notes/read_note",
            id="ran-twice",
        ),
        pytest.param(
            REFUSED,
            seen(a_record("deny", "policy", "HD-01"), calls=("tickets/reply",)),
            "ran upstream: tickets/reply; wanted: nothing",
            id="refused-but-ran",
        ),
        pytest.param(REFUSED, seen(), "0 decisions are on the chain", id="unrecorded"),
        pytest.param(
            REFUSED,
            seen(a_record("allow"), calls=()),
            "effect is allow; wanted: deny",
            id="allowed-instead",
        ),
        pytest.param(
            REFUSED, seen(a_record("deny", "grant")), "reason is grant; wanted: policy", id="reason"
        ),
        pytest.param(
            REFUSED, seen(a_record("deny", "policy", "EF-02")), "code is EF-02", id="code"
        ),
        pytest.param(
            Want(effect=Effect.DENY, reason=Reason.UNAUTHENTICATED, cause="expired"),
            seen(a_record("deny", "unauthenticated", cause="bad_signature")),
            "cause is bad_signature; wanted: expired",
            id="cause",
        ),
        pytest.param(
            Want(effect=Effect.ALLOW, cause="jwt-svid"),
            seen(a_record("allow")),
            "cause is attested-local; wanted: jwt-svid",
            id="credential",
        ),
        pytest.param(
            Want(effect=Effect.ALLOW, event="definition_changed"),
            seen(a_record("allow")),
            "does not note definition_changed",
            id="no-event",
        ),
    ],
)
def test_each_difference_is_named(want: Want, found: Seen, named: str) -> None:
    assert any(named in each for each in differences(want, found, {}))


def test_a_tool_that_shows_is_a_difference_and_so_is_an_empty_list() -> None:
    want = Want(effect=Effect.ALLOW, hidden=("delete_note",))
    found = seen(a_record("allow"))
    assert differences(want, found, {"tools": ["read_note"]}) == []
    assert differences(want, found, {"tools": ["read_note", "delete_note"]}) != []
    assert differences(want, found, {"tools": []}) != []


def test_a_client_that_broke_is_a_difference() -> None:
    found = seen(a_record("allow"), calls=("notes/read_note",))
    assert differences(ALLOWED, found, {"raised": "McpError: closed"}) != []


@pytest.mark.parametrize(
    ("record", "lists", "wanted"),
    [
        pytest.param({"kind": "outcome"}, False, False, id="outcome"),
        pytest.param(a_record("allow"), False, True, id="tool"),
        pytest.param(
            a_record("allow") | {"action": {"protocol": "mcp", "name": "tools/list"}},
            False,
            False,
            id="list-not-asked",
        ),
        pytest.param(
            a_record("allow") | {"action": {"protocol": "mcp", "name": "tools/list"}},
            True,
            True,
            id="list-asked",
        ),
        pytest.param(
            a_record("deny") | {"action": {"protocol": "mcp"}}, False, True, id="refused-unread"
        ),
        pytest.param(a_record("deny") | {"action": None}, False, True, id="unauthenticated"),
    ],
)
def test_housekeeping_is_left_out(record: dict[str, Any], lists: bool, wanted: bool) -> None:
    assert is_of_interest(record, lists=lists) is wanted


def test_a_credential_belongs_where_it_was_meant_for() -> None:
    ours: dict[str, Any] = {"authorization": "Bearer desk"}
    none: dict[str, Any] = {"authorization": None}
    assert misplaced({"notes": [none], "people": [ours]}, "desk") == []
    assert misplaced({"notes": [ours], "people": []}, "desk") != []
    assert misplaced({"people": [none]}, "desk") != []
    assert misplaced({"people": [{"authorization": "Bearer agent"}]}, "desk") != []


def test_decisions_are_counted_by_what_was_done(tmp_path: Path) -> None:
    assert counted([a_record("allow"), a_record("deny"), a_record("deny")]) == {
        "allow": 1,
        "deny": 2,
    }
