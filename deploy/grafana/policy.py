"""Policy: what was decided, by which rules, under which revision, and how long that took."""

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
    quantile,
    quantiles,
)

BOARD: Final = Board(
    uid="outrider-policy",
    title="Outrider / Policy",
    about="Effects by resource and reason, what shadow would have done, revisions, engine time.",
    sections=(
        Section(
            title="Decisions",
            panels=(
                graph(
                    "Denials by reason",
                    "ops",
                    "The proxy's own closed reasons; `policy` means that a rule said so.",
                    Query(
                        expression=by("reason", "outrider_decisions_total", 'effect="deny"')
                        + " > 0",
                        legend="{{reason}}",
                    ),
                    alerts=("OutriderDenyRateAnomaly",),
                ),
                graph(
                    "Rules that denied or held",
                    "ops",
                    "The ten codes of the bundle that policy gave most.",
                    Query(
                        expression="topk(10, "
                        + by("code, effect", "outrider_policy_reasons_total", 'effect!="allow"')
                        + ")",
                        legend="{{code}} {{effect}}",
                    ),
                ),
                graph(
                    "Effects by resource",
                    "ops",
                    "The fifteen busiest tools and operations of the manifest.",
                    Query(
                        expression="topk(15, "
                        + by("resource, effect", "outrider_resource_decisions_total")
                        + ")",
                        legend="{{resource}} {{effect}}",
                    ),
                ),
                graph(
                    "Decisions by class",
                    "ops",
                    "What was asked for: reading, writing, executing.",
                    Query(
                        expression=by("class, effect", "outrider_decisions_total") + " > 0",
                        legend="{{class}} {{effect}}",
                    ),
                ),
                graph(
                    "Gaps in policy",
                    "ops",
                    "Undefined or malformed results: refused, though nobody decided so.",
                    Query(
                        expression=by(
                            "reason",
                            "outrider_decisions_total",
                            'reason=~"policy_undefined|policy_malformed"',
                        ),
                        legend="{{reason}}",
                    ),
                    alerts=("OutriderPolicyUndefined",),
                ),
                graph(
                    "List entries hidden",
                    "ops",
                    "Tools that the agent does not even see.",
                    Query(
                        expression=by("protocol", "outrider_list_entries_hidden_total"),
                        legend="{{protocol}}",
                    ),
                ),
            ),
        ),
        Section(
            title="Shadow and exceptions",
            panels=(
                graph(
                    "What shadow controls would have done",
                    "ops",
                    "Controls that are watched, not enforced.",
                    Query(
                        expression=by("code, would", "outrider_shadow_total"),
                        legend="{{code}} {{would}}",
                    ),
                ),
                graph(
                    "Softened",
                    "ops",
                    "Decisions that data.outrider.shadow let pass.",
                    Query(
                        expression=by("would, class", "outrider_softened_total"),
                        legend="{{would}} {{class}}",
                    ),
                    alerts=("OutriderSoftenedInProduction",),
                ),
                graph(
                    "Exceptions used",
                    "ops",
                    "Uses of exceptions that policy grants by name.",
                    Query(
                        expression=by("code", "outrider_policy_exceptions_total"),
                        legend="{{code}}",
                    ),
                ),
            ),
        ),
        Section(
            title="Revisions",
            panels=(
                Panel(
                    kind="table",
                    title="Revisions in force",
                    unit="short",
                    about="How many sidecars decide by which revision.",
                    queries=(
                        Query(
                            expression=(
                                "count by (namespace, bundle, revision) "
                                f"({gauge('outrider_policy_revision_info')})"
                            )
                        ),
                    ),
                    width=12,
                    alerts=("OutriderRevisionSkew",),
                ),
                graph(
                    "Since the bundle was confirmed",
                    "s",
                    "Past policy.max_staleness_s everything is refused.",
                    Query(
                        expression=(
                            "time() - max by (namespace, agent) "
                            f"({gauge('outrider_policy_bundle_confirmed_timestamp_seconds')})"
                        ),
                        legend="{{namespace}}/{{agent}}",
                    ),
                    width=6,
                    alerts=("OutriderBundleStale",),
                ),
                graph(
                    "Bundles refused",
                    "short",
                    "By the stage at which; the last good one stays in force.",
                    Query(
                        expression=(
                            "sum by (stage) (increase("
                            f"outrider_policy_bundle_failures_total{{{OURS}}}[$__rate_interval]))"
                        ),
                        legend="{{stage}}",
                    ),
                    width=6,
                    alerts=("OutriderBundleFailing",),
                ),
            ),
        ),
        Section(
            title="Engine",
            panels=(
                graph(
                    "Time to a decision",
                    "s",
                    "By engine; the embedded one spends loop time.",
                    Query(
                        expression=quantile(0.5, "outrider_decision_duration_seconds", "engine"),
                        legend="{{engine}} p50",
                    ),
                    Query(
                        expression=quantile(0.99, "outrider_decision_duration_seconds", "engine"),
                        legend="{{engine}} p99",
                    ),
                ),
                graph(
                    "Where that time goes",
                    "s",
                    "99th percentile of each phase, one decision in sixteen.",
                    Query(
                        expression=quantile(
                            0.99, "outrider_decision_phase_seconds", "engine, phase"
                        ),
                        legend="{{engine}} {{phase}}",
                    ),
                ),
                graph(
                    "Size of the question",
                    "bytes",
                    "Larger questions take longer; past policy.query_bytes they are refused.",
                    *quantiles("outrider_query_bytes"),
                ),
                graph(
                    "Engine up",
                    "short",
                    "0 while the engine does not answer: every call is refused.",
                    Query(
                        expression=f"min by (agent, engine) ({gauge('outrider_engine_up')})",
                        legend="{{agent}} {{engine}}",
                    ),
                    alerts=("OutriderPolicyEngineDown",),
                ),
                graph(
                    "Verdicts on list entries",
                    "ops",
                    "A hit was judged before under the same revision.",
                    Query(expression=by("memo", "outrider_list_verdicts_total"), legend="{{memo}}"),
                ),
                Panel(
                    kind="table",
                    title="OPA as a child",
                    unit="bytes",
                    about="Its version and the memory it is held to.",
                    queries=(
                        Query(
                            expression=(
                                f"{gauge('outrider_engine_child_memory_limit_bytes')} "
                                "* on (namespace, pod) group_left (version, gogc) "
                                f"{gauge('outrider_engine_child_info')}"
                            )
                        ),
                    ),
                ),
            ),
        ),
    ),
)
