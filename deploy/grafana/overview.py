"""Overview: is the work of the agents decided, and at what cost?"""

from typing import Final

from deploy.grafana.panels import (
    OURS,
    Board,
    Panel,
    Query,
    Section,
    by,
    gauge,
    graph,
    number,
    quantiles,
)

_BAD: Final = f'outrider_exchanges_total{{{OURS}, outcome=~"fault|shed"}}[$__range]'
_LOST: Final = f'outrider_audit_records_total{{{OURS}, result="dropped"}}[$__range]'
_ALL: Final = f"outrider_exchanges_total{{{OURS}}}[$__range]"
_QUICK: Final = f'outrider_proxy_overhead_seconds_bucket{{{OURS}, le="0.025"}}[$__range]'
_TIMED: Final = f"outrider_proxy_overhead_seconds_count{{{OURS}}}[$__range]"
_BURNS: Final = ("OutriderAvailabilityBurnFast", "OutriderAvailabilityBurnSlow")


def _burn(ratio: str, budget: float) -> tuple[Query, ...]:
    return tuple(
        Query(
            expression=f"outrider:{ratio}:ratio_rate{window}{{{OURS}}} / {budget}",
            legend=f"{{{{agent}}}} {window}",
        )
        for window in ("5m", "1h", "6h")
    )


BOARD: Final = Board(
    uid="outrider-overview",
    title="Outrider / Overview",
    about="Rate, errors and cost of governed calls, and the objectives they are held to.",
    sections=(
        Section(
            title="Objectives",
            panels=(
                number(
                    "Availability",
                    "percentunit",
                    "Exchanges that ended neither in a fault nor shed; 99.9 % over 30 days.",
                    f"1 - sum(increase({_BAD})) / sum(increase({_ALL}))",
                    alerts=("OutriderAvailabilityBurnTicket",),
                ),
                number(
                    "Within 25 ms",
                    "percentunit",
                    "Exchanges that cost at most 25 ms of our own; at least 99 % over 30 days.",
                    f"sum(increase({_QUICK})) / sum(increase({_TIMED}))",
                    alerts=("OutriderOverheadBurnTicket",),
                ),
                number(
                    "Records lost",
                    "short",
                    "Audit records dropped in the range; must be 0.",
                    f"sum(increase({_LOST}))",
                    alerts=("OutriderAuditDropping",),
                ),
                number(
                    "Sidecars",
                    "short",
                    "Sidecars that Prometheus has scraped.",
                    f"count({gauge('outrider_build_info')})",
                ),
                number(
                    "Tasks under way",
                    "short",
                    "Tasks of the chosen agents, standing grants aside.",
                    f"sum({gauge('outrider_tasks_active')})",
                ),
                number(
                    "Quarantined",
                    "short",
                    "Agents, tasks, tools and upstreams that are cut off now.",
                    f"sum({gauge('outrider_quarantined')})",
                    alerts=("OutriderQuarantined",),
                ),
                graph(
                    "Availability: times its budget",
                    "short",
                    "1 uses up exactly the month's budget in a month; 14.4 pages.",
                    *_burn("exchanges_bad", 0.001),
                    width=12,
                    alerts=_BURNS,
                ),
                graph(
                    "Overhead: times its budget",
                    "short",
                    "1 uses up exactly the month's budget in a month; 14.4 pages.",
                    *_burn("overhead_slow", 0.01),
                    width=12,
                    alerts=("OutriderOverheadBurnFast", "OutriderOverheadBurnSlow"),
                ),
            ),
        ),
        Section(
            title="Work",
            panels=(
                graph(
                    "Exchanges by outcome",
                    "reqps",
                    "Denied and held are answers, not errors.",
                    Query(
                        expression=by("outcome", "outrider_exchanges_total"), legend="{{outcome}}"
                    ),
                    stacked=True,
                ),
                graph(
                    "Decisions by effect",
                    "ops",
                    "One for each action; an exchange may hold several.",
                    Query(expression=by("effect", "outrider_decisions_total"), legend="{{effect}}"),
                    stacked=True,
                ),
                graph(
                    "Exchanges by protocol",
                    "reqps",
                    "What the agents speak, by direction.",
                    Query(
                        expression=by("direction, protocol", "outrider_exchanges_total"),
                        legend="{{direction}} {{protocol}}",
                    ),
                ),
                graph(
                    "Our own time",
                    "s",
                    "Whole time of an exchange less the upstream's and any wait for people.",
                    *quantiles("outrider_proxy_overhead_seconds"),
                ),
                graph(
                    "Whole time of what passed",
                    "s",
                    "As the agent feels it.",
                    *quantiles("outrider_exchange_duration_seconds", 'outcome="allowed"'),
                ),
                graph(
                    "Tasks by how they ended",
                    "ops",
                    "Completed is the good end.",
                    Query(expression=by("end", "outrider_tasks_total"), legend="{{end}}"),
                ),
            ),
        ),
        Section(
            title="Fleet",
            panels=(
                Panel(
                    kind="table",
                    title="Firing alerts",
                    unit="short",
                    about="Alerts of Outrider that fire now; each has a runbook of its name.",
                    queries=(
                        Query(
                            expression=(
                                "sum by (alertname, severity, namespace, agent) "
                                '(ALERTS{alertname=~"Outrider.*", alertstate="firing"})'
                            )
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    kind="table",
                    title="Releases and revisions",
                    unit="short",
                    about="How many sidecars run which release.",
                    queries=(
                        Query(
                            expression=(
                                "count by (namespace, agent, version) "
                                f"({gauge('outrider_build_info')})"
                            )
                        ),
                    ),
                    width=12,
                    alerts=("OutriderVersionSkew",),
                ),
            ),
        ),
    ),
)
