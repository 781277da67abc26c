"""What an agent names never becomes a label unless the active bundle knows it."""

import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from outrider.telemetry.guard import OTHER, LabelGuard

HOSTILE = (
    "a\nb",
    "a\x00b",
    "\u202egnp.exe",
    "a\u2028b",
    "\ud800",
    "",
    "x" * 65,
    "é" * 33,
    "x" * (8 << 20),
)


class Counted:
    def __init__(self, limit: int = 3) -> None:
        self.overflows = 0
        self.guard = LabelGuard(limit, self._overflow)

    def _overflow(self) -> None:
        self.overflows += 1


def test_knows_nothing_at_first() -> None:
    counted = Counted()
    assert counted.guard.clean("crm/send") == OTHER
    assert counted.overflows == 1


def test_a_known_name_passes_and_is_not_counted() -> None:
    counted = Counted()
    counted.guard.replace(["crm/send"])
    assert counted.guard.clean("crm/send") == "crm/send"
    assert counted.guard.clean(OTHER) == OTHER
    assert counted.overflows == 0


@pytest.mark.parametrize("name", ["crm/send ", "CRM/send", "crm/sen", "crm/send\n"])
def test_a_near_miss_of_a_known_name_is_other(name: str) -> None:
    counted = Counted()
    counted.guard.replace(["crm/send"])
    assert counted.guard.clean(name) == OTHER
    assert counted.overflows == 1


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: f"{len(name)}-{ascii(name)[:24]}")
def test_a_hostile_name_is_no_label_even_if_the_bundle_names_it(name: str) -> None:
    counted = Counted()
    counted.guard.replace([name, "good"])
    assert counted.guard.clean("good") == "good"
    if name:
        assert counted.guard.clean(name) == OTHER


def test_sixty_four_bytes_pass_and_one_more_does_not() -> None:
    counted = Counted()
    counted.guard.replace(["x" * 64, "y" * 65])
    assert counted.guard.clean("x" * 64) == "x" * 64
    assert counted.guard.clean("y" * 65) == OTHER


def test_only_the_first_names_fit() -> None:
    counted = Counted(limit=2)
    counted.guard.replace(["c", "a", "b"])
    assert [counted.guard.clean(name) for name in ("a", "b", "c")] == ["a", "b", OTHER]


def test_names_dropped_by_a_new_bundle_are_told() -> None:
    counted = Counted()
    assert counted.guard.replace(["a", "b"]) == frozenset()
    assert counted.guard.replace(["b", "c"]) == {"a"}
    assert counted.guard.clean("a") == OTHER


@given(st.lists(st.text(), max_size=30), st.lists(st.text(), max_size=30))
def test_whatever_is_named_the_page_stays_readable(known: list[str], asked: list[str]) -> None:
    registry = CollectorRegistry()
    counter = Counter("outrider_x", "X", ["resource"], registry=registry)
    counted = Counted(limit=10)
    counted.guard.replace(known)
    for name in (*known, *asked):
        counter.labels(counted.guard.clean(name)).inc()

    classic = generate_latest(registry).decode()
    modern = open_metrics(registry).decode()  # type: ignore[no-untyped-call]

    assert len(classic.splitlines()) <= 2 + 2 * 11
    assert len(list(parse_classic(classic))) >= 1
    assert len(list(parse_open(modern))) >= 1  # type: ignore[no-untyped-call]


def test_a_hundred_thousand_names_are_one_label() -> None:
    counted = Counted()
    counted.guard.replace(["good"])
    assert {counted.guard.clean(f"tool-{number}") for number in range(100_000)} == {OTHER}
    assert counted.overflows == 100_000
