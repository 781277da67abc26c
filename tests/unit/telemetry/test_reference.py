"""The page and the dump say of each metric all that a reader of the exposition sees."""

import orjson

from outrider.telemetry import reference
from outrider.telemetry.families.base import Declared, closed, named

DECLARED = [
    Declared(
        name="outrider_b_seconds",
        kind="histogram",
        text="Time of this | that",
        axes=(closed("tls", ("true", "false")),),
        buckets=(0.5, 1),
    ),
    Declared(
        name="outrider_a_total",
        kind="counter",
        text="Count",
        axes=(named("upstream", "the settings"),),
    ),
]


def test_names_are_one_a_line_and_sorted() -> None:
    text = reference.names({"sidecar": DECLARED, "injector": DECLARED[:1]})
    assert text == "outrider_a_total\noutrider_b_seconds\n"


def test_the_page_has_a_row_a_metric_and_a_table_a_process() -> None:
    text = reference.page({"sidecar": DECLARED})
    assert "## Sidecar" in text
    assert "| `outrider_a_total` | counter | `upstream`: the settings | Count |" in text
    assert (
        "| `outrider_b_seconds` | histogram (0.5 1) | `tls`: `true`, `false` "
        "| Time of this \\| that |" in text
    )


def test_the_dump_holds_types_labels_and_bounds() -> None:
    dumped = orjson.loads(reference.dump({"sidecar": DECLARED}))
    assert dumped["format"] == "outrider.metrics/v1"
    first, second = dumped["metrics"]
    assert first["labels"] == {"upstream": {"from": "the settings"}}
    assert second == {
        "process": "sidecar",
        "name": "outrider_b_seconds",
        "type": "histogram",
        "help": "Time of this | that",
        "labels": {"tls": {"values": ["true", "false"]}},
        "buckets": [0.5, 1],
    }
