"""The control catalogue and the tests agree (GOVERNANCE §12): no control without a test, no test
without a control, no reference that is not published."""

import re
from functools import cache
from pathlib import Path

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.jsonvalue import as_object
from outrider.policy.bundle import Tree, read
from outrider.policy.release import catalogue_rows
from outrider.policy.suite import KINDS, read_suite

TESTS = Path(__file__).resolve().parents[2]
_MARK = re.compile(r"pytest\.mark\.control\(([^)]*)\)")
_ID = re.compile(r"[A-Z]{2}-[0-9]{2}")
_METADATA = re.compile(r"^# id: (\S+)\n# custom:\n#   refs: \[([^\]]*)\]", re.MULTILINE)


def words(text: str) -> list[str]:
    return text.split()


def numbered(prefix: str, last: int, width: int = 0) -> set[str]:
    return {f"{prefix}{number:0{width}d}" for number in range(1, last + 1)}


# Published ids, by framework (GOVERNANCE §13). What is not here was not published by anybody.
OWASP = numbered("ASI", 10, 2) | numbered("T", 17) | numbered("NHI", 10)
ATLAS = {
    f"AML.{name}"
    for name in words(
        """
        M0024 M0026 M0027 M0028 M0029 M0030 M0031 M0032 M0033 T0034.002 T0051.002 T0052 T0053 T0080
        T0081 T0082 T0083 T0084 T0085.001 T0086 T0093 T0094 T0098 T0099 T0100 T0101 T0103 T0104
        T0109 T0110
        """
    )
}
NIST_AI_RMF = {
    f"{function} {number}"
    for function, numbers in {
        "GOVERN": "1.4 1.5 1.6 1.7 2.1 3.2 4.3 6.1 6.2",
        "MAP": "1.1 1.5 3.3 3.5 4.2",
        "MEASURE": "1.1 1.2 2.1 2.3 2.4 2.6 2.7 2.8 3.1 3.3",
        "MANAGE": "1.4 2.3 2.4 3.1 4.1 4.3",
    }.items()
    for number in numbers.split()
}
CSF = set(
    words(
        """
    GV.RR-02 GV.SC-07 ID.AM ID.RA-07 PR.AA-01 PR.AA-03 PR.AA-04 PR.AA-05 PR.DS PR.PS-01 PR.PS-04
    PR.PS-05 PR.PS-06 PR.IR-01 PR.IR-04 DE.CM DE.AE RS.MA RS.MA-01 RS.MI RC.RP
        """
    )
)
MAESTRO = {
    "Agent Tool Misuse (L7)",
    "Agent Goal Manipulation (L7)",
    "Agent Impersonation (L7)",
    "Agent Identity Attack (L7)",
    "Repudiation (L7)",
    "Data Exfiltration (L2)",
    "Input Validation Attacks (L3)",
    "Lateral Movement (L4)",
    "Data Leakage through Observability (L5)",
    "Lack of Explainability (L6)",
}
PUBLISHED = OWASP | ATLAS | NIST_AI_RMF | CSF | MAESTRO

PROMISED = {
    f"{family}-{number:02d}"
    for family, last in {
        "ID": 4, "JT": 3, "TS": 7, "PV": 6, "DL": 4, "AP": 3, "SC": 4, "CE": 2, "MM": 2, "IA": 3,
        "RL": 3, "AU": 4, "IR": 2, "GV": 5, "SQ": 32,
    }.items()
    for number in range(1, last + 1)
}  # fmt: skip
NEVER_EXEMPT = re.compile(r"(ID|DL|SC|CE)-[0-9]+|PV-04|SQ-(01|06|15)|EF-00")


@cache
def tree() -> Tree:
    return read(shipped_rego())


def rows() -> dict[str, dict[str, object]]:
    return {code: dict(as_object(row)) for code, row in catalogue_rows(tree().catalogue).items()}


@cache
def marked() -> dict[str, set[str]]:
    """Ids in marks, each with the files they stand in."""
    found: dict[str, set[str]] = {}
    for file in TESTS.rglob("test_*.py"):
        for arguments in _MARK.findall(file.read_text(encoding="utf-8")):
            for code in _ID.findall(arguments):
                found.setdefault(code, set()).add(file.name)
    return found


def test_every_promised_control_has_a_row():
    assert PROMISED - rows().keys() == set()


@pytest.mark.parametrize("code", sorted(rows()))
def test_a_row_is_whole(code):
    row = rows()[code]
    assert {
        "title",
        "control",
        "enforces",
        "severity",
        "refs",
        "exemptible",
        "package",
    } <= row.keys()
    assert row.keys() <= {
        "title", "control", "enforces", "severity", "refs", "exemptible", "package", "waits_for",
    }  # fmt: skip
    assert row["control"] in {"P", "D", "E", "PD", "PE"}
    assert row["severity"] in {"low", "medium", "high", "critical"}
    assert isinstance(row["exemptible"], bool)
    assert row["refs"], "a control says which published risk it answers"


@pytest.mark.parametrize("code", sorted(rows()))
def test_every_reference_is_published(code):
    assert set(rows()[code]["refs"]) - PUBLISHED == set()  # type: ignore[call-overload]


def test_an_invented_reference_would_be_seen():
    assert not {"ASI11", "T18", "AML.T9999", "GOVERN 9.9", "Goal Drift (L7)"} & PUBLISHED


def test_metadata_says_the_same_references_as_the_row():
    differing = {
        f"{file}: {code}"
        for file, text in tree().modules.items()
        for code, refs in _METADATA.findall(text)
        if code in rows() and [ref.strip() for ref in refs.split(",")] != rows()[code]["refs"]
    }
    assert differing == set()


@pytest.mark.parametrize("code", sorted(rows()))
def test_exceptions_are_for_those_that_may_have_them(code):
    if NEVER_EXEMPT.fullmatch(code):
        assert rows()[code]["exemptible"] is False


def test_a_control_of_rego_has_a_suite_of_each_kind_that_names_it():
    kinds: dict[str, set[str]] = {}
    folders: dict[str, set[str]] = {}
    for file in tree().suites:
        for case in read_suite(tree(), file):
            kinds.setdefault(case.suite, set()).add(case.kind)
            folders.setdefault(case.suite, set()).add(file.rpartition("/")[0].replace("/", "."))
    for code, row in rows().items():
        package = row["package"]
        if isinstance(package, str) and package.startswith("outrider.controls."):
            assert kinds.get(code) == set(KINDS), code
            assert folders[code] == {package}, code


def test_a_control_of_the_sidecar_has_a_test_or_says_what_it_waits_for():
    own = {code for code, row in rows().items() if row["package"] is None}
    waiting = {code for code in own if "waits_for" in rows()[code]}
    assert own - waiting - marked().keys() == set(), "no test is marked for these"
    assert waiting & marked().keys() == set(), "these have a test now: they wait for nothing"
    assert {code for code, row in rows().items() if "waits_for" in row} == waiting


def test_a_marked_test_is_of_a_control():
    assert marked().keys() - rows().keys() == set()


def test_what_is_no_catalogue_row_gives_no_finding():
    declared = {code for text in tree().modules.values() for code, _ in _METADATA.findall(text)}
    assert declared - rows().keys() == set()


def test_a_control_that_policy_gives_is_settled():
    rules = as_object(as_object(tree().data["outrider"])["rules"])
    for code, row in rows().items():
        if row["package"] is not None:
            settled = as_object(rules.get(code))
            assert {"mode", "severity", "owner", "runbook"} <= settled.keys(), code
