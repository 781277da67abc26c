"""Reading a chain from its directory."""

import pytest

from outrider.audit.chain import BreakReason
from outrider.audit.reader import Filter, Follower, find_decision, records, verify_directory
from tests.support.audit import a_chain, a_record, pairs


def _written(directory, *files):
    for number, lines in enumerate(files, start=1):
        (directory / f"{number:08d}.jsonl").write_bytes(b"".join(lines))


@pytest.fixture
def chain(tmp_path):
    lines = a_chain(*pairs(3))
    _written(tmp_path, lines[:3], lines[3:])
    return tmp_path


def test_files_are_one_chain(chain):
    found = verify_directory(chain)
    assert (found.report.broken, found.report.records, found.file, found.line) == (
        None,
        7,
        None,
        None,
    )


def test_a_break_is_located_in_its_file(chain):
    path = chain / "00000002.jsonl"
    path.write_bytes(path.read_bytes().replace(b"dec-3", b"dec-4", 1))
    found = verify_directory(chain)
    assert found.report.broken is not None
    assert (found.report.broken.index, found.file, found.line) == (5, path, 3)


def test_a_retired_first_file_leaves_the_rest_readable(chain):
    (chain / "00000001.jsonl").unlink()
    report = verify_directory(chain).report
    assert (report.broken, report.whole, report.records) == (None, False, 4)


def test_a_missing_file_in_the_middle_is_a_break(tmp_path):
    lines = a_chain(*pairs(3))
    _written(tmp_path, lines[:2], lines[2:4], lines[4:])
    (tmp_path / "00000002.jsonl").unlink()
    broken = verify_directory(tmp_path).report.broken
    assert broken is not None
    assert (broken.index, broken.reason) == (2, BreakReason.SEQ)


def test_an_empty_directory_holds_an_empty_chain(tmp_path):
    assert verify_directory(tmp_path).report.records == 0


def test_a_line_without_end_is_a_break(tmp_path):
    _written(tmp_path, [*a_chain(), b"x" * (3 << 20)])
    broken = verify_directory(tmp_path).report.broken
    assert broken is not None
    assert (broken.index, broken.reason) == (1, BreakReason.PARSE)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        pytest.param(Filter(), 7, id="all"),
        pytest.param(Filter(kind="decision"), 3, id="kind"),
        pytest.param(Filter(decision="dec-2"), 2, id="decision"),
        pytest.param(Filter(enforced="allow"), 3, id="enforced"),
        pytest.param(Filter(enforced="deny"), 0, id="enforced-none"),
        pytest.param(Filter(subject="spiffe://acme.test/ns/support/sa/triage"), 6, id="subject"),
        pytest.param(Filter(task="tsk_1"), 0, id="task"),
        pytest.param(Filter(since="2026-11-23T09:30:00.000000Z"), 7, id="since"),
        pytest.param(Filter(until="2026-11-23T09:30:00.000000Z"), 0, id="until"),
    ],
)
def test_a_filter_keeps_what_fits(chain, wanted, count):
    assert len(list(records(chain, wanted))) == count


def test_a_record_whose_hash_is_wrong_is_not_shown(chain):
    path = chain / "00000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b"dec-1", b"dec-9"))
    assert [r["seq"] for r in records(chain, Filter())] == [0, 3, 4, 5, 6]


def test_a_decision_is_found_by_its_id(chain):
    found = find_decision(chain, "dec-2")
    assert found is not None
    assert (found["kind"], found["seq"]) == ("decision", 3)
    assert find_decision(chain, "dec-9") is None
    assert find_decision(chain, "dec") is None


def test_a_follower_tells_what_is_new_and_waits_for_whole_lines(chain):
    follower = Follower(chain, Filter())
    assert follower.fresh() == []
    lines = a_chain(*pairs(3), a_record("admin", 8), a_record("admin", 9))[7:]
    path = chain / "00000003.jsonl"
    path.write_bytes(lines[0] + lines[1][:20])
    assert [r["seq"] for r in follower.fresh()] == [7]
    path.write_bytes(b"".join(lines))
    assert [r["seq"] for r in follower.fresh()] == [8]


def test_a_follower_passes_over_what_is_not_wanted_or_no_record(chain):
    follower = Follower(chain, Filter(kind="outcome"))
    lines = a_chain(*pairs(5))[7:]
    (chain / "00000003.jsonl").write_bytes(lines[0] + b"no record\n" + b"".join(lines[1:]))
    assert [r["decision"]["id"] for r in follower.fresh()] == ["dec-4", "dec-5"]
    assert follower.fresh() == []
