"""How a metric is declared: its help, its labels and the values that each may take.

To add a metric: declare it in the `_declare` of its area, bind the children that can occur, write
a method named for the event that moves it. To add an area: a class like the others here, named
among the bases of `telemetry.metrics.Metrics`. Then `make metric-pages` writes the list, the page
and the dump again; the tests hold all three equal.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics

from outrider.core.vocabulary import ProtocolName
from outrider.telemetry.guard import OTHER, LabelGuard, SeriesBudget
from outrider.telemetry.tally import (
    Child,
    Family,
    Level,
    LevelFamily,
    SpreadFamily,
    Tally,
    TallyFamily,
)

PREFIX: Final = "outrider_"
FAST: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
REQUEST: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
LAG: Final = (0.1, 0.5, 1, 2, 5, 15, 60, 300)
WEBHOOK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
QUERY: Final = (512, 1024, 2048, 4096, 6144, 8192, 16384, 32768)
RESOURCES: Final = 200
CODES: Final = 100
UPSTREAMS: Final = 64
"""Names that are told apart, of each kind; further ones are `other`."""
MAX_SERIES: Final = 5000
OVERFLOWS: Final = ("resource", "code", "upstream", "identity", "edge", "series")
"""`label` of `label_overflow_total`: whose value was folded. `identity` and `edge` stand for a
value that is none of their enums, `series` for a page that is full."""

Bounded = TypeVar("Bounded", TallyFamily, LevelFamily, SpreadFamily)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One label: the values it may take, or where its values come from."""

    name: str
    values: tuple[str, ...] = ()
    origin: str = ""


def closed(name: str, values: Iterable[str]) -> Axis:
    """A label with these values and no others."""
    return Axis(name=name, values=tuple(str(value) for value in values))


