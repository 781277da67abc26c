"""Injector: are pods judged, quickly and by a certificate that holds, and does any go without?"""

from typing import Final

from deploy.grafana.panels import Board, Panel, Query, Section, graph, number

_JOB: Final = 'job="outrider-injector"'
_ASKED: Final = 'kube_namespace_labels{label_outrider_dev_inject="enabled"}'

_NOT_AFTER: Final = "outrider_injector_certificate_not_after_timestamp_seconds"
_OURS: Final = 'kube_pod_init_container_info{container="outrider"}'

BOARD: Final = Board(
    uid="outrider-injector",
    title="Outrider / Injector",
    about="Admission of pods, its certificates, and pods without a sidecar.",
    by_agent=False,
    sections=(
        Section(
            title="Admission",
            panels=(
                number(
                    "Replicas up",
                    "short",
                    "Injectors that answer Prometheus.",
                    f"sum(up{{{_JOB}}})",
                    alerts=("OutriderInjectorDown",),
                ),
                number(
                    "Certificate left",
                    "s",
                    "Of the replica whose certificate ends first.",
                    f"min({_NOT_AFTER}{{{_JOB}}}) - time()",
                    alerts=("OutriderInjectorCertificateExpiring",),
                ),
                number(
                    "CA bundle in sync",
                    "short",
                    "0: the API server cannot trust the injector (mode self alone).",
                    f"min(outrider_injector_ca_bundle_in_sync{{{_JOB}}})",
                    alerts=("OutriderInjectorCaBundleMismatch",),
                ),
                number(
                    "Governed namespaces",
                    "short",
                    "Namespaces whose label asks for sidecars.",
                    f"count({_ASKED})",
                ),
                number(
                    "Injected pods",
                    "short",
                    "Pods with our sidecar, by kube-state-metrics.",
                    f"count({_OURS})",
                ),
                number(
                    "Pods without sidecar",
                    "short",
                    "Pods in governed namespaces that have none; must be 0.",
                    'count(kube_pod_status_phase{phase="Running", namespace=~"$namespace"} == 1 '
                    f"and on (namespace) {_ASKED} "
                    f"unless on (namespace, pod) {_OURS}) "
                    "or vector(0)",
                    alerts=("OutriderPodsWithoutSidecar",),
                ),
                graph(
                    "Verdicts",
                    "ops",
                    "Reviews of pods by what came of them.",
                    Query(
                        expression=(
                            "sum by (verdict) "
                            f"(rate(outrider_injector_admissions_total{{{_JOB}}}[$__rate_interval]))"
                        ),
                        legend="{{verdict}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Denied and failed, by reason",
                    "ops",
                    "Each denial names the field at fault to whoever asked.",
                    Query(
                        expression=(
                            "sum by (verdict, reason) (rate(outrider_injector_admissions_total"
                            f'{{{_JOB}, verdict=~"denied|error"}}[$__rate_interval])) > 0'
                        ),
                        legend="{{verdict}} {{reason}}",
                    ),
                    alerts=("OutriderInjectorErrors",),
                ),
                graph(
                    "Time to a verdict",
                    "s",
                    "At most 5 ms at the 99th percentile.",
                    *(
                        Query(
                            expression=(
                                f"histogram_quantile({share}, sum by (le) (rate("
                                f"outrider_injector_admission_duration_seconds_bucket{{{_JOB}}}"
                                "[$__rate_interval])))"
                            ),
                            legend=name,
                        )
                        for share, name in ((0.5, "p50"), (0.99, "p99"))
                    ),
                ),
            ),
        ),
        Section(
            title="Releases",
            panels=(
                Panel(
                    kind="table",
                    title="Releases",
                    unit="short",
                    about="Injectors and sidecars by release.",
                    queries=(
                        Query(expression="count by (job, version, revision) (outrider_build_info)"),
                    ),
                    width=24,
                    alerts=("OutriderVersionSkew",),
                ),
            ),
        ),
    ),
)
