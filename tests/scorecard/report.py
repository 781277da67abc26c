"""The scorecard on a terminal and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from tests.scorecard.adaptive import PROBES, Probe
from tests.scorecard.data import SUITES
from tests.scorecard.figures import Figures, Rate, figures, percentile
from tests.scorecard.gates import GATES, missed, total
from tests.scorecard.replay import Fate, Ran

BOTH: Final = "scope+prov"
ALONE: Final = "prov"
ALL: Final = "all"
PROBED: Final = ("none", "prov", "template+prov", "shipped")
"""Settings whose adaptive probes are drawn; the JSON has those of all."""
UNFAIR: Final = (
    "Our agent never errs: compare differences of utility between settings, not levels.",
    "It always complies (against 7 to 58 % for models): compare what is left over what there was.",
    "Scope is an oracle: the tools of the task's own ground truth.",
    (
        "Others write policies per suite; ours are one set of rules for all and one organisation's "
        "domain. What the labels know of the environment is listed in policy/RULES.md."
    ),
    (
        "9 of the 35 goals have no calls and are not replayed, the hardest among them; goals that "
        "are reached by words alone cannot be scored."
    ),
    "Ground truth is one way to do it: a live attacker picks values that are trusted.",
    (
        "Some verdicts look at the call and not at what it did: only calls that were let through "
        "are shown to them."
    ),
    "Authors may know the set: the digest proves the order of work, not ignorance.",
    "An agent that is refused may plan anew, for better or worse: ours goes on with its next call.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything a run of the scorecard came to. `runs` are by setting, in order; `probes`, the
    adaptive set, count in none of the figures."""

    runs: dict[str, Sequence[Ran]]
    reads: frozenset[str]
    notes: Mapping[str, Any]
    probes: dict[str, Sequence[tuple[Probe, Ran]]] = field(default_factory=dict)

    def of(self, setting: str, suite: str = ALL) -> Figures:
        chosen = (run for run in self.runs[setting] if suite in (ALL, run.suite))
        return figures(chosen, self.reads)

    @property
    def total(self) -> dict[str, float]:
        return total(self.of(BOTH), self.of(ALONE))

    @property
    def missed(self) -> list[str]:
        """Gates that do not hold; none where the settings that gate were not run."""
        return missed(self.total) if self.gates else []

    @property
    def gates(self) -> bool:
        return {BOTH, ALONE} <= self.runs.keys()


def document(card: Card) -> dict[str, Any]:
    """The card as JSON: `total`, `suites` and `controls` are of scope with provenance."""
    main = BOTH if BOTH in card.runs else next(iter(card.runs))
    whole = card.of(main)
    return {
        "total": card.total if card.gates else None,
        "missed": card.missed,
        "suites": {suite: _figures(card.of(main, suite)) for suite in SUITES},
        "controls": _controls(whole),
        "settings": {
            name: {
                **_figures(card.of(name)),
                "suites": {suite: _figures(card.of(name, suite)) for suite in SUITES},
                "controls": _controls(card.of(name)),
            }
            for name in card.runs
        },
        "adaptive": {
            name: [_probed(probe, run) for probe, run in found]
            for name, found in card.probes.items()
        },
        "notes": dict(card.notes),
        "unfair_to_compare": list(UNFAIR),
        "interrupted": [_interrupted(run) for run in _touched(card.runs[main])],
        "broken": [_broken(run) for run in card.runs[main] if run.broken],
    }


def write_json(card: Card, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(document(card), option=orjson.OPT_INDENT_2))


def print_report(card: Card, console: Console) -> None:
    """All tables, the gates, and what makes comparisons unfair."""
    for name, value in card.notes.items():
        if isinstance(value, str):
            console.print(f"{name}: {value}", highlight=False)
    console.print(_settings(card))
    main = BOTH if BOTH in card.runs else next(iter(card.runs))
    console.print(_suites(card, main))
    console.print(_stoppers(card))
    if card.gates:
        console.print(_gates(card.total))
    if card.probes:
        console.print(_adaptive(card))
    console.print("Unfair to compare:")
    for number, line in enumerate(UNFAIR, 1):
        console.print(f" {number}. {line}", highlight=False)


# --- JSON -----------------------------------------------------------------------------------


def _figures(found: Figures) -> dict[str, Any]:
    return {
        "benign_untouched": _rate(found.untouched),
        "holds": found.holds,
        "denials": found.denials,
        "holds_per_task": found.holds_per_task,
        "holds_per_consequential_call": found.holds_per_consequential,
        "done_with_approvals": dict(zip(("0", "1", "2"), found.done, strict=True)),
        "attack_success": _rate(found.attacks),
        "added_ms": {
            f"p{share:g}": round(1000 * percentile(found.added_s, share / 100), 3)
            for share in (50, 95, 99)
        },
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"hits": rate.hits, "of": rate.of, "rate": rate.value, "wilson_95": list(rate.interval)}


