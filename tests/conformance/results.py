"""What the suite said, and whether two runs said the same. Pure: no processes, no clock."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

SUMMARY: Final = "=== SUMMARY ==="
LINE: Final = re.compile(
    r"^[✓✗] (?P<name>[a-z0-9/-]+): (?P<passed>\d+) passed, (?P<failed>\d+) failed"
)
DIRECTORY: Final = re.compile(r"^server-(?P<name>.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")
TOLD_CHECKS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Checks of one scenario by outcome; `complaints` names those that did not pass."""

    passed: int
    failed: int
    warned: int = 0
    complaints: tuple[str, ...] = ()

    @property
    def figures(self) -> tuple[int, int, int]:
        """What must be equal between two runs."""
        return (self.passed, self.failed, self.warned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What our own server, pinned like the suite, gives without a proxy."""

    scenarios: int
    passed: int


BASELINES: Final[Mapping[str, Baseline]] = {
    "2025-11-25": Baseline(scenarios=33, passed=84),
    "2026-07-28": Baseline(scenarios=40, passed=152),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One scenario in both runs; `None` where a run does not have it."""

    scenario: str
    direct: Counts | None
    proxied: Counts | None

    @property
    def is_equal(self) -> bool:
        """Both ran it, something passed, and the figures agree."""
        if self.direct is None or self.proxied is None:
            return False
        return self.direct.passed > 0 and self.direct.figures == self.proxied.figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One wire: every scenario, and what is wrong with the run as a whole."""

    wire: str
    rows: tuple[Row, ...]
    faults: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Every row is equal, there are rows, and no fault stands against the run."""
        return bool(self.rows) and not self.faults and all(row.is_equal for row in self.rows)

    def totals(self) -> tuple[int, int, int, int]:
        """Direct passed and failed, proxied passed and failed."""
        direct = [row.direct for row in self.rows if row.direct is not None]
        proxied = [row.proxied for row in self.rows if row.proxied is not None]
        return (
            sum(counts.passed for counts in direct),
            sum(counts.failed for counts in direct),
            sum(counts.passed for counts in proxied),
            sum(counts.failed for counts in proxied),
        )

    def as_json(self) -> dict[str, Any]:
        """The comparison as a document for machines."""
        names = ("direct_passed", "direct_failed", "proxied_passed", "proxied_failed")
        return {
            "wire": self.wire,
            "equal": self.is_equal,
            "faults": list(self.faults),
            "totals": dict(zip(names, self.totals(), strict=True)),
            "scenarios": [
                {
                    "scenario": row.scenario,
                    "equal": row.is_equal,
                    "direct": None if row.direct is None else asdict(row.direct),
                    "proxied": None if row.proxied is None else asdict(row.proxied),
                }
                for row in self.rows
            ],
        }


def read_results(printed: str, directory: Path) -> dict[str, Counts]:
    """Counts by scenario: figures from the printed summary, details from the saved checks.

    The summary alone knows a scenario that broke before it could save anything.

    Raises:
        ValueError: there is no summary, so the run did not come to its end.
    """
    _, found, summary = printed.rpartition(SUMMARY)
    if not found:
        raise ValueError("the suite printed no summary")
    checks = _saved_checks(directory)
    results = {}
    for line in summary.splitlines():
        if match := LINE.match(line.strip()):
            name = match["name"]
            results[name] = _counts(int(match["passed"]), int(match["failed"]), checks.get(name))
    return results


def compare(
    wire: str,
    direct: Mapping[str, Counts],
    proxied: Mapping[str, Counts],
    *,
    baseline: Baseline | None,
) -> Comparison:
    """Lay the runs side by side; a direct run off its baseline is a fault of its own."""
    names = sorted(direct.keys() | proxied.keys())
    rows = tuple(
        Row(scenario=name, direct=direct.get(name), proxied=proxied.get(name)) for name in names
    )
    return Comparison(wire=wire, rows=rows, faults=tuple(_faults(direct, baseline)))


def _faults(direct: Mapping[str, Counts], baseline: Baseline | None) -> list[str]:
    passed = sum(counts.passed for counts in direct.values())
    failed = [name for name, counts in sorted(direct.items()) if counts.failed or counts.warned]
    faults = [f"the direct run is not clean: {', '.join(failed)}"] if failed else []
    if baseline is None:
        return faults
    if (len(direct), passed) != (baseline.scenarios, baseline.passed):
        faults.append(
            f"the direct run has {passed} checks over {len(direct)} scenarios; "
            f"its baseline is {baseline.passed} over {baseline.scenarios}"
        )
    return faults


def _saved_checks(directory: Path) -> dict[str, list[dict[str, Any]]]:
    saved = {}
    for file in sorted(directory.glob("*/checks.json")):
        if match := DIRECTORY.match(file.parent.name):
            saved[match["name"]] = json.loads(file.read_text("utf-8"))
    return saved


def _counts(passed: int, failed: int, checks: list[dict[str, Any]] | None) -> Counts:
    bad = [check for check in checks or () if check.get("status") in ("FAILURE", "WARNING")]
    return Counts(
        passed=passed,
        failed=failed,
        warned=sum(check["status"] == "WARNING" for check in bad),
        complaints=tuple(
            f"{check.get('id')}: {check.get('errorMessage') or check.get('description')}"
            for check in bad[:TOLD_CHECKS]
        ),
    )
