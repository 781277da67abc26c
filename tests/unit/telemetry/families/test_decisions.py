"""Every decision is counted by what it was; only pairs that can occur have a series."""

import re
from itertools import product

import pytest
from prometheus_client.exposition import generate_latest

from outrider.core.vocabulary import Effect, EffectClass, Reason
from tests.support.metrics import a_registry, decided, value


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
