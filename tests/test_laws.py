"""Laws of STYLE §3 that no linter knows: the last door, who swallows what, who knows the time."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "proxy" / "outrider"
SCRIPTS = SOURCE / "cli" / "demo" / "scripts"
"""Run by the demo's own interpreters, as its agents and upstreams; nothing here imports them."""
PANICS = {
    # a panic in a Rust extension is a BaseException; it becomes a refusal here, by name
    "policy/clauses.py",
    "policy/engines/embedded.py",
    "policy/opa_child.py",
    "protocols/adapters/mcp/schemas.py",
}
CLOCKS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter",
    "time.perf_counter_ns", "time.sleep", "datetime.now", "datetime.utcnow",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today", "date.today",
}  # fmt: skip


@cache
def _trees(root: Path) -> list[tuple[str, ast.Module]]:
    return [
        (str(path.relative_to(root)), ast.parse(path.read_text("utf-8")))
        for path in sorted(root.rglob("*.py"))
        if SCRIPTS not in path.parents
    ]


def _handlers(name: str) -> list[tuple[str, ast.ExceptHandler]]:
    return [
        (path, node)
        for path, tree in _trees(SOURCE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and name in _caught(node)
    ]


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"bare"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) for kind in kinds}


def test_there_is_one_last_door_for_exchanges_and_one_for_settings_read_again() -> None:
    """The second refuses a file, whatever reading it raises, and raises on what it makes of it."""
    doors = _handlers("Exception")
    assert [path for path, _ in doors] == ["app/sidecar.py", "pipeline/enforcer.py"]
    assert any(isinstance(node, ast.Raise) for node in ast.walk(doors[0][1]))
    assert _handlers("bare") == []


def test_who_catches_everything_raises_it_on_or_answers_for_a_panic() -> None:
    swallowing = {
        path
        for path, handler in _handlers("BaseException")
        if not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    }
    assert swallowing <= PANICS


def test_the_time_is_an_argument() -> None:
    found = {
        (path, ast.unparse(node))
        for path, tree in _trees(SOURCE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in CLOCKS
    }
    found -= {("telemetry/exposition.py", "time.sleep")}  # sleep(0): it gives way, and waits not
    assert {path for path, _ in found} == {"core/clock.py"}


def test_no_test_replaces_what_it_tests() -> None:
    found = [
        path
        for path in (ROOT / "tests").rglob("*.py")
        if "unittest" in (text := path.read_text("utf-8"))  # parsing them all takes a minute
        and any("unittest" in _imported(node) for node in ast.walk(ast.parse(text)))
    ]
    assert found == []


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        return {node.module.partition(".")[0]}
    return set()
