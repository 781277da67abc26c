"""Tests that ship with policy: `test_` rules and suite files, run without an OPA (POLICY §9).

Laws: a test that is undefined, false or fails in the engine has failed; a suite that cannot be
read has failed; no tests at all is a failure too.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias
from xml.sax.saxutils import quoteattr

import orjson
import regorus

from outrider.core.decision import Decision
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.ports import Clock, Snapshot
from outrider.policy.bundle import Tree, read, read_yaml
from outrider.policy.release import Release
from outrider.policy.result import Source, decide
from outrider.policy.syntax import parse

KINDS: Final = ("positive", "near_miss", "hostile")
_CASE_S: Final = 5.0
_SUITE_KEYS: Final = frozenset({"suite", "base", "data", "cases"})
_CASE_KEYS: Final = frozenset({"name", "kind", "set", "remove", "expect"})
_EXPECT_KEYS: Final = frozenset({"effect", "codes", "obligations", "reason"})

Remake: TypeAlias = Callable[[Release], Awaitable[Snapshot]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test. `suite` is its package or suite file; `kind` is rule or a case's own kind."""

    __test__ = False

    suite: str
    name: str
    kind: str
    engine: str
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """What was run. `passed` is False where anything failed, or nothing was run."""

    __test__ = False

    results: tuple[TestResult, ...]

    @property
    def failed(self) -> tuple[TestResult, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        return bool(self.results) and not self.failed

    def junit(self) -> str:
        """The report as JUnit XML."""
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            f'<testsuite name="policy" tests="{len(self.results)}" failures="{len(self.failed)}">',
        ]
        for one in self.results:
            head = f"<testcase classname={quoteattr(one.suite)} name={quoteattr(one.name)}"
            if one.passed:
                lines.append(f"{head}/>")
            else:
                lines.append(f"{head}><failure message={quoteattr(one.message)}/></testcase>")
        return "\n".join([*lines, "</testsuite>", ""])

    def document(self) -> JsonObject:
        """The report as JSON."""
        results: list[Json] = [
            {
                "suite": one.suite,
                "name": one.name,
                "kind": one.kind,
                "engine": one.engine,
                "passed": one.passed,
                "message": one.message,
            }
            for one in self.results
        ]
        return {"passed": self.passed, "tests": len(self.results), "results": results}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of a suite: the whole input, and what is expected. `codes` None: not compared.

    `data` is what the suite changes in policy's data, value by JSON pointer.
    """

    suite: str
    file: str
    name: str
    kind: str
    input: JsonObject
    data: JsonObject
    effect: str
    codes: frozenset[str] | None
    obligations: frozenset[str] | None
    reason: str | None


def tree_to_test(path: Path, overlays: Sequence[Path] = ()) -> Tree:
    """The tree at `path` with its tests; under `overlays` with the suites alone that they bring,
    as the others are about the tree without them. Raises `ConfigError`."""
    tree = read(path, overlays)
    if not overlays:
        return tree
    without = read(path).suites
    brought = {name: text for name, text in tree.suites.items() if without.get(name) != text}
    return replace(tree, tests={}, suites=brought)


async def run_tests(
    tree: Tree,
    release: Release,
    make: Remake,
    *,
    engine: str,
    entrypoint: str,
    clock: Clock,
) -> TestReport:
    """Every `test_` rule by regorus, every case by what `make` makes of `release`; a suite that
    changes data by one of its own. Never raises for what is tested."""
    results = list(run_rules(tree))
    snapshot = await make(release)
    apart: list[tuple[Case, ...]] = []
    for file in sorted(tree.suites):
        try:
            cases = read_suite(tree, file)
        except ConfigError as fault:
            results.append(_suite_result(file, engine, str(fault)))
            continue
        if cases and cases[0].data:
            apart.append(cases)
            continue
        results += await _run_cases(cases, snapshot, engine, entrypoint, clock)
    for cases in apart:
        try:
            snapshot = await make(with_data(release, cases[0].data, cases[0].file))
        except ConfigError as fault:
            results.append(_suite_result(cases[0].file, engine, str(fault)))
            continue
        results += await _run_cases(cases, snapshot, engine, entrypoint, clock)
    return TestReport(results=tuple(results))


def with_data(release: Release, changes: JsonObject, where: str) -> Release:
    """`release` with other data below `data.outrider`, under a revision of its own.

    Raises `ConfigError` for a change that leads nowhere.
    """
    data: JsonObject = orjson.loads(orjson.dumps(release.data))
    _set(data, changes, where)
    revision = f"{release.revision}+{where}"
    as_object(data["outrider"])["build"] = {"revision": revision}
    return replace(release, data=data, revision=revision)


async def _run_cases(
    cases: Sequence[Case], snapshot: Snapshot, engine: str, entrypoint: str, clock: Clock
) -> list[TestResult]:
    return [
        await _run_case(case, snapshot, engine=engine, entrypoint=entrypoint, clock=clock)
        for case in cases
    ]


def _suite_result(file: str, engine: str, message: str) -> TestResult:
    return TestResult(
        suite=file, name="suite", kind="suite", engine=engine, passed=False, message=message
    )


def run_rules(tree: Tree) -> Iterator[TestResult]:
    """Every `test_` rule of the tree's test modules in regorus, over the tree as it lies there:
    what `opa test -b` sees, without what the loader adds."""
    if not tree.tests:
        return
    modules = {**tree.modules, **tree.tests}
    try:
        names = sorted(names_of_tests(tree.tests))
        engine = _engine(modules, tree.data)
    except (ConfigError, RuntimeError) as fault:
        yield _rule_result("modules", "load", _first_line(fault))
        return
    for package, name in names:
        yield _rule_result(package, name, _why_not(engine, f"{package}.{name}"))


def names_of_tests(tests: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Package and name of every `test_` rule."""
    for module in parse(tests):
        for rule in module.rules:
            if rule.name.startswith("test_"):
                yield ".".join(module.package), rule.name


