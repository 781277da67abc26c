"""The bars of identity and how a run is read against them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Item(StrEnum):
    """What is measured. The values are the ones of `build/bench-identity.json`."""

    REVALIDATION = "revalidation of a live peer"
    REQUEST = "a request over mTLS and revalidated, beyond plain"
    REQUEST_OWN = "of that request, beyond Python's own TLS"
    HANDSHAKE_SERVER = "mTLS handshake with a stranger, server's side"
    HANDSHAKE_CLIENT = "mTLS handshake with a stranger, client's side"
    CONNECTION = "connection of a caller that comes again, beyond plain"
    CONNECTION_OWN = "of that connection, beyond Python's own TLS"
    ROTATION_RSS = "resident memory gained by the rotations"
    ROTATION_FDS = "descriptors gained by the rotations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `limit` of `unit`; None: shown, and no bar."""

    unit: str
    limit: float | None


RULES = {
    Item.REVALIDATION: Rule(unit="µs", limit=1.0),
    Item.REQUEST: Rule(unit="µs CPU", limit=12.0),
    Item.REQUEST_OWN: Rule(unit="µs CPU", limit=None),
    Item.HANDSHAKE_SERVER: Rule(unit="ms CPU", limit=2.0),
    Item.HANDSHAKE_CLIENT: Rule(unit="ms CPU", limit=2.0),
    Item.CONNECTION: Rule(unit="ms CPU", limit=2.0),
    Item.CONNECTION_OWN: Rule(unit="ms CPU", limit=None),
    # what an allocator moves by; a leak of 100 bytes a rotation would show
    Item.ROTATION_RSS: Rule(unit="KiB", limit=1024.0),
    Item.ROTATION_FDS: Rule(unit="", limit=0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The median of an item's rounds, their extremes, and what it was made from, in words."""

    item: Item
    value: float
    low: float
    high: float
    basis: str

    @property
    def limit(self) -> float | None:
        return RULES[self.item].limit

    @property
    def is_met(self) -> bool:
        """At the limit counts as met, and so does what has none."""
        return self.limit is None or self.value <= self.limit


def figure_of(item: Item, rounds: Iterable[float], basis: str) -> Figure:
    """Raises `StatisticsError` when there is no round."""
    found = list(rounds)
    return Figure(item=item, value=median(found), low=min(found), high=max(found), basis=basis)


def missing(figures: Iterable[Figure]) -> list[Item]:
    """The bars that were not measured: under `--gate` they count as missed."""
    seen = {figure.item for figure in figures}
    return [item for item in Item if RULES[item].limit is not None and item not in seen]


def row_of(figure: Figure) -> dict[str, object]:
    """One row of `build/bench-identity.json`; the names are a promise, add but never repurpose."""
    return {
        "item": figure.item.value,
        "value": round(figure.value, 3),
        "unit": RULES[figure.item].unit,
        "limit": figure.limit,
        "met": figure.is_met,
        "basis": figure.basis,
    }
