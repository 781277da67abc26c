"""How much of each control its own tests reach: lines by regorus, and the kinds of their cases.

Laws: a control without a suite is not covered at all; one that lacks a positive, a near-miss or a
hostile case fails whatever its lines say; a line counts once any test of the tree has run it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from xml.sax.saxutils import quoteattr

import orjson
import regorus

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.bundle import Tree
from outrider.policy.composition import FINDINGS, INDEXED
from outrider.policy.release import Release
from outrider.policy.suite import KINDS, Case, names_of_tests, read_suite, with_data
from outrider.policy.syntax import parse

THRESHOLD: Final = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One control or team package. `missed` are `file:line` that no test runs; `lacks` are kinds of
    cases its suites have none of."""

    package: str
    run: int
    missed: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def percent(self) -> float:
        lines = self.run + len(self.missed)
        if not lines:
            return 0.0 if self.lacks == KINDS else 100.0
        return 100.0 * self.run / lines

    def why_not(self, threshold: float) -> str:
        """Why this does not pass, or nothing."""
        found = [f"no {kind} case" for kind in self.lacks]
        if self.percent < threshold:
            found.append(f"{self.percent:.0f} % of its lines, not run: {', '.join(self.missed)}")
        return "; ".join(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """Every package that finds something. `passed` is False where one does not, or for none."""

    threshold: float
    controls: tuple[Covered, ...]

    @property
    def failed(self) -> tuple[Covered, ...]:
        return tuple(one for one in self.controls if one.why_not(self.threshold))

    @property
    def passed(self) -> bool:
        return bool(self.controls) and not self.failed

    def junit(self) -> str:
        """The report as JUnit XML, a case for each package."""
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            (
                f'<testsuite name="policy coverage" tests="{len(self.controls)}"'
                f' failures="{len(self.failed)}">'
            ),
        ]
        for one in self.controls:
            head = f'<testcase classname="coverage" name={quoteattr(one.package)}'
            why = one.why_not(self.threshold)
            failure = f"><failure message={quoteattr(why)}/></testcase>" if why else "/>"
            lines.append(head + failure)
        return "\n".join([*lines, "</testsuite>", ""])

    def document(self) -> JsonObject:
        """The report as JSON."""
        rows: list[Json] = [
            {
                "package": one.package,
                "percent": round(one.percent, 1),
                "missed": list(one.missed),
                "lacks": list(one.lacks),
                "passed": not one.why_not(self.threshold),
            }
            for one in self.controls
        ]
        return {"passed": self.passed, "threshold": self.threshold, "controls": rows}


def coverage(
    tree: Tree, release: Release, *, entrypoint: str, threshold: float = THRESHOLD
) -> CoverageReport:
    """What the tree's suites and `test_` rules run of each package that finds something.

    Blocking, some seconds for a whole library. Raises `ConfigError` for a suite or test that cannot
    be read.
    """
    cases = [case for file in sorted(tree.suites) for case in read_suite(tree, file)]
    run = _Lines()
    for engine in _case_engines(release, cases, entrypoint):
        run.take(engine)
    run.take(_rule_engine(tree))
    kinds: dict[str, set[str]] = {}
    for case in cases:
        kinds.setdefault(str(PurePosixPath(case.file).parent), set()).add(case.kind)
    return CoverageReport(
        threshold=threshold,
        controls=tuple(
            _covered(package, folder, run, kinds.get(folder, set()))
            for package, folder in _packages(tree.modules)
        ),
    )


def _packages(modules: Mapping[str, str]) -> list[tuple[str, str]]:
    """Packages below an index that find something, each with its folder."""
    found: dict[str, str] = {}
    for module in parse(modules):
        below = any(module.package[: len(index)] == index for index in INDEXED)
        finds = any(rule.name == FINDINGS for rule in module.rules)
        if below and finds and module.package not in INDEXED:
            found[".".join(module.package[1:])] = str(PurePosixPath(module.file).parent)
    return sorted(found.items())


class _Lines:
    """Lines by file: those that were run, and those that could have been."""

    def __init__(self) -> None:
        self.run: dict[str, set[int]] = {}
        self.all: dict[str, set[int]] = {}

    def take(self, engine: regorus.Engine) -> None:
        report = orjson.loads(engine.get_coverage_report_as_json())
        for one in as_list(as_object(report).get("files")):
            file = as_object(one)
            name = str(file.get("path"))
            covered = {line for line in as_list(file.get("covered")) if isinstance(line, int)}
            missed = {line for line in as_list(file.get("not_covered")) if isinstance(line, int)}
            self.run.setdefault(name, set()).update(covered)
            self.all.setdefault(name, set()).update(covered | missed)


def _covered(package: str, folder: str, lines: _Lines, kinds: set[str]) -> Covered:
    files = sorted(
        name
        for name in lines.all
        if str(PurePosixPath(name).parent) == folder and not name.endswith("_test.rego")
    )
    missed = tuple(
        f"{name}:{line}"
        for name in files
        for line in sorted(lines.all[name] - lines.run.get(name, set()))
    )
    return Covered(
        package=package,
        run=sum(len(lines.run.get(name, ())) for name in files),
        missed=missed,
        lacks=tuple(kind for kind in KINDS if kind not in kinds),
    )


def _case_engines(release: Release, cases: list[Case], entrypoint: str) -> Iterator[regorus.Engine]:
    """An engine for the cases on the data as it is, and one for each suite that changes it."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.file if case.data else "", []).append(case)
    for where, group in groups.items():
        changed = with_data(release, group[0].data, where) if where else release
        engine = _engine(release.modules, changed.data)
        for case in group:
            engine.set_input_json(orjson.dumps(case.input).decode())
            _run(engine, entrypoint)
        yield engine


def _rule_engine(tree: Tree) -> regorus.Engine:
    engine = _engine({**tree.modules, **tree.tests}, tree.data)
    engine.set_input_json("{}")
    for package, name in sorted(names_of_tests(tree.tests)):
        _run(engine, f"{package}.{name}")
    return engine


def _engine(modules: Mapping[str, str], data: JsonObject) -> regorus.Engine:
    engine = regorus.Engine()
    engine.set_enable_coverage(True)
    try:
        for name, text in modules.items():
            engine.add_policy(name, text)
        engine.add_data_json(orjson.dumps(data).decode())
    except RuntimeError as fault:
        raise ConfigError("the policy cannot be loaded; `outrider policy test` says why") from fault
    return engine


def _run(engine: regorus.Engine, path: str) -> None:
    """Whether it passes is the business of `policy test`."""
    try:
        engine.eval_rule_as_json(path)
    except RuntimeError:
        return
