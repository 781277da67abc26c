"""Every module has the test of its name: `x/y.py` has `tests/unit/x/test_y.py` (STYLE §5)."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "proxy" / "outrider"
UNIT = Path(__file__).parent / "unit"

WITHOUT = {
    # composition: held by tests/e2e, which run nothing else
    "app/explaining.py",
    "app/planes.py",
    "app/policy.py",
    "app/sidecar.py",
    "app/state.py",
    "app/tasks.py",
    "cli/run.py",
    # the demo's play, held whole by tests/e2e/test_demo.py; its scripts need SDKs of their own
    "cli/demo/cast.py",
    "cli/demo/main.py",
    "cli/demo/play.py",
    "cli/demo/scripts/agent.py",
    "cli/demo/scripts/agent_legacy.py",
    "cli/demo/scripts/notes.py",
    "cli/demo/scripts/people.py",
    "cli/demo/scripts/talk.py",
    "cli/demo/scripts/tickets.py",
    "cli/demo/scripts/upstream.py",
    # shapes without a line of behaviour
    "core/catalogue.py",
    "core/obligation.py",
    "identity/causes.py",
    "identity/events.py",
    "identity/reasons.py",
    # the thread behind it, held by tests/unit/audit/test_log.py
    "audit/writer.py",
}
"""This list may only shrink."""
MOST = 23


def _modules() -> set[str]:
    return {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.name not in {"__init__.py", "__main__.py"}
    }


def _tested() -> set[str]:
    return {
        str(path.relative_to(UNIT).with_name(path.name.removeprefix("test_")))
        for path in UNIT.rglob("test_*.py")
    }


def test_every_module_has_its_test() -> None:
    assert _modules() - _tested() - WITHOUT == set()


def test_the_list_of_those_without_only_shrinks() -> None:
    assert WITHOUT & _tested() == set(), "these have a test now: take them off the list"
    assert WITHOUT - _modules() == set(), "these are gone: take them off the list"
    assert len(WITHOUT) <= MOST


def test_every_unit_test_is_of_a_module() -> None:
    assert _tested() - _modules() == set()