def _engine(modules: Mapping[str, str], data: JsonObject) -> regorus.Engine:
    engine = regorus.Engine()
    for name, text in modules.items():
        engine.add_policy(name, text)
    engine.add_data_json(orjson.dumps(data).decode())
    return engine


def _why_not(engine: regorus.Engine, path: str) -> str:
    """Why a test rule has not passed, or nothing."""
    try:
        engine.set_input_json("{}")
        answer = orjson.loads(engine.eval_rule_as_json(path))
    except RuntimeError as fault:
        return _first_line(fault)
    if answer == "<undefined>":
        return "undefined"
    return "false" if answer is False else ""


def _rule_result(package: str, name: str, message: str) -> TestResult:
    return TestResult(
        suite=package, name=name, kind="rule", engine="embedded", passed=not message,
        message=message,
    )  # fmt: skip


def _first_line(fault: Exception) -> str:
    return " ".join(str(fault).split("\n\nStack backtrace", 1)[0].split())[:400]


def read_suite(tree: Tree, file: str) -> tuple[Case, ...]:
    """The cases of one suite file. Raises `ConfigError` naming file and case."""
    document = _object(read_yaml(tree.suites[file], file), file)
    _only(document, _SUITE_KEYS, file)
    suite, base_name = document.get("suite"), document.get("base")
    cases = document.get("cases")
    if not isinstance(suite, str) or not isinstance(base_name, str) or not isinstance(cases, list):
        raise ConfigError(f"{file}: a suite has suite, base and cases")
    base = tree.fixtures.get(_beside(file, base_name))
    if base is None:
        raise ConfigError(f"{file}: the base {base_name} is no fixture of this tree")
    data = _object(document.get("data", {}), file)
    return tuple(
        replace(_case(suite, file, _object(item, file), base), data=data) for item in cases
    )


def _beside(file: str, name: str) -> str:
    """`name` as seen from `file`'s folder, as a name from the tree's root."""
    parts: list[str] = []
    for part in (PurePosixPath(file).parent / name).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    return "/".join(parts)


def _case(suite: str, file: str, item: JsonObject, base: JsonObject) -> Case:
    name, kind = item.get("name"), item.get("kind")
    where = f"{file}: {name!r}"
    _only(item, _CASE_KEYS, where)
    if not isinstance(name, str) or kind not in KINDS:
        raise ConfigError(f"{where}: a case has a name and a kind ({', '.join(KINDS)})")
    expect = _object(item.get("expect"), where)
    _only(expect, _EXPECT_KEYS, where)
    effect, reason = expect.get("effect"), expect.get("reason")
    if effect not in ("allow", "hold", "deny"):
        raise ConfigError(f"{where}: expect.effect is allow, hold or deny")
    return Case(
        suite=suite,
        file=file,
        name=name,
        kind=str(kind),
        input=_changed(base, item, where),
        data={},
        effect=str(effect),
        codes=_names(expect, "codes"),
        obligations=_names(expect, "obligations"),
        reason=reason if isinstance(reason, str) else None,
    )


