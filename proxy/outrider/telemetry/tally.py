"""Counters, gauges and histograms of the straight path: moved by the event loop, read by the
scraper.

`prometheus_client`'s own take a lock and check more than need be here: measured on an exchange,
an observation of theirs costs three times one of these, and there are a dozen. What is shown is
the same (the tests hold them side by side).

Law: one thread moves them. Another may read: it copies in one step, under the interpreter's lock.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from itertools import accumulate
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from outrider.telemetry.guard import Room

Child = TypeVar("Child", "Tally", "Level", "Spread")


class Tally:
    """One number that is counted up."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: float = 0

    def inc(self, amount: float = 1) -> None:
        self.count += amount


class Level(Tally):
    """One number that is counted up and down, or set. Setting it is safe from any thread."""

    __slots__ = ()

    def set(self, value: float) -> None:
        self.count = value


class Spread:
    """One histogram. `bounds` are upper ones, in order; above the last everything else counts.

    Of each bucket the last observation that came with a sampled trace is kept as its exemplar.
    """

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, amount: float) -> None:
        self.counts[bisect_left(self.bounds, amount)] += 1
        self.total += amount

    def observe_traced(self, amount: float, trace_id: str, unix_s: float) -> None:
        """As `observe`; the bucket's exemplar links to this trace."""
        at = bisect_left(self.bounds, amount)
        self.counts[at] += 1
        self.total += amount
        self.exemplars[at] = Exemplar({"trace_id": trace_id}, amount, unix_s)


class Family(Collector, Generic[Child]):
    """The children of one metric, by the values of its labels; `make` gives a new one."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Iterable[str],
        *,
        make: Callable[[], Child],
        registry: CollectorRegistry,
    ) -> None:
        self._make: Callable[[], Child] = make
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._children: dict[tuple[str, ...], Child] = {}
        self.lines = 1
        self.room: Room | None = None
        registry.register(self)

    def labels(self, *values: str) -> Child:
        """The child of these values, made at the first call; `other`'s where the page is full."""
        return self._children.get(values) or self._made(values)

    def _made(self, values: tuple[str, ...]) -> Child:
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has {len(self._labels)} labels")
        if self.room is not None:
            values = self.room.fold(values)
        found = self._children.get(values)
        if found is None:
            found = self._children[values] = self._make()
            if self.room is not None:
                self.room.taken()
        return found

    def known(self) -> list[tuple[str, ...]]:
        """The labels of every child there is."""
        return list(self._children)

    def remove(self, *values: str) -> None:
        """Raises `KeyError` where there is no such child."""
        del self._children[values]
        if self.room is not None:
            self.room.given_back()

    def forget(self, names: Collection[str]) -> None:
        """Without the children whose first label is one of these."""
        for values in self.known():
            if values[0] in names:
                self.remove(*values)

    def clear(self) -> None:
        """Without a child, as at first."""
        for values in self.known():
            self.remove(*values)


class TallyFamily(Family[Tally]):
    """A counter."""

    def __init__(
        self, name: str, text: str, labels: Iterable[str], *, registry: CollectorRegistry
    ) -> None:
        super().__init__(name, text, labels, make=Tally, registry=registry)

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in list(self._children.items()):
            family.add_metric(values, float(child.count))
        yield family


class LevelFamily(Family[Level]):
    """A gauge."""

    def __init__(
        self, name: str, text: str, labels: Iterable[str], *, registry: CollectorRegistry
    ) -> None:
        super().__init__(name, text, labels, make=Level, registry=registry)

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in list(self._children.items()):
            family.add_metric(values, float(child.count))
        yield family


class SpreadFamily(Family[Spread]):
    """A histogram."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Iterable[str],
        *,
        bounds: tuple[float, ...],
        registry: CollectorRegistry,
    ) -> None:
        super().__init__(name, text, labels, make=lambda: Spread(bounds), registry=registry)
        self.lines = len(bounds) + 3
        self._names: Final = [_name(bound) for bound in (*bounds, float("inf"))]

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in list(self._children.items()):
            reached = map(float, accumulate(list(child.counts)))
            exemplars = dict(child.exemplars)
            buckets = [
                [name, count, exemplars.get(at)]
                for at, (name, count) in enumerate(zip(self._names, reached, strict=True))
            ]
            family.add_metric(values, buckets, child.total)  # type: ignore[arg-type]
        yield family


def _name(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
