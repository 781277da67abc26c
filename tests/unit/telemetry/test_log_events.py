"""Every line names its event, every event has a meaning, and none is left that nothing tells."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.telemetry.log_events import MEANINGS, page

SOURCE = Path(__file__).parents[3] / "proxy" / "outrider"
OWN = SOURCE / "telemetry" / "log_events.py"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
TOLD_BY = {"_extra", "_facts", "_said", "_internal", "_tell"}
"""Helpers that make `extra` where a line names its event through one."""


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a module's logger, and where it stands."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"), attr=attr)) if (
                    attr in LEVELS
                ):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


CALLS = list(_calls())


def _event(call: ast.Call) -> ast.expr | None:
    """What stands for the event in `extra`; the whole of it where it is no literal."""
    extra = next((one.value for one in call.keywords if one.arg == "extra"), None)
    if isinstance(extra, ast.BinOp):
        extra = extra.left
    if not isinstance(extra, ast.Dict):
        return extra
    pairs = zip(extra.keys, extra.values, strict=True)
    return next(
        (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "event"),
        None,
    )


@pytest.mark.parametrize(("place", "call"), CALLS, ids=[place for place, _ in CALLS])
def test_every_line_names_an_event_that_has_a_meaning(place: str, call: ast.Call) -> None:
    match _event(call):
        case ast.Constant(value=str(event)):
            assert event in MEANINGS, f"{place}: add it to log_events.py"
        case ast.Call(func=ast.Attribute(attr=helper) | ast.Name(id=helper)):
            assert helper in TOLD_BY, place
        case ast.Name(id="event"):
            pass  # the helper's own argument: its callers name one of those below
        case other:
            pytest.fail(f"{place}: no event ({other})")


@pytest.mark.parametrize(("place", "call"), CALLS, ids=[place for place, _ in CALLS])
def test_every_sentence_is_fixed(place: str, call: ast.Call) -> None:
    first = call.args[1] if getattr(call.func, "attr", "") == "log" else call.args[0]
    assert isinstance(first, ast.Constant | ast.Name), place
    assert len(call.args) == 1 + (getattr(call.func, "attr", "") == "log"), place


@pytest.mark.parametrize("event", sorted(MEANINGS))
def test_every_event_is_told_somewhere(event: str) -> None:
    told = [path for path in SOURCE.rglob("*.py") if path != OWN]
    assert any(f'"{event}"' in path.read_text("utf-8") for path in told)


def test_the_page_has_a_row_for_each() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(MEANINGS)
    assert logging.getLevelName(logging.INFO) == "INFO"
