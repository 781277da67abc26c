"""Every decision is counted by what it was; only pairs that can occur have a series."""

import re
from itertools import product

import pytest
from prometheus_client.exposition import generate_latest

from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Effect, EffectClass, Reason
from outrider.telemetry.families.decisions import ENGINES, PHASES
from tests.support.metrics import EVIL, a_registry, decided, total, value


@pytest.mark.parametrize(("reason", "kind"), list(product(Reason, EffectClass)))
def test_every_refusal_is_counted_under_its_reason(reason: Reason, kind: EffectClass) -> None:
    metrics = a_registry()
    effect = Effect.HOLD if reason is Reason.HELD else Effect.DENY
    labels = {"effect": effect.value, "class": kind.value, "reason": reason.value}
    assert value(metrics, "outrider_decisions_total", **labels) == 0

    decided(metrics, effect=effect, effect_class=kind, reason=reason)

    assert value(metrics, "outrider_decisions_total", **labels) == 1


@pytest.mark.parametrize("kind", list(EffectClass))
def test_an_allow_is_counted_under_none(kind: EffectClass) -> None:
    metrics = a_registry()
    decided(metrics, effect=Effect.ALLOW, effect_class=kind, reason=None)
    labels = {"effect": "allow", "class": kind.value, "reason": "none"}
    assert value(metrics, "outrider_decisions_total", **labels) == 1


def test_pairs_that_cannot_occur_have_no_series() -> None:
    page = generate_latest(a_registry().registry).decode()
    assert 'effect="allow",reason="policy"' not in page
    assert not re.search(r'effect="deny",reason="(none|held)"', page)
    assert not re.search(r'effect="hold",reason="(?!held)', page)


def test_children_of_names_a_new_bundle_drops_are_removed() -> None:
    metrics = a_registry()
    metrics.catalogue(["crm/send", "crm/read"], ["SQ-04"])
    decided(metrics, resource="crm/send", codes=("SQ-04",))

    metrics.catalogue(["crm/read"], [])

    page = generate_latest(metrics.registry).decode()
    assert "crm/send" not in page
    assert "SQ-04" not in page


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("engine", ENGINES)
def test_each_phase_is_timed_by_itself(engine: str, phase: str) -> None:
    metrics = a_registry()
    metrics.decision_phase(engine, phase, 0.002)
    metrics.decision_phase(EVIL, EVIL, 1.0)
    name = "outrider_decision_phase_seconds_count"
    assert value(metrics, name, engine=engine, phase=phase) == 1
    assert total(metrics, name) == 1


def test_the_child_that_runs_now_is_shown() -> None:
    metrics = a_registry()
    metrics.engine_child(version="1.18.1", gogc=400, memory_limit_bytes=1)
    metrics.engine_child(version="1.19.0", gogc=400, memory_limit_bytes=64 << 20)
    labels = {"version": "1.19.0", "gogc": "400", "decision_logs": "off"}
    assert value(metrics, "outrider_engine_child_info", **labels) == 1
    assert total(metrics, "outrider_engine_child_info") == 1
    assert value(metrics, "outrider_engine_child_memory_limit_bytes") == 64 << 20


def test_verdicts_on_lists_are_counted_by_where_they_came_from() -> None:
    metrics = a_registry()
    metrics.list_verdicts(3, 2)
    assert value(metrics, "outrider_list_verdicts_total", memo="hit") == 3
    assert value(metrics, "outrider_list_verdicts_total", memo="miss") == 2


# --- what had no effect -----------------------------------------------------------------------


def reasons(**fields: object) -> tuple[ReasonEntry, ...]:
    return (ReasonEntry(code="EF-04", **fields),)  # type: ignore[arg-type]


@pytest.mark.parametrize("would", [Effect.HOLD, Effect.DENY])
def test_a_control_in_shadow_is_counted_by_what_it_would_have_been(would: Effect) -> None:
    metrics = a_registry()
    metrics.catalogue([], ["EF-04"])
    decided(metrics, effect=Effect.ALLOW, reason=None, reasons=reasons(mode="shadow", would=would))
    name = "outrider_shadow_total"
    assert value(metrics, name, code="EF-04", would=would.value) == 1
    assert total(metrics, name) == 1
    assert total(metrics, "outrider_softened_total") == 0


@pytest.mark.parametrize("kind", EffectClass)
def test_what_a_scope_in_shadow_softened_is_counted_by_class(kind: EffectClass) -> None:
    metrics = a_registry()
    entries = reasons(mode="shadow", would=Effect.DENY, softened=True)
    name = "outrider_softened_total"
    assert value(metrics, name, **{"would": "deny", "class": kind.value}) == 0
    decided(metrics, effect=Effect.ALLOW, effect_class=kind, reason=None, reasons=entries)
    assert value(metrics, name, **{"would": "deny", "class": kind.value}) == 1
    assert total(metrics, "outrider_shadow_total") == 0


def test_each_use_of_an_exception_is_counted_by_its_code() -> None:
    metrics = a_registry()
    metrics.catalogue([], ["EF-04"])
    decided(metrics, effect=Effect.ALLOW, reason=None, reasons=reasons(excepted=True))
    decided(metrics, effect=Effect.DENY, reasons=reasons())
    assert value(metrics, "outrider_policy_exceptions_total", code="EF-04") == 1


def test_codes_nobody_declared_are_other_there_too() -> None:
    metrics = a_registry()
    evil = ReasonEntry(code=EVIL, excepted=True, mode="shadow", would=Effect.HOLD)
    decided(metrics, effect=Effect.ALLOW, reason=None, reasons=(evil,))
    assert value(metrics, "outrider_policy_exceptions_total", code="other") == 1
    assert value(metrics, "outrider_shadow_total", code="other", would="hold") == 1
    metrics.catalogue([], ["EF-04"])
    decided(metrics, effect=Effect.ALLOW, reason=None, reasons=reasons(excepted=True))
    metrics.catalogue([], [])
    assert value(metrics, "outrider_policy_exceptions_total", code="EF-04") is None
