"""What a run is made of, and the arithmetic on it: medians, ratios, bars.

Pure: no process, file or clock is touched here, so the sums can be tested by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Leg(StrEnum):
    """One way from the client to the upstream. The values are the ones of `build/bench.json`."""

    DIRECT = "direct"
    FIXED_ALLOW = "fixed-allow"
    EMBEDDED = "embedded"
    OPA = "opa"
    ENVOY = "envoy"
    ENVOY_OPA = "envoy-opa"


class Case(StrEnum):
    """One kind of call. The values are the ones of `build/bench.json`."""

    MCP_READ = "mcp-read"
    MCP_WRITE = "mcp-write"
    HTTP = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure's place in the table: a leg, a case and a number of connections."""

    leg: Leg
    case: Case
    connections: int
    paced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round of one cell.

    CPU is user and system time of the leg's own processes, in µs per completed exchange; the
    client's and the upstream's are not in it. `rss_mib` is their resident memory at the end of the
    round.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    proxy_us: float
    engine_us: float
    rss_mib: float

    @property
    def cpu_us(self) -> float:
        """All own processes of the leg together."""
        return self.proxy_us + self.engine_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The medians of one cell's rounds, and how far its CPU moved between them."""

    cell: Cell
    rounds: int
    rps: float
    p50_ms: float
    p99_ms: float
    proxy_us: float
    engine_us: float
    cpu_us: float
    cpu_low_us: float
    cpu_high_us: float
    rss_mib: float


class Bar(StrEnum):
    """The promises of PEERS §7 that this harness can check."""

    PASS_THROUGH_CPU = "fixed-allow / envoy, CPU"
    EMBEDDED_CPU = "embedded / envoy-opa, CPU"
    OPA_CPU = "opa / envoy-opa, CPU"
    EMBEDDED_P50 = "embedded / envoy-opa, p50"
    OPA_P50 = "opa / envoy-opa, p50"
    EMBEDDED_P99 = "embedded / envoy-opa, p99"
    OPA_P99 = "opa / envoy-opa, p99"
    EMBEDDED_RSS = "embedded, RSS MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one bar is read: this field of this leg, against that leg's (None: as it stands)."""

    leg: Leg
    against: Leg | None
    field: str
    limit: float
    gates: bool


RULES: Mapping[Bar, Rule] = {
    Bar.PASS_THROUGH_CPU: Rule(
        leg=Leg.FIXED_ALLOW, against=Leg.ENVOY, field="cpu_us", limit=1.6, gates=True
    ),
    Bar.EMBEDDED_CPU: Rule(
        leg=Leg.EMBEDDED, against=Leg.ENVOY_OPA, field="cpu_us", limit=0.5, gates=True
    ),
    Bar.OPA_CPU: Rule(leg=Leg.OPA, against=Leg.ENVOY_OPA, field="cpu_us", limit=0.8, gates=True),
    Bar.EMBEDDED_P50: Rule(
        leg=Leg.EMBEDDED, against=Leg.ENVOY_OPA, field="p50_ms", limit=1.0, gates=True
    ),
    Bar.OPA_P50: Rule(leg=Leg.OPA, against=Leg.ENVOY_OPA, field="p50_ms", limit=1.0, gates=True),
    Bar.EMBEDDED_P99: Rule(
        leg=Leg.EMBEDDED, against=Leg.ENVOY_OPA, field="p99_ms", limit=1.0, gates=False
    ),
    Bar.OPA_P99: Rule(leg=Leg.OPA, against=Leg.ENVOY_OPA, field="p99_ms", limit=1.0, gates=False),
    Bar.EMBEDDED_RSS: Rule(
        leg=Leg.EMBEDDED, against=None, field="rss_mib", limit=110.0, gates=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One bar at one case and number of connections."""

    bar: Bar
    case: Case
    connections: int
    paced: bool
    value: float
    limit: float
    gates: bool

    @property
    def is_met(self) -> bool:
        """At the limit counts as met."""
        return self.value <= self.limit


def figure_of(cell: Cell, samples: Iterable[Sample]) -> Figure:
    """Take each field's median by itself; raises `StatisticsError` when there is no sample."""
    rounds = list(samples)
    cpus = [sample.cpu_us for sample in rounds]
    return Figure(
        cell=cell,
        rounds=len(rounds),
        rps=median(sample.rps for sample in rounds),
        p50_ms=median(sample.p50_ms for sample in rounds),
        p99_ms=median(sample.p99_ms for sample in rounds),
        proxy_us=median(sample.proxy_us for sample in rounds),
        engine_us=median(sample.engine_us for sample in rounds),
        cpu_us=median(cpus),
        cpu_low_us=min(cpus),
        cpu_high_us=max(cpus),
        rss_mib=median(sample.rss_mib for sample in rounds),
    )


def ratios_of(figures: Mapping[Cell, Figure]) -> list[Ratio]:
    """Every bar at every cell where both of its sides were measured, in the bars' order."""
    found: list[Ratio] = []
    for bar, rule in RULES.items():
        for cell, figure in figures.items():
            if cell.leg is not rule.leg:
                continue
            base = 1.0
            if rule.against is not None:
                other = figures.get(
                    Cell(
                        leg=rule.against,
                        case=cell.case,
                        connections=cell.connections,
                        paced=cell.paced,
                    )
                )
                if other is None:
                    continue
                base = float(getattr(other, rule.field))
            if base <= 0:
                continue
            found.append(
                Ratio(
                    bar=bar,
                    case=cell.case,
                    connections=cell.connections,
                    paced=cell.paced,
                    value=float(getattr(figure, rule.field)) / base,
                    limit=rule.limit,
                    gates=rule.gates,
                )
            )
    return found


def unread_bars(ratios: Iterable[Ratio]) -> list[Bar]:
    """The gating bars of which no cell was measured: under `--gate` they count as missed."""
    seen = {ratio.bar for ratio in ratios}
    return [bar for bar, rule in RULES.items() if rule.gates and bar not in seen]


def row_of(figure: Figure) -> dict[str, object]:
    """One row of `build/bench.json`; the names are a promise, add but never repurpose."""
    return {
        "leg": figure.cell.leg.value,
        "case": figure.cell.case.value,
        "c": figure.cell.connections,
        "rps": round(figure.rps, 1),
        "p50_ms": round(figure.p50_ms, 3),
        "p99_ms": round(figure.p99_ms, 3),
        "cpu_us": round(figure.cpu_us, 1),
        "rss_mib": round(figure.rss_mib, 1),
    }
