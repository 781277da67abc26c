"""Identical refusals beyond ten a second become one counted record."""

import pytest

from outrider.audit.repeat import RepeatFolder, repeat_key
from tests.support.audit import a_refusal_record


def _flood(folder, count, now_s, cause="no_identity"):
    return [folder.admit(a_refusal_record(n, cause), now_s) for n in range(1, count + 1)]


def _read(number, resource, cause="no_identity"):
    action = {"name": "resources/read", "resource": resource, "arguments_digest": "sha256:0"}
    return {**a_refusal_record(number, cause), "action": action}


def test_ten_a_second_are_recorded_as_they_are():
    folder = RepeatFolder()
    assert _flood(folder, 10, 100.0) == [True] * 10
    assert folder.due(101.5) == []


def test_the_eleventh_and_later_are_folded_into_one():
    folder = RepeatFolder()
    assert _flood(folder, 500, 100.0).count(True) == 10
    assert folder.due(100.9) == []
    (folded,) = folder.due(101.0)
    assert (folded.folded, folded.last_id, folded.started_s) == (490, "dec-500", 100.0)
    assert (folded.first["decision"]["id"], folded.distinct) == ("dec-11", 1)
    assert folder.due(200.0) == []


def test_each_second_begins_anew_and_loses_no_count():
    folder = RepeatFolder()
    _flood(folder, 12, 100.0)
    assert _flood(folder, 13, 101.0).count(True) == 10
    assert [folded.folded for folded in folder.due(102.0)] == [2, 3]


def test_other_causes_are_counted_apart():
    folder = RepeatFolder()
    _flood(folder, 20, 100.0)
    assert _flood(folder, 5, 100.0, cause="expired") == [True] * 5


def test_a_flood_of_new_causes_shares_one_window():
    folder = RepeatFolder(groups=4)
    admitted = [folder.admit(a_refusal_record(n, f"cause-{n}"), 100.0) for n in range(100)]
    assert admitted.count(True) == 4 + 64
    (folded,) = folder.due(101.0)
    assert (folded.folded, folded.distinct) == (32, 32)


def test_refusals_of_different_things_are_each_recorded():
    folder = RepeatFolder()
    admitted = [folder.admit(_read(n, f"file:///secret/{n}"), 100.0) for n in range(40)]
    assert admitted == [True] * 40
    assert folder.due(101.0) == []


def test_what_is_asked_for_again_is_folded_under_its_own_name():
    folder = RepeatFolder()
    for n in range(60):
        folder.admit(_read(n, f"file:///{n % 2}"), 100.0)
    assert [(f.first["action"]["resource"], f.folded, f.distinct) for f in folder.due(101.0)] == [
        ("file:///0", 20, 1),
        ("file:///1", 20, 1),
    ]


def test_an_agent_that_varies_what_it_asks_for_cannot_fill_the_disk():
    folder = RepeatFolder()
    admitted = [folder.admit(_read(n, f"file:///{n % 500}"), 100.0) for n in range(2000)]
    assert admitted.count(True) == 64
    ended = folder.due(101.0)
    assert len(ended) == 64 + 1
    assert sum(folded.folded for folded in ended) == 2000 - 64
    assert [folded.distinct for folded in ended] == [1] * 64 + [256]


def test_a_record_of_many_things_names_none_of_them():
    folder = RepeatFolder()
    for n in range(100):
        folder.admit(_read(n, f"file:///{n}"), 100.0)
    (folded,) = folder.due(101.0)
    assert (folded.folded, folded.distinct, folded.last_id) == (36, 36, "dec-99")
    assert "action" not in folded.first
    assert folded.first["decision"]["cause"] == "no_identity"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": "tools/call"}, id="name"),
        pytest.param({"resource": "b"}, id="resource"),
        pytest.param({"arguments_digest": "sha256:1"}, id="arguments"),
    ],
)
def test_whatever_of_the_action_differs_makes_another_refusal(change):
    record = _read(1, "a")
    other = {**record, "action": {**record["action"], **change}}
    assert repeat_key(record) != repeat_key(other)
    assert repeat_key(record) == repeat_key(_read(2, "a"))


def test_a_record_without_subject_has_a_key():
    key = repeat_key({"kind": "decision", "subject": None})
    assert key == (("", "", ""), ("", "", ""))
