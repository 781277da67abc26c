"""Decisions: what was decided, of what, for which reason, and what it took."""

from collections.abc import Iterable
from typing import Final

from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Effect, EffectClass, Reason
from outrider.telemetry.families.base import FAST, QUERY, Children, closed, named
from outrider.telemetry.families.exchanges import ExchangeFamilies
from outrider.telemetry.tally import TallyFamily

ENGINES: Final = ("opa", "embedded")
PHASES: Final = ("encode", "wait", "evaluate", "parse")
WOULD: Final = (Effect.HOLD, Effect.DENY)
MEMO: Final = ("hit", "miss")


class DecisionFamilies(ExchangeFamilies):
    def _declare(self) -> None:
        super()._declare()
        effect = closed("effect", Effect)
        decided = self._tally(
            "decisions_total",
            "Decisions, one for each action",
            effect,
            closed("class", EffectClass),
            closed("reason", ("none", *Reason)),
        )
        self._decided = {
            (each, kind, reason): decided.labels(
                each.value, kind.value, reason.value if reason else "none"
            )
            for kind in EffectClass
            for each, reason in _pairs()
        }
        self._by_resource = self._tally(
            "resource_decisions_total",
            "Decisions by manifest entry",
            named("resource", "tools and operations of the active manifest, or `other`"),
            effect,
        )
        self._by_code = self._tally(
            "policy_reasons_total",
            "Reasons that policy gave",
            named("code", "reason codes of the active bundle, or `other`"),
            effect,
        )
        self._declare_unenforced()
        self._declare_asking()

    def _declare_unenforced(self) -> None:
        code = named("code", "reason codes of the active bundle, or `other`")
        would = closed("would", WOULD)
        self._excepted = self._tally("policy_exceptions_total", "Uses of an exception", code)
        self._in_shadow = self._tally(
            "shadow_total", "What controls in shadow would have come to", code, would
        )
        softened = self._tally(
            "softened_total",
            "Findings of enforced controls that a scope in shadow let pass",
            would,
            closed("class", EffectClass),
        )
        self._softened = {
            (effect, kind): softened.labels(effect.value, kind.value)
            for effect in WOULD
            for kind in EffectClass
        }

    def _declare_asking(self) -> None:
        self._query_bytes = self._spread(
            "query_bytes", "Size of the query that policy is asked", QUERY
        ).labels()
        engine = closed("engine", ENGINES)
        self._decision_s = self._spread(
            "decision_duration_seconds", "Time to a decision", FAST, engine, closed("cache", MEMO)
        )
        phase = self._spread(
            "decision_phase_seconds",
            "Where the time to a decision goes, of one decision in 16",
            FAST,
            engine,
            closed("phase", PHASES),
        )
        self._phases = Children(
            phase,
            [(name, each) for name in ENGINES for each in PHASES],
            [(name, each) for name in ENGINES if name in self._shape.engines for each in PHASES],
        )
        verdicts = self._tally(
            "list_verdicts_total", "Verdicts on entries of lists", closed("memo", MEMO)
        )
        self._verdicts = {each: verdicts.labels(each) for each in MEMO}
        self._child = self._level(
            "engine_child_info",
            "1 for the OPA that runs as our child",
            named("version", "of the OPA that was found"),
            named("gogc", "as it is started with"),
            closed("decision_logs", ("on", "off")),
        )
        self._child_memory = self._one(
            "engine_child_memory_limit_bytes", "GOMEMLIMIT of the OPA that runs as our child"
        )
        self._engine_up = self._level("engine_up", "1 while the engine answers", engine)

    def decided(
        self,
        *,
        effect: Effect,
        effect_class: EffectClass,
        reason: Reason | None,
        resource: str,
        reasons: tuple[ReasonEntry, ...],
    ) -> None:
        child = self._decided.get((effect, effect_class, reason))
        if child is not None:
            child.inc()
        word = effect._value_
        self._by_resource.labels(self._resources.clean(resource), word).inc()
        for entry in reasons:
            code = self._codes.clean(entry.code)
            self._by_code.labels(code, word).inc()
            if entry.excepted:
                self._excepted.labels(code).inc()
            if entry.would is not None:
                self._unenforced(entry, code, entry.would, effect_class)

    def _unenforced(
        self, entry: ReasonEntry, code: str, would: Effect, effect_class: EffectClass
    ) -> None:
        if would is Effect.ALLOW:
            return
        if entry.softened:
            self._softened[would, effect_class].inc()
        else:
            self._in_shadow.labels(code, would.value).inc()

    def catalogue(self, resources: Iterable[str], codes: Iterable[str]) -> None:
        """The names that may be labels from now on; children of names gone are removed."""
        self._by_resource.forget(self._resources.replace(resources))
        gone = self._codes.replace(codes)
        for family in self._coded():
            family.forget(gone)

    def _coded(self) -> list[TallyFamily]:
        """Families whose first label is a reason code."""
        return [self._by_code, self._excepted, self._in_shadow]

    def decision_made(self, engine: str, seconds: float, query_bytes: int) -> None:
        self._observe(self._decision_s.labels(engine, "miss"), seconds)
        self._query_bytes.observe(query_bytes)

    def decision_phase(self, engine: str, phase: str, seconds: float) -> None:
        """`phase` is one of `PHASES`."""
        if engine in ENGINES:
            self._phases[engine, phase].observe(max(0.0, seconds))

    def engine_child(self, *, version: str, gogc: int, memory_limit_bytes: int) -> None:
        """An OPA of ours was started, with these settings; it writes no decision log."""
        self._child.clear()
        self._child.labels(version[:64], str(gogc), "off").set(1)
        self._child_memory.set(memory_limit_bytes)

    def list_verdicts(self, hits: int, misses: int) -> None:
        self._verdicts["hit"].inc(hits)
        self._verdicts["miss"].inc(misses)

    def engine_is(self, engine: str, *, up: bool) -> None:
        self._engine_up.labels(engine).set(up)


def _pairs() -> list[tuple[Effect, Reason | None]]:
    """The pairs of effect and reason that can occur: allow with none, hold with held, else deny."""
    denials = [(Effect.DENY, reason) for reason in Reason if reason is not Reason.HELD]
    return [(Effect.ALLOW, None), (Effect.HOLD, Reason.HELD), *denials]
