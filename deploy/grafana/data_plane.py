"""Data plane: the loop, its resources, its upstreams, its evidence and its state."""

from typing import Final

from deploy.grafana.panels import (
    Board,
    Query,
    Section,
    by,
    gauge,
    graph,
    quantile,
    quantiles,
    rate,
)

_JOB: Final = 'job="outrider"'
BOARD: Final = Board(
    uid="outrider-data-plane",
    title="Outrider / Data plane",
    about="Loop lag, processor, memory, pressure, upstreams, audit and the store.",
    sections=(
        Section(
            title="Process",
            panels=(
                graph(
                    "Loop lag",
                    "s",
                    "How late the event loop comes round; p99 over 100 ms is a ticket.",
                    *quantiles("outrider_event_loop_lag_seconds"),
                    alerts=("OutriderLoopLag",),
                ),
                graph(
                    "Processor",
                    "short",
                    "Seconds of processor time a second, by pod.",
                    Query(
                        expression=f"sum by (pod) ({rate('process_cpu_seconds_total')})",
                        legend="{{pod}}",
                    ),
                ),
                graph(
                    "Memory",
                    "bytes",
                    "Resident memory of the sidecar, and bodies it holds.",
                    Query(
                        expression=f"sum by (pod) ({gauge('process_resident_memory_bytes')})",
                        legend="{{pod}} resident",
                    ),
                    Query(
                        expression=f"sum by (pod) ({gauge('outrider_buffered_bytes')})",
                        legend="{{pod}} bodies",
                    ),
                ),
                graph(
                    "Pressure",
                    "percentunit",
                    "Use of each bounded resource; at 0.95 calls are turned away.",
                    Query(
                        expression=f"max by (resource) ({gauge('outrider_pressure_ratio')})",
                        legend="{{resource}}",
                    ),
                    alerts=("OutriderShedding",),
                ),
                graph(
                    "Turned away",
                    "ops",
                    "Load shed, by what ran short.",
                    Query(
                        expression=by("cause, threshold", "outrider_shed_total"),
                        legend="{{cause}} {{threshold}}",
                    ),
                    alerts=("OutriderShedding",),
                ),
                graph(
                    "Under way",
                    "short",
                    "Exchanges, connections and tunnels now.",
                    Query(
                        expression=f"sum by (direction) ({gauge('outrider_exchanges_in_flight')})",
                        legend="exchanges {{direction}}",
                    ),
                    Query(
                        expression=f"sum by (listener) ({gauge('outrider_connections')})",
                        legend="connections {{listener}}",
                    ),
                    Query(expression=f"sum({gauge('outrider_tunnels')})", legend="tunnels"),
                ),
            ),
        ),
        Section(
            title="Upstreams",
            panels=(
                graph(
                    "Answers by class",
                    "reqps",
                    "`none` got no answer.",
                    Query(
                        expression=by("upstream, code_class", "outrider_upstream_requests_total"),
                        legend="{{upstream}} {{code_class}}",
                    ),
                ),
                graph(
                    "Faults by kind",
                    "ops",
                    "What went wrong on the way there or back; no fault of ours.",
                    Query(
                        expression=by("upstream, type", "outrider_upstream_errors_total"),
                        legend="{{upstream}} {{type}}",
                    ),
                ),
                graph(
                    "Time to connect",
                    "s",
                    "99th percentile, with and without TLS.",
                    Query(
                        expression=quantile(
                            0.99, "outrider_upstream_connect_duration_seconds", "tls"
                        ),
                        legend="TLS {{tls}}",
                    ),
                ),
                graph(
                    "Cut out",
                    "short",
                    "1 while the breaker keeps an upstream out.",
                    Query(
                        expression=f"max by (upstream) ({gauge('outrider_upstream_breaker_open')})",
                        legend="{{upstream}}",
                    ),
                ),
                graph(
                    "Bytes through tunnels",
                    "Bps",
                    "CONNECT and captured TLS, both ways.",
                    Query(
                        expression=by("upstream, way", "outrider_tunnel_bytes_total"),
                        legend="{{upstream}} {{way}}",
                    ),
                ),
                graph(
                    "Header fields dropped",
                    "ops",
                    "Fields that the gate takes out.",
                    Query(
                        expression=f"sum({rate('outrider_edge_headers_dropped_total')})",
                        legend="dropped",
                    ),
                ),
            ),
        ),
        Section(
            title="Evidence",
            panels=(
                graph(
                    "Records",
                    "ops",
                    "`dropped` must stay 0; repeats are refusals folded together.",
                    Query(
                        expression=by("result", "outrider_audit_records_total"), legend="{{result}}"
                    ),
                    Query(
                        expression=f"sum({rate('outrider_audit_repeats_total')})", legend="repeats"
                    ),
                    alerts=("OutriderAuditDropping",),
                ),
                graph(
                    "Time to append",
                    "s",
                    "With the sync to disk.",
                    *quantiles("outrider_audit_append_duration_seconds"),
                ),
                graph(
                    "Queue",
                    "percentunit",
                    "A full queue refuses every call.",
                    Query(
                        expression=(
                            f"max by (pod) ({gauge('outrider_audit_queue_records')} "
                            f"/ {gauge('outrider_audit_queue_capacity_records')})"
                        ),
                        legend="{{pod}}",
                    ),
                    alerts=("OutriderAuditBacklog",),
                ),
                graph(
                    "Gaps and open decisions",
                    "short",
                    "Decisions without an outcome: after a crash, and now.",
                    Query(expression=f"sum({gauge('outrider_audit_gaps_total')})", legend="gaps"),
                    Query(
                        expression=f"sum({gauge('outrider_audit_unresolved_decisions')})",
                        legend="open",
                    ),
                ),
                graph(
                    "Log lines, notices and spans",
                    "ops",
                    "Logs and traces may drop; evidence may not.",
                    Query(
                        expression=f"sum({rate('outrider_log_records_dropped_total')})",
                        legend="log",
                    ),
                    Query(
                        expression=by("result", "outrider_notifications_total"),
                        legend="notices {{result}}",
                    ),
                    Query(
                        expression=by("result", "outrider_spans_total"),
                        legend="spans {{result}}",
                    ),
                ),
                graph(
                    "Names folded together",
                    "ops",
                    "Values that were counted as `other`, by label.",
                    Query(
                        expression=by("label", "outrider_label_overflow_total"), legend="{{label}}"
                    ),
                    alerts=("OutriderLabelOverflow",),
                ),
            ),
        ),
        Section(
            title="State and settings",
            panels=(
                graph(
                    "Store up",
                    "short",
                    "0 while the store does not answer: calls are refused.",
                    Query(
                        expression=f"min by (store) ({gauge('outrider_store_up')})",
                        legend="{{store}}",
                    ),
                    alerts=("OutriderStoreDown",),
                ),
                graph(
                    "Store operations",
                    "ops",
                    "Of an `unknown` one nobody can say whether it was carried out.",
                    Query(
                        expression=by("store, result", "outrider_store_operations_total"),
                        legend="{{store}} {{result}}",
                    ),
                ),
                graph(
                    "Settings refused",
                    "short",
                    "Sidecars whose last reload was refused, and those that drain.",
                    Query(
                        expression=f"count({gauge('outrider_config_last_reload_successful')} == 0)"
                        " or vector(0)",
                        legend="refused",
                    ),
                    Query(expression=f"sum({gauge('outrider_draining')})", legend="draining"),
                    alerts=("OutriderConfigReloadFailed",),
                ),
                graph(
                    "Clock",
                    "s",
                    "How far the wall clock went from the monotonic one since start.",
                    Query(
                        expression=f"max by (pod) (abs({gauge('outrider_clock_skew_seconds')}))",
                        legend="{{pod}}",
                    ),
                ),
                graph(
                    "Control",
                    "ops",
                    "Requests on the control listener.",
                    Query(
                        expression=by("result", "outrider_control_requests_total"),
                        legend="{{result}}",
                    ),
                ),
                graph(
                    "Scrape",
                    "s",
                    "How long Prometheus waits for the metrics page.",
                    Query(
                        expression=(f"max by (pod) ({gauge('scrape_duration_seconds', _JOB)})"),
                        legend="{{pod}}",
                    ),
                ),
            ),
        ),
    ),
)
