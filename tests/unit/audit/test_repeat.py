"""Identical refusals beyond ten a second become one counted record."""

from outrider.audit.repeat import RepeatFolder, repeat_key
from tests.support.audit import a_refusal_record


def _flood(folder, count, now_s, cause="no_identity"):
    return [folder.admit(a_refusal_record(n, cause), now_s) for n in range(1, count + 1)]


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
    assert folded.first["decision"]["id"] == "dec-11"
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


def test_a_flood_of_new_keys_shares_one_window():
    folder = RepeatFolder(keys=4)
    admitted = [folder.admit(a_refusal_record(n, f"cause-{n}"), 100.0) for n in range(100)]
    assert admitted.count(True) == 4 + 10
    assert sum(folded.folded for folded in folder.due(101.0)) == 86


def test_a_record_without_subject_has_a_key():
    assert repeat_key({"kind": "decision", "subject": None}) == ("", "", "")