def named(name: str, origin: str) -> Axis:
    """A label whose values are names of ours: from the settings or the active bundle, as `origin`
    says. The family's methods let no other through."""
    return Axis(name=name, origin=origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What can occur in this process, so that its series exist at zero; whatever is left out has
    its series from its first event on. Without a word everything can.

    `protocols` are those of the routes; `tls` whether upstreams are spoken to over it; `tokens` the
    kinds of bearer that are taken; `source` whether there is a source of an identity, and
    `workload_api` whether it is that, `jwt_fetches` whether tokens are asked of it; `tunnels`
    whether connections may pass unread or captured; `engines` that may be asked; `shared` whether
    the store is.
    """

    ingress: bool = True
    protocols: frozenset[ProtocolName] = field(default_factory=lambda: frozenset(ProtocolName))
    tls: frozenset[str] = frozenset({"true", "false"})
    tokens: frozenset[str] = frozenset({"jwt_svid", "oidc"})
    source: bool = True
    workload_api: bool = True
    jwt_fetches: bool = True
    tunnels: bool = True
    engines: frozenset[str] = frozenset({"opa", "embedded"})
    shared: bool = True


class Forgets(Protocol):
    """A family that can be told which names are gone."""

    def forget(self, names: Collection[str]) -> None: ...


class Children(dict[tuple[str, ...], Child], Generic[Child]):
    """The children of closed labels: `bound` ones exist at once, others that are `allowed` from
    their first event on. Raises `KeyError` for values that are none."""

    def __init__(
        self,
        family: Family[Child],
        allowed: Iterable[tuple[str, ...]],
        bound: Iterable[tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__()
        self._family: Family[Child] = family
        self._allowed = frozenset(allowed)
        for values in self._allowed if bound is None else bound:
            self.__missing__(values)

    def __missing__(self, values: tuple[str, ...]) -> Child:
        if values not in self._allowed:
            raise KeyError(values)
        plain = tuple([str(value) for value in values])
        child: Child = self._family.labels(*plain)
        self[plain] = child
        return child


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One metric as readers of the page know it."""

    name: str
    kind: str
    text: str
    axes: tuple[Axis, ...]
    buckets: tuple[float, ...] = ()


disable_created_metrics()  # type: ignore[no-untyped-call]


class Families:
    """The registry, and the ways to declare. One instance a process, with the areas it is made of.

    Which way: `_tally`, `_level`, `_spread` are moved by the event loop alone; `_counter` is for
    what other threads count too. Setting a level is safe from any thread.
    """

    def __init__(
        self,
        *,
        upstreams: Iterable[str] = (),
        max_series: int = MAX_SERIES,
        shape: Shape | None = None,
    ) -> None:
        self._shape = shape or Shape()
        self.registry = CollectorRegistry(auto_describe=False)
        self.declared: list[Declared] = []
        self._upstreams = frozenset(sorted(upstreams)[:UPSTREAMS])
        self._by_upstream: list[Forgets] = []
        overflow = self._counter(
            "label_overflow_total", "Label values folded into other", closed("label", OVERFLOWS)
        )
        self._overflows = {label: overflow.labels(label) for label in OVERFLOWS}
        self._series = SeriesBudget(max_series, self._overflows["series"].inc)
        self._resources = LabelGuard(RESOURCES, self._overflows["resource"].inc)
        self._codes = LabelGuard(CODES, self._overflows["code"].inc)
        self._declare()

    def _declare(self) -> None:
        """Areas declare what is theirs here, after calling the next one's."""

    # --- ways to declare ----------------------------------------------------------------

    def _counter(self, name: str, text: str, *axes: Axis) -> Counter:
        """A counter that any thread may move."""
        self._declares(name, "counter", text, axes)
        return Counter(PREFIX + name, text, _names(axes), registry=self.registry)

    def _tally(self, name: str, text: str, *axes: Axis) -> TallyFamily:
        """A counter that the event loop moves."""
        self._declares(name, "counter", text, axes)
        return self._bounded(
            TallyFamily(PREFIX + name, text, _names(axes), registry=self.registry), axes
        )

    def _level(self, name: str, text: str, *axes: Axis) -> LevelFamily:
        """A gauge."""
        self._declares(name, "gauge", text, axes)
        return self._bounded(
            LevelFamily(PREFIX + name, text, _names(axes), registry=self.registry), axes
        )

    def _spread(self, name: str, text: str, bounds: tuple[float, ...], *axes: Axis) -> SpreadFamily:
        """A histogram that the event loop moves."""
        self._declares(name, "histogram", text, axes, bounds)
        family = SpreadFamily(
            PREFIX + name, text, _names(axes), bounds=bounds, registry=self.registry
        )
        return self._bounded(family, axes)

    def _closed(
        self,
        name: str,
        text: str,
        axes: tuple[Axis, ...],
        values: Iterable[tuple[str, ...]],
        bound: Iterable[tuple[str, ...]] | None = None,
    ) -> Children[Tally]:
        """The children of a counter that has these and no others; all `bound` unless some are
        named."""
        return Children(self._tally(name, text, *axes), values, bound)

    def _one(self, name: str, text: str) -> Level:
        """A gauge without labels."""
        return self._level(name, text).labels()

    # --- what areas use -----------------------------------------------------------------

    def _move(self, children: Children[Tally], *values: str, label: str = "identity") -> None:
        """Count; what is none of the closed values counts as overflow of `label`, and stops
        nothing."""
        try:
            child = children[values]
        except KeyError:
            self._overflows[label].inc()
        else:
            child.inc()

    def _upstream(self, name: str) -> str:
        if name in self._upstreams:
            return name
        self._overflows["upstream"].inc()
        return OTHER

    # --- bounds -------------------------------------------------------------------------

    def _declares(
        self,
        name: str,
        kind: str,
        text: str,
        axes: tuple[Axis, ...],
        buckets: tuple[float, ...] = (),
    ) -> None:
        self.declared.append(
            Declared(name=PREFIX + name, kind=kind, text=text, axes=axes, buckets=buckets)
        )

    def _bounded(self, family: Bounded, axes: tuple[Axis, ...]) -> Bounded:
        family.room = self._series.room([not axis.values for axis in axes], family.lines)
        if axes and axes[0].name == "upstream":
            self._by_upstream.append(family)
        return family


def _names(axes: Iterable[Axis]) -> list[str]:
    return [axis.name for axis in axes]
