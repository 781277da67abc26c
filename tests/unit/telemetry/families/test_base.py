"""Declaring: what is declared is exported, and the page has an end."""

import pytest

from outrider.telemetry.families.base import Children, Families, Shape, closed, named
from outrider.telemetry.families.exchanges import LIVE_PROTOCOLS
from outrider.telemetry.metrics import Metrics
from tests.support.metrics import a_registry, ended, lines, total, value


class Letters(Families):
    def _declare(self) -> None:
        super()._declare()
        self.seen = self._tally("letters_total", "Seen", named("letter", "the alphabet"))
        self.times = self._spread(
            "letter_seconds", "Time", (1, 2), named("letter", "a"), closed("case", ("upper",))
        )
        self.fixed = self._tally("cases_total", "Cases", closed("case", ("upper", "lower")))


def overflow(families: Families, label: str) -> float | None:
    return families.registry.get_sample_value("outrider_label_overflow_total", {"label": label})


def test_past_the_limit_a_new_name_is_other_and_counted() -> None:
    letters = Letters(max_series=3)
    for letter in "abcdef":
        letters.seen.labels(letter).inc()
    assert {values[0] for values in letters.seen.known()} == {"a", "b", "c", "other"}
    assert letters.seen.labels("other").count == 3
    assert overflow(letters, "series") == 3


def test_a_histogram_takes_as_many_lines_as_it_shows() -> None:
    letters = Letters(max_series=6)
    letters.times.labels("a", "upper")
    letters.times.labels("b", "upper")
    assert letters.times.known() == [("a", "upper"), ("other", "upper")]


def test_closed_labels_always_have_room() -> None:
    letters = Letters(max_series=0)
    letters.fixed.labels("upper").inc()
    letters.fixed.labels("lower").inc()
    assert letters.fixed.known() == [("upper",), ("lower",)]
    assert overflow(letters, "series") == 0


def test_a_removed_child_makes_room() -> None:
    letters = Letters(max_series=1)
    letters.seen.labels("a")
    letters.seen.remove("a")
    letters.seen.labels("b")
    assert letters.seen.known() == [("b",)]


def test_what_is_declared_is_what_is_exported() -> None:
    metrics = a_registry()
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
        if family.name.startswith("outrider_")
    }
    assert [each.name for each in metrics.declared] == sorted(
        {each.name for each in metrics.declared}, key=[e.name for e in metrics.declared].index
    )
    assert {each.name for each in metrics.declared} == exported


@pytest.mark.parametrize("declared", a_registry().declared, ids=lambda each: each.name)
def test_every_label_is_closed_or_says_where_its_names_come_from(declared: object) -> None:
    for axis in declared.axes:  # type: ignore[attr-defined]
        assert bool(axis.values) != bool(axis.origin), axis.name


# --- what can occur ---------------------------------------------------------------------------


BARE = Shape(
    ingress=False,
    protocols=frozenset(),
    tokens=frozenset(),
    source=False,
    workload_api=False,
    jwt_fetches=False,
    tunnels=False,
    engines=frozenset(),
    shared=False,
)


def test_what_cannot_occur_has_no_series_until_it_does() -> None:
    bare, whole = Metrics(upstreams=[], shape=BARE), Metrics(upstreams=[])
    assert lines(bare) < lines(whole) - 350
    tokens = "outrider_identity_tokens_total"
    assert value(bare, tokens, kind="oidc", result="ok") is None
    bare.token("oidc", "ok")
    assert value(bare, tokens, kind="oidc", result="ok") == 1
    assert value(bare, tokens, kind="oidc", result="expired") is None


def test_everything_can_still_be_counted_where_nothing_was_foreseen() -> None:
    bare = Metrics(upstreams=[], shape=BARE)
    for protocol in LIVE_PROTOCOLS:
        for direction in ("egress", "ingress"):
            ended(bare, protocol=protocol, direction=direction)
    bare.edge_refused("ingress", "tls")
    bare.decision_phase("opa", "wait", 0.1)
    bare.jwt_fetched("denied", 0.1)
    bare.quarantine_propagated(0.1)
    bare.upstream_connected("x", tls=False, took_s=0.1)
    bare.handshake("server", "ok")
    for name in (
        "exchanges_total", "edge_refusals_total", "decision_phase_seconds_count",
        "identity_jwt_fetch_seconds_count", "quarantine_propagation_seconds_count",
        "upstream_connect_duration_seconds_count", "identity_handshakes_total",
    ):  # fmt: skip
        assert total(bare, f"outrider_{name}") >= 1, name
    assert total(bare, "outrider_label_overflow_total") == 0


def test_children_that_are_none_are_refused() -> None:
    letters = Letters()
    children = Children(letters.seen, [("a",), ("b",)], [("a",)])
    assert list(children) == [("a",)]
    children["b",].inc()
    with pytest.raises(KeyError):
        children["c",]
    assert {values[0] for values in letters.seen.known()} == {"a", "b"}
