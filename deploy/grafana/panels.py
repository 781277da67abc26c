"""The few kinds of panel that our dashboards are made of.

Laws: every panel has a title, a unit and a sentence; a query reads the chosen namespaces and agents
alone; nothing names a data source but the variable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks, dashboard as models

OURS: Final = 'namespace=~"$namespace", agent=~"$agent"'
"""The matchers of every query over sidecars."""
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS: Final = "https://outrider.example/runbooks/"
WIDTH: Final = 24

Kind = Literal["graph", "number", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What a panel shows; `alerts` are those whose runbooks it leads to."""

    title: str
    unit: str
    about: str
    queries: tuple[Query, ...]
    kind: Kind = "graph"
    width: int = 8
    height: int = 8
    stacked: bool = False
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    uid: str
    title: str
    about: str
    sections: tuple[Section, ...] = field(default_factory=tuple)
    by_agent: bool = True


def graph(title: str, unit: str, about: str, *queries: Query, **more: object) -> Panel:
    return Panel(title=title, unit=unit, about=about, queries=queries, **more)  # type: ignore[arg-type]


def number(title: str, unit: str, about: str, expression: str, **more: object) -> Panel:
    """One number over the whole range."""
    size = {"width": 4, "height": 4} | more
    return Panel(
        kind="number",
        title=title,
        unit=unit,
        about=about,
        queries=(Query(expression=expression),),
        **size,  # type: ignore[arg-type]
    )


def rate(metric: str, *matchers: str) -> str:
    """The rate of a counter of the chosen agents."""
    return f"rate({metric}{{{', '.join((OURS, *matchers))}}}[$__rate_interval])"


def by(labels: str, metric: str, *matchers: str) -> str:
    """The rate of a counter, summed by `labels`."""
    return f"sum by ({labels}) ({rate(metric, *matchers)})"


def gauge(metric: str, *matchers: str) -> str:
    return f"{metric}{{{', '.join((OURS, *matchers))}}}"


def quantile(share: float, histogram: str, labels: str = "", *matchers: str) -> str:
    """A quantile of a histogram over the chosen agents, by `labels`."""
    group = f"{labels}, le" if labels else "le"
    return f"histogram_quantile({share}, {by(group, f'{histogram}_bucket', *matchers)})"


def quantiles(histogram: str, *matchers: str) -> tuple[Query, Query]:
    """Median and 99th percentile."""
    return (
        Query(expression=quantile(0.5, histogram, "", *matchers), legend="p50"),
        Query(expression=quantile(0.99, histogram, "", *matchers), legend="p99"),
    )


def _target(query: Query, kind: Kind) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).datasource(SOURCE)
    if query.legend:
        target = target.legend_format(query.legend)
    match kind:
        case "graph":
            return target.range()
        case "number":
            return target.instant()
        case "table":
            return target.instant().format("table")  # type: ignore[arg-type]


def _links(panel: Panel) -> Sequence[dashboard.DashboardLink]:
    return [
        dashboard.DashboardLink(f"Runbook {alert}")
        .type(models.DashboardLinkType.LINK)
        .url(f"{RUNBOOKS}{alert}.md")
        .target_blank(True)
        for alert in panel.alerts
    ]


def drawn(panel: Panel, x: int, y: int) -> timeseries.Panel | stat.Panel | table.Panel:
    """The panel as Grafana's library builds it, at its place on the grid."""
    made: timeseries.Panel | stat.Panel | table.Panel
    match panel.kind:
        case "graph":
            made = _lines(panel)
        case "number":
            made = stat.Panel().color_mode(looks.BigValueColorMode.NONE)
        case "table":
            made = table.Panel()
    made = (
        made.title(panel.title)
        .description(panel.about)
        .unit(panel.unit)
        .datasource(SOURCE)
        .links([*_links(panel)])
        .grid_pos(models.GridPos(x=x, y=y, w=panel.width, h=panel.height))
    )
    for query in panel.queries:
        made = made.with_target(_target(query, panel.kind))
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .min(0)
        .fill_opacity(10)
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    )
    if panel.stacked:
        made = made.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    return made