def _names(expect: JsonObject, key: str) -> frozenset[str] | None:
    value = expect.get(key)
    return None if value is None else frozenset(str(item) for item in as_list(value))


def _changed(base: JsonObject, item: JsonObject, where: str) -> JsonObject:
    copy: JsonObject = orjson.loads(orjson.dumps(base))
    _set(copy, as_object(item.get("set")), where)
    for removed in as_list(item.get("remove")):
        pointer = str(removed)
        target, last = _target(copy, pointer, where)
        if not isinstance(target, dict) or last not in target:
            raise ConfigError(f"{where}: {pointer} leads nowhere, there is nothing to remove")
        del target[last]
    return copy


def _set(document: JsonObject, changes: JsonObject, where: str) -> None:
    for pointer, value in changes.items():
        target, last = _target(document, pointer, where)
        if isinstance(target, dict):
            target[last] = value
        elif last.isdecimal() and int(last) < len(target):
            target[int(last)] = value
        else:
            raise ConfigError(f"{where}: {pointer} leads nowhere")


def _target(document: JsonObject, pointer: str, where: str) -> tuple[JsonObject | list[Json], str]:
    if not pointer.startswith("/"):
        raise ConfigError(f"{where}: {pointer!r} is no JSON pointer")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    here: Json = document
    for part in parts[:-1]:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            raise ConfigError(f"{where}: {pointer} leads nowhere")
    if not isinstance(here, dict | list):
        raise ConfigError(f"{where}: {pointer} leads nowhere")
    return here, parts[-1]


async def _run_case(
    case: Case, snapshot: Snapshot, *, engine: str, entrypoint: str, clock: Clock
) -> TestResult:
    query = orjson.dumps(case.input, option=orjson.OPT_SORT_KEYS)
    raw = await snapshot.evaluate(entrypoint, query, clock.monotonic_s() + _CASE_S, None)
    source = Source(engine=engine, revision=snapshot.revision, expected=snapshot.expected)
    differences = list(_differences(case, decide(raw, id="case", source=source)))
    return TestResult(
        suite=f"{case.suite} ({case.file})",
        name=case.name,
        kind=case.kind,
        engine=engine,
        passed=not differences,
        message="; ".join(differences),
    )


def _differences(case: Case, decision: Decision) -> Iterator[str]:
    if decision.effect != case.effect:
        why = f" ({decision.reason}: {decision.detail})" if decision.detail else ""
        yield f"effect is {decision.effect}, expected {case.effect}{why}"
    codes = frozenset(reason.code for reason in decision.reasons)
    if case.codes is not None and codes != case.codes:
        yield f"codes are {_listed(codes)}, expected {_listed(case.codes)}"
    kinds = frozenset(str(as_object(raw).get("type")) for raw in decision.raw_obligations)
    if case.obligations is not None and kinds != case.obligations:
        yield f"obligations are {_listed(kinds)}, expected {_listed(case.obligations)}"
    if case.reason is not None and decision.reason != case.reason:
        yield f"reason is {decision.reason}, expected {case.reason}"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def uncovered(results: Sequence[TestResult]) -> list[str]:
    """Suites that lack a positive, a near-miss or a hostile case (POLICY §9)."""
    found: dict[str, set[str]] = {}
    for one in results:
        if one.kind in KINDS:
            found.setdefault(one.suite, set()).add(one.kind)
    return [
        f"{suite} has no {kind} case"
        for suite, kinds in sorted(found.items())
        for kind in KINDS
        if kind not in kinds
    ]


def _object(value: Json, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: an object is wanted, this is {type(value).__name__}")
    return value


def _only(document: JsonObject, known: frozenset[str], where: str) -> None:
    stray = sorted(document.keys() - known)
    if stray:
        raise ConfigError(f"{where}: {stray[0]} is not known here")
