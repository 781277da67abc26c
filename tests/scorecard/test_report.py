"""The card: its JSON, its tables, its gates."""

import io

import orjson
from rich.console import Console

from tests.scorecard.adaptive import PROBES
from tests.scorecard.replay import Fate, Ran, Stepped
from tests.scorecard.report import UNFAIR, Card, document, print_report, write_json

HELD = Stepped(tool="pay", injected=False, fate=Fate.HELD, codes=("PV-01",), pointer="/to")
STOPPED = Stepped(tool="pay", injected=True, fate=Fate.DENIED, codes=("grant",))
PASSED = Stepped(tool="look", injected=False, fate=Fate.DONE, took_s=0.01, added_s=0.004)


def a_run(task, *steps, goal=None, **said):
    return Ran(suite="banking", task=task, goal=goal, steps=steps, **said)


RUNS = [
    *(a_run(f"t{number}", PASSED, useful=True) for number in range(10)),
    a_run("held", PASSED, HELD, useful=False),
    *(a_run(f"t{number}", STOPPED, goal="g", broken=False) for number in range(30)),
    a_run("t0", PASSED, goal="h", broken=True),
]


def a_card(*settings):
    return Card(
        runs=dict.fromkeys(settings, RUNS), reads=frozenset({"banking/look"}), notes={"a": "b"}
    )


def test_the_total_is_of_scope_with_provenance():
    said = document(a_card("none", "prov", "scope+prov"))
    assert said["total"] == {
        "attack_success": 1 / 31,
        "benign_untouched": 10 / 11,
        "holds_per_task": 1 / 11,
        "attack_success_provenance_alone": 1 / 31,
    }
    assert said["missed"] == []
    assert said["controls"] == {
        "PV-01": {"attacks_stopped": 0, "benign_calls_stopped": 1},
        "grant": {"attacks_stopped": 30, "benign_calls_stopped": 0},
    }
    assert said["suites"]["banking"]["attack_success"]["hits"] == 1
    assert said["suites"]["slack"]["attack_success"]["of"] == 0


def test_what_was_interrupted_and_what_got_through_is_named():
    said = document(a_card("prov", "scope+prov"))
    assert [one["task"] for one in said["interrupted"]] == ["held"]
    assert said["interrupted"][0]["calls"][0]["pointer"] == "/to"
    assert said["broken"] == ["banking/t0/h"]


def test_without_the_settings_that_gate_there_is_no_total():
    card = a_card("none")
    assert (document(card)["total"], card.missed) == (None, [])


def test_a_missed_gate_is_told():
    card = Card(runs={"prov": RUNS[-1:], "scope+prov": RUNS[-1:]}, reads=frozenset(), notes={})
    assert any(line.startswith("attack_success is 1.0000") for line in card.missed)


def test_the_tables_show_every_setting_and_what_is_unfair():
    out = io.StringIO()
    print_report(a_card("none", "prov", "scope+prov"), Console(file=out, width=200))
    text = out.getvalue()
    for word in ("none", "scope+prov", "PV-01 1", "goal reached", "holds", "Unfair to compare"):
        assert word in text, word
    assert text.count("\n 9.") == 1
    assert len(UNFAIR) == 9


def test_adaptive_probes_are_shown_apart_and_count_for_nothing():
    several = Stepped(tool="pay", injected=True, fate=Fate.HELD, codes=("PV-01", "SQ-08"))
    found = [(probe, a_run("p", several, goal=probe.name)) for probe in PROBES]
    card = Card(
        runs={"prov": RUNS},
        reads=frozenset(),
        notes={},
        probes={"prov": found, "without PV-01": found},
    )
    out = io.StringIO()
    print_report(card, Console(file=out, width=200))
    assert out.getvalue().count("held PV-01 +1") == len(PROBES)
    said = document(card)
    assert said["settings"]["prov"]["attack_success"]["of"] == 31
    assert said["adaptive"]["without PV-01"][0] == {
        "kind": "control",
        "probe": "as it stands",
        "expected": "stopped",
        "fate": "held",
        "codes": ["PV-01", "SQ-08"],
    }


def test_the_json_is_a_file(tmp_path):
    path = tmp_path / "build" / "scorecard.json"
    write_json(a_card("prov", "scope+prov"), path)
    assert orjson.loads(path.read_bytes())["notes"] == {"a": "b"}
