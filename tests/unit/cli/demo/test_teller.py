"""The story fits a terminal and says why."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from outrider.cli.demo.story import Step, Want
from outrider.cli.demo.teller import Teller, why
from outrider.core.vocabulary import Effect

STEP = Step(say="tickets/refund ticket_id=4711", want=Want(effect=Effect.DENY), note="as before")


def a_record(enforced: str, **decision: Any) -> dict[str, Any]:
    return {"action": {"effect": "pay"}, "decision": {"enforced": enforced, **decision}}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(a_record("allow"), "as before", id="allowed"),
        pytest.param(
            a_record(
                "deny", reason="policy", reasons=[{"code": "HD-01", "message": "under legal hold"}]
            ),
            "policy: HD-01 under legal hold · as before",
            id="by-policy",
        ),
        pytest.param(
            a_record("deny", reason="grant", reasons=[], detail="not this effect"),
            "grant: not this effect (pay) · as before",
            id="by-grant",
        ),
    ],
)
def test_the_reason_stands_in_a_line(record: dict[str, Any], said: str) -> None:
    assert why(STEP, record) == said


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    file = StringIO()
    teller = Teller(Console(file=file, width=width, highlight=False))
    record = a_record("deny", reason="policy", reasons=[], detail="words " * 30)
    teller.scene("A scene")
    teller.aside("something happens " * 10)
    teller.step(STEP, record, ["a difference " * 20])
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "  ✗ DENY  tickets/refund" in file.getvalue()


def test_markup_of_others_is_text() -> None:
    file = StringIO()
    teller = Teller(Console(file=file, width=80))
    teller.step(Step(say="[red]x[/red]"), a_record("allow"), [])
    assert "[red]x[/red]" in file.getvalue()


def test_the_table_says_of_each_claim_whether_it_holds() -> None:
    said = StringIO()
    Teller(Console(file=said, width=80, no_color=True)).table([("one", True), ("two", False)])
    lines = [line.split() for line in said.getvalue().splitlines() if line.strip()]
    assert lines[0] == ["shown", "holds"]
    assert lines[2:] == [["one", "yes"], ["two", "NO"]]
