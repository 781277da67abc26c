"""One performance: every step asked, its traces compared, the evidence read at the end."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, assert_never

from outrider.cli.demo import cast as casting
from outrider.cli.demo.cast import Cast
from outrider.cli.demo.evidence import Evidence, counted, differences, misplaced
from outrider.cli.demo.stage import Stage
from outrider.cli.demo.story import TASK, Act, Scene, Step
from outrider.cli.demo.teller import Teller
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import Clock
from outrider.core.vocabulary import Effect

RELOAD_S: Final = 10.0
_DECIDED: Final = re.compile(
    r'^outrider_decisions_total\{[^}\n]*effect="([a-z]+)"[^}\n]*\} ([0-9.e+]+)$', re.MULTILINE
)
_DROPPED: Final = re.compile(
    r"^outrider_agent_credentials_stripped_total(?:\{\})? ([0-9.e+]+)$", re.MULTILINE
)


@dataclass(slots=True)
class Outcome:
    """What came of it. `faults` name each difference."""

    steps: list[JsonObject] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    facts: JsonObject = field(default_factory=dict)


class Play:
    def __init__(self, *, stage: Stage, cast: Cast, clock: Clock, teller: Teller) -> None:
        self._stage = stage
        self._cast = cast
        self._clock = clock
        self._teller = teller
        self._outcome = Outcome()
        self._evidence = Evidence(
            journals={name: stage.journal(name) for name in cast.upstreams},
            chain=stage.chain,
            clock=clock,
        )

    def perform(self, scenes: tuple[Scene, ...]) -> Outcome:
        """All scenes, then the evidence. Raises `BrokenPartError` where a part fails."""
        self._evidence.skip()
        for scene in scenes:
            self._teller.scene(scene.title)
            for step in scene.steps:
                self._take(step)
        self._teller.scene("The evidence")
        self._check_evidence()
        return self._outcome

    def _take(self, step: Step) -> None:
        if step.act is not None:
            self._act(step.act, step.say)
        if step.ask is None or step.want is None:
            return
        answer = self._cast.agents[step.who].ask(step.ask)
        seen = self._evidence.since(step.want)
        faults = differences(step.want, seen, answer)
        record = seen.decisions[0] if seen.decisions else None
        self._teller.step(step, record, faults)
        self._outcome.faults += [f"{step.say}: {fault}" for fault in faults]
        decision = as_object((record or {}).get("decision"))
        facts: JsonObject = {name: decision.get(name) for name in ("id", "enforced", "reason")}
        self._outcome.steps.append({"step": step.say, **facts, "ok": not faults})

    def _act(self, act: Act, say: str) -> None:
        match act:
            case Act.START_TASK:
                self._teller.aside(say)
                self._operate(TASK)
            case Act.CHANGE_TOOL:
                self._teller.aside(say)
                self._cast.upstreams["notes"].tell("change")
            case Act.ACCEPT_TOOL:
                self._teller.aside(say)
                self._operate(("pins", "accept", "notes", "read_note"))
            case Act.HOLD_TICKET:
                self._hold(say)
            case _:
                assert_never(act)

    def _operate(self, words: tuple[str, ...]) -> None:
        fault = casting.operate(self._cast, self._stage, *words)
        if fault is not None:
            self._outcome.faults.append(f"outrider {' '.join(words)}: {fault}")

    def _hold(self, say: str) -> None:
        started_s = self._clock.monotonic_s()
        file = self._stage.hold("4711", "9001", "9002")
        is_in_force = self._evidence.wait_for_kind("policy", RELOAD_S)
        took_s = self._clock.monotonic_s() - started_s
        self._teller.aside(f"{say}; in force after {took_s:.1f} s")
        self._teller.shown(str(file.relative_to(self._stage.home)))
        if not is_in_force:
            self._outcome.faults.append(f"the policy was not in force within {RELOAD_S:.0f} s")

    def _check_evidence(self) -> None:
        self._check_chain()
        self._check_runs()
        self._check_credentials()
        self._check_metrics()

    def _check_chain(self) -> None:
        located = self._evidence.verify()
        report = located.report
        is_good = report.broken is None and report.whole and report.gaps == 0
        self._fact(
            f"the chain holds: {report.records} records, each linked to the one before",
            is_good,
            f"the chain breaks at record {report.records} in {located.file}:{located.line}",
        )
        self._outcome.facts["chain"] = {"records": report.records, "head": report.head}

    def _check_runs(self) -> None:
        stray = sum(not step["ok"] for step in self._outcome.steps)
        rest = self._evidence.rest()
        late = len(rest.calls) + len(rest.decisions)
        self._fact(
            f"{self._count(Effect.ALLOW)} calls allowed, and each ran once; "
            f"{self._count(Effect.DENY)} refused, and none ran",
            not stray and not late,
            f"{stray} steps left other traces than they must; {late} traces belong to none",
        )
        self._outcome.facts["decisions"] = {**counted(self._evidence.decisions)}

    def _count(self, effect: Effect) -> int:
        return counted(self._evidence.decisions).get(effect.value, 0)

    def _check_credentials(self) -> None:
        wrong = misplaced(self._evidence.entries, self._stage.desk)
        secret = self._stage.agent_secret
        leaked = any(
            secret in path.read_text("utf-8", "replace")
            for path in (
                *map(self._stage.journal, self._cast.upstreams),
                self._stage.log("outrider"),
            )
        )
        self._fact(
            "no upstream saw the agent's own token; tickets and people got the sidecar's",
            not wrong and not leaked,
            "; ".join(wrong) or "the agent's own token got through",
        )

    def _check_metrics(self) -> None:
        status, body = casting.fetch(self._stage.ports.telemetry, "/metrics")
        text = body.decode("utf-8", "replace")
        decided = Counter[str]()
        for effect, value in _DECIDED.findall(text):
            decided[effect] += int(float(value))
        dropped = sum(int(float(value)) for value in _DROPPED.findall(text))
        denied = self._count(Effect.DENY)
        self._fact(
            f"/metrics agrees: {decided['allow']} allowed with handshakes, "
            f"{decided['deny']} denied, {dropped} tokens of the agent dropped",
            decided["allow"] >= self._count(Effect.ALLOW)
            and decided["deny"] == denied
            and dropped > 0,
            f"/metrics ({status}) counts {decided['deny']} denied where the chain has {denied}",
        )
        self._outcome.facts["metrics"] = {**decided, "tokens_dropped": dropped}

    def _fact(self, text: str, is_good: bool, fault: str) -> None:
        self._teller.fact(text if is_good else fault, is_good=is_good)
        if not is_good:
            self._outcome.faults.append(fault)
