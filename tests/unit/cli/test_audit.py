"""`outrider audit`: a good chain is told as good, the first bad record by place and reason."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from rich.text import Text

from outrider.cli.audit import line_of
from tests.support.audit import a_chain, a_record, pairs
from tests.support.command import outrider, write_settings


def a_folder(tmp_path: Path, lines: list[bytes]) -> Path:
    folder = tmp_path / "data" / "audit"
    folder.mkdir(parents=True)
    (folder / "00000001.jsonl").write_bytes(b"".join(lines))
    return folder


def test_a_good_chain_is_verified(tmp_path: Path) -> None:
    said = outrider("audit", "verify", a_folder(tmp_path, a_chain(*pairs(3))))
    assert said.code == 0
    assert "ok 7 records, 1 boot, 0 gaps" in said.out


def test_the_folder_comes_from_the_settings(tmp_path: Path) -> None:
    a_folder(tmp_path, a_chain(*pairs(1)))
    said = outrider("audit", "verify", "--config", write_settings(tmp_path))
    assert said.code == 0


@pytest.mark.parametrize("index", range(7))
def test_any_changed_record_is_named_with_file_line_and_reason(tmp_path: Path, index: int) -> None:
    lines = a_chain(*pairs(3))
    changed = lines[index].replace(b"2026", b"2027")
    folder = a_folder(tmp_path, [*lines[:index], changed, *lines[index + 1 :]])

    said = outrider("audit", "verify", folder)
    as_json = outrider("audit", "verify", folder, "--json")

    assert said.code == as_json.code == 1
    assert f"bad record index {index}, after seq {index - 1}" in said.err
    assert f"00000001.jsonl:{index + 1}: hash:" in said.err
    assert as_json.json["broken"] == {
        "index": index,
        "after_seq": index - 1,
        "file": str(folder / "00000001.jsonl"),
        "line": index + 1,
        "reason": "hash",
        "detail": "the hash is not this record's",
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], "seq", id="deleted"),
        pytest.param(lambda lines: [*lines[:3], lines[2], *lines[3:]], "seq", id="inserted"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "seq", id="swapped"),
        pytest.param(lambda lines: lines[1:], "seq", id="beginning-lost"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-9]], "parse", id="cut-short"),
        pytest.param(lambda lines: [*lines, b"{}\n"], "hash", id="something-added"),
    ],
)
def test_other_changes_are_found_too(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], reason: str
) -> None:
    said = outrider("audit", "verify", "--json", a_folder(tmp_path, change(a_chain(*pairs(3)))))
    assert said.code == 1
    assert said.json["broken"]["reason"] == reason


def test_no_records_are_no_evidence(tmp_path: Path) -> None:
    said = outrider("audit", "verify", a_folder(tmp_path, []))
    assert said.code == 1
    assert "no records" in said.err


def test_a_folder_that_is_not_there_is_named() -> None:
    said = outrider("audit", "verify", "/nowhere/audit")
    assert said.code == 2
    assert "/nowhere/audit: no such folder" in said.err


def test_decisions_without_an_outcome_are_told(tmp_path: Path) -> None:
    said = outrider("audit", "verify", a_folder(tmp_path, a_chain(*pairs(2)[:-1])))
    assert said.code == 0
    assert "1 permitted decisions have no outcome yet" in said.out


# --- show and tail --------------------------------------------------------------------------


def test_a_decision_is_shown_with_its_outcome(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a_chain(*pairs(2)))
    said = outrider("audit", "show", "dec-2", "--dir", folder)
    assert [record["kind"] for record in said.json] == ["decision", "outcome"]


def test_a_record_is_shown_by_its_own_id(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a_chain(a_record("policy", 9)))
    said = outrider("audit", "show", "01939b2e-6c1a-7f00-8000-000000000009", "-d", folder)
    assert said.json["kind"] == "policy"


@pytest.mark.parametrize("name", ["dec-9", "dec", "", "dec-1%"])
def test_an_id_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    said = outrider("audit", "show", name, "--dir", a_folder(tmp_path, a_chain(*pairs(1))))
    assert said.code == 1


def test_a_record_whose_hash_is_wrong_is_not_shown(tmp_path: Path) -> None:
    lines = [line.replace(b"dec-1", b"dec-7") for line in a_chain(*pairs(1))]
    assert outrider("audit", "show", "dec-7", "--dir", a_folder(tmp_path, lines)).code == 1


def test_the_tail_is_the_latest_records_one_a_line(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a_chain(*pairs(30)))
    said = outrider("audit", "tail", folder, "-n", "4", "--json")
    lines = [orjson.loads(line) for line in said.out.splitlines()]
    assert [line["decision"]["id"] for line in lines] == ["dec-29", "dec-29", "dec-30", "dec-30"]


@pytest.mark.parametrize(
    ("where", "count"),
    [("kind=decision", 5), ("enforced=allow", 5), ("decision=dec-3", 2), ("enforced=deny", 0)],
)
def test_the_tail_is_filtered(tmp_path: Path, where: str, count: int) -> None:
    folder = a_folder(tmp_path, a_chain(*pairs(5)))
    said = outrider("audit", "tail", folder, "--where", where, "--json")
    assert len(said.out.splitlines()) == count


@pytest.mark.parametrize("where", ["colour=red", "kind", "=x", ""])
def test_a_filter_that_is_none_is_refused(tmp_path: Path, where: str) -> None:
    said = outrider("audit", "tail", a_folder(tmp_path, []), "--where", where)
    assert said.code == 2
    assert "give KEY=VALUE" in said.err


@pytest.mark.parametrize(
    ("enforced", "style"), [("allow", "green"), ("hold", "yellow"), ("deny", "red")]
)
def test_a_line_is_coloured_by_what_was_done(enforced: str, style: str) -> None:
    record = a_record(decision={"id": "d", "enforced": enforced, "reasons": [{"code": "EF-01"}]})
    text = Text.from_markup(line_of(record))
    assert style in {str(span.style) for span in text.spans}
    assert "EF-01" in text.plain


def test_an_attackers_name_is_no_markup_and_no_escape() -> None:
    record = a_record(
        decision={"id": "d", "enforced": "deny", "reason": "policy"},
        action={"resource": "[bold]evil[/]\x1b[2J\n", "effect": "send"},
    )
    text = Text.from_markup(line_of(record))
    assert "[bold]evil[/]" in text.plain
    assert text.plain.isprintable() or "�" in text.plain
    assert "\x1b" not in text.plain
    assert "\n" not in text.plain