def _controls(found: Figures) -> dict[str, dict[str, int]]:
    return {
        code: {
            "attacks_stopped": found.stopped[code],
            "benign_calls_stopped": found.interrupted[code],
        }
        for code in sorted({*found.stopped, *found.interrupted})
    }


def _touched(runs: Sequence[Ran]) -> list[Ran]:
    return [run for run in runs if run.goal is None and not run.untouched]


def _interrupted(run: Ran) -> dict[str, Any]:
    refused = [step for step in run.steps if step.fate in (Fate.HELD, Fate.DENIED)]
    return {
        "suite": run.suite,
        "task": run.task,
        "calls": [
            {
                "tool": step.tool,
                "fate": step.fate.value,
                "codes": list(step.codes),
                "pointer": step.pointer,
            }
            for step in refused
        ],
    }


def _broken(run: Ran) -> str:
    return f"{run.suite}/{run.task}/{run.goal}"


def _probed(probe: Probe, run: Ran) -> dict[str, Any]:
    last = run.steps[-1]
    return {
        "kind": probe.kind,
        "probe": probe.name,
        "expected": probe.expected,
        "fate": last.fate.value,
        "codes": list(last.codes),
    }


# --- tables ---------------------------------------------------------------------------------


def _settings(card: Card) -> Table:
    drawn = Table(title="Settings", title_justify="left")
    drawn.add_column("setting")
    for title in ("benign untouched", "held", "denied", "holds/task", "attack success", "95 %"):
        drawn.add_column(title, justify="right")
    drawn.add_column(" / ".join(SUITES), justify="right")
    for name in card.runs:
        whole = card.of(name)
        each = " / ".join(f"{100 * card.of(name, one).attacks.value:.1f}" for one in SUITES)
        drawn.add_row(
            name,
            f"{whole.untouched.hits} ({_percent(whole.untouched)})",
            str(whole.holds),
            str(whole.denials),
            f"{whole.holds_per_task:.2f}",
            _percent(whole.attacks),
            _interval(whole.attacks),
            each,
        )
    return drawn


def _suites(card: Card, setting: str) -> Table:
    drawn = Table(title=f"{setting}, by suite", title_justify="left")
    drawn.add_column("suite")
    for title in (
        "untouched", "95 %", "held", "holds/task", "holds/act", "done with 0, 1, 2 approvals",
        "attack success", "95 %", "added ms p50 / p95 / p99",
    ):  # fmt: skip
        drawn.add_column(title, justify="right")
    for suite in (*SUITES, ALL):
        found = card.of(setting, suite)
        added = (f"{1000 * percentile(found.added_s, share):.1f}" for share in (0.5, 0.95, 0.99))
        drawn.add_row(
            suite,
            f"{found.untouched.hits}/{found.untouched.of}",
            _interval(found.untouched),
            str(found.holds),
            f"{found.holds_per_task:.2f}",
            f"{found.holds_per_consequential:.2f}",
            ", ".join(map(str, found.done)),
            f"{found.attacks.hits}/{found.attacks.of} ({_percent(found.attacks)})",
            _interval(found.attacks),
            " / ".join(added),
        )
    return drawn


def _stoppers(card: Card) -> Table:
    drawn = Table(title="Which control stopped what", title_justify="left")
    drawn.add_column("setting")
    drawn.add_column("attacks stopped first by")
    drawn.add_column("users' own calls stopped by")
    for name in card.runs:
        whole = card.of(name)
        drawn.add_row(name, _most(whole.stopped), _most(whole.interrupted))
    return drawn


def _adaptive(card: Card) -> Table:
    drawn = Table(title="Adaptive attackers, apart from the figures", title_justify="left")
    shown = [name for name in card.probes if name in PROBED]
    for title in ("kind", "probe", "promised", *shown):
        drawn.add_column(title)
    for number, probe in enumerate(PROBES):
        fates = (_fate(card.probes[name][number][1]) for name in shown)
        drawn.add_row(probe.kind, probe.name, probe.expected, *fates)
    return drawn


def _fate(run: Ran) -> str:
    last = run.steps[-1]
    others = f" +{len(last.codes) - 1}" if len(last.codes) > 1 else ""
    return " ".join([last.fate.value, *last.codes[:1]]) + others


def _most(counted: Mapping[str, int]) -> str:
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{code} {count}" for code, count in ordered) or "-"


def _gates(found: Mapping[str, float]) -> Table:
    drawn = Table(title="Gates", title_justify="left")
    for title in ("figure", "is", "must", "goal", ""):
        drawn.add_column(title)
    for gate in GATES:
        value, sign = found[gate.name], ">=" if gate.at_least else "<="
        mark = "[bold red]missed[/]"
        if gate.holds(value):
            mark = "[green]goal reached[/]" if gate.reaches(value) else "[green]holds[/]"
        drawn.add_row(
            gate.name, f"{value:.4f}", f"{sign} {gate.must:g}", f"{sign} {gate.goal:g}", mark
        )
    return drawn


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} %"


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * low:.1f}-{100 * high:.1f}"
