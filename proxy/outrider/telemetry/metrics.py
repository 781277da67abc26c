"""Every metric this version moves, with closed labels (OPERATIONS §1-§3).

Laws: names start `outrider_`; a label is an enum of `core`, a name from our own settings, or a
catalogue entry of the active bundle that passed the `LabelGuard`; children that can occur are
bound at start, so they exist at zero. An attacker's text is never a label.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from outrider.core.vocabulary import (
    OUTCOME_OF,
    Direction,
    Effect,
    EffectClass,
    Outcome,
    ProtocolName,
    Reason,
    Role,
    TaskEnd,
)
from outrider.telemetry.guard import LabelGuard
from outrider.telemetry.tally import LevelFamily, SpreadFamily, Tally, TallyFamily

FAST: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
REQUEST: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
QUERY: Final = (512, 1024, 2048, 4096, 6144, 8192, 16384, 32768)
NOTE_LABELS: Final[dict[str, tuple[str, ...]]] = {
    "credential_stripped": (),
    "secret_echo": (),
    "notify": ("result",),
}
UPSTREAMS: Final = 64
"""Upstreams that are told apart; further ones are `other`."""
DIRECTIONS: Final = (Direction.EGRESS, Direction.INGRESS)
LIVE_PROTOCOLS: Final = (ProtocolName.MCP, ProtocolName.HTTP, ProtocolName.UNKNOWN)
NOTES: Final = {
    "credential_stripped": "agent_credentials_stripped_total",
    "secret_echo": "secret_echo_total",
    "definition_changed": "definition_changes_total",
    "redacted": "redactions_total",
    "hidden": "list_entries_hidden_total",
    "notify": "notifications_total",
}

# What identity tells (IDENTITY §10). It stands above telemetry, so its enums are written out here;
# the tests hold them equal.
ROLES: Final = ("server", "client")
HANDSHAKES: Final = (
    "ok", "wrong_authority", "no_bundle", "unknown_authority", "expired", "not_yet_valid", "leaf",
    "spiffe_id", "path", "no_svid", "no_certificate", "not_expected", "protocol", "internal",
)  # fmt: skip
REVALIDATIONS: Final = ("expired", "withdrawn")
SOURCE_STATES: Final = ("waiting", "serving", "disconnected", "redacted", "expired", "failed")
UPDATES: Final = (
    ("x509", "applied"), ("x509", "discarded"), ("jwt_bundle", "applied"),
    ("jwt_bundle", "discarded"),
)  # fmt: skip
STREAM_ENDS: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    "END",
)  # fmt: skip
TOKEN_KINDS: Final = ("jwt_svid", "oidc")
TOKEN_RESULTS: Final = (
    "ok", "no_identity", "no_svid", "peer_expired", "peer_withdrawn", "uid_not_allowed",
    "bearer_not_allowed", "disagreeing", "instance", "malformed_token", "header_name", "algorithm",
    "token_type", "subject", "unknown_domain", "unknown_key", "issuer_unavailable",
    "bad_signature", "malformed_claim", "expired", "not_yet_valid", "too_long_lived",
    "wrong_audience", "client", "confirmation",
)  # fmt: skip
FETCHES: Final = ("ok", "denied", "failed")

# What the tasks' books tell, which stand above telemetry too.
FLAGS: Final = ("untrusted_read", "sensitive_read", "external_send")

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The registry and the methods named for events. One instance a process."""

    def __init__(self, *, upstreams: Iterable[str]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._overflow = self._counter("label_overflow_total", "Labels folded into other", "label")
        self._resources = LabelGuard(200, lambda: self._overflow.labels("resource").inc())
        self._codes = LabelGuard(100, lambda: self._overflow.labels("code").inc())
        self._upstreams = frozenset(sorted(upstreams)[:UPSTREAMS])
        self._declare_exchanges()
        self._declare_decisions()
        self._declare_edge()
        self._declare_upstreams()
        self._declare_audit()
        self._declare_state()
        self._declare_identity()

    # --- declarations -------------------------------------------------------------------

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        metric = Counter(f"outrider_{name}", text, labels, registry=self.registry)
        self._counters[name] = metric
        return metric

    def _tally(self, name: str, text: str, *labels: str) -> TallyFamily:
        return TallyFamily(f"outrider_{name}", text, labels, registry=self.registry)

    def _spread(
        self, name: str, text: str, bounds: tuple[float, ...], *labels: str
    ) -> SpreadFamily:
        return SpreadFamily(f"outrider_{name}", text, labels, bounds=bounds, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        metric = Gauge(f"outrider_{name}", text, labels, registry=self.registry)
        self._gauges[name] = metric
        return metric

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"outrider_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _declare_exchanges(self) -> None:
        ended = self._tally(
            "exchanges_total", "Exchanges by how they ended", "direction", "protocol", "outcome"
        )
        whole = self._spread(
            "exchange_duration_seconds", "Whole time of an exchange", REQUEST, "protocol", "outcome"
        )
        own = self._spread(
            "proxy_overhead_seconds", "Whole time less the upstream's", FAST, "protocol"
        )
        flying = LevelFamily(
            "outrider_exchanges_in_flight",
            "Exchanges under way",
            ("direction",),
            registry=self.registry,
        )
        self._flying = {direction.value: flying.labels(direction.value) for direction in DIRECTIONS}
        self._ended = {
            (direction.value, protocol, outcome): ended.labels(
                direction.value, protocol.value, outcome.value
            )
            for direction in DIRECTIONS
            for protocol in LIVE_PROTOCOLS
            for outcome in Outcome
        }
        self._whole = {
            (protocol, allowed): whole.labels(protocol.value, "allowed" if allowed else "other")
            for protocol in LIVE_PROTOCOLS
            for allowed in (True, False)
        }
        self._own = {protocol: own.labels(protocol.value) for protocol in LIVE_PROTOCOLS}

    def _declare_decisions(self) -> None:
        decided = self._tally(
            "decisions_total", "Decisions, one for each action", "effect", "class", "reason"
        )
        self._decided = {
            (effect, kind, reason): decided.labels(
                effect.value, kind.value, reason.value if reason else "none"
            )
            for kind in EffectClass
            for effect, reason in _pairs()
        }
        self._by_resource = self._tally(
            "resource_decisions_total", "Decisions by manifest entry", "resource", "effect"
        )
        self._by_code = self._tally(
            "policy_reasons_total", "Reasons that policy gave", "code", "effect"
        )
        self._query_bytes = self._spread("query_bytes", "Size of the query", QUERY).labels()
        self._decision_s = self._spread(
            "decision_duration_seconds", "Time to a decision", FAST, "engine", "cache"
        )
        self._verdicts = self._counter("list_verdicts_total", "Verdicts on list entries", "memo")
        for memo in ("hit", "miss"):
            self._verdicts.labels(memo)
        self._engine_up = self._gauge("engine_up", "1 while the engine answers", "engine")
        self._revision = self._gauge(
            "policy_revision_info", "The active revision", "bundle", "revision"
        )
        self._review_overdue = self._gauge(
            "review_overdue_seconds", "How long the review of our own agent is overdue"
        )
        self._confirmed = self._gauge(
            "policy_bundle_confirmed_timestamp_seconds", "Last confirmation", "bundle"
        )
        self._bundle_failures = self._counter(
            "policy_bundle_failures_total", "Bundles refused", "bundle", "stage"
        )
        for stage in ("download", "verify", "activate"):
            self._bundle_failures.labels("outrider", stage)
        for name, metric in NOTES.items():
            text = f"Count of {name.replace('_', ' ')} events"
            self._counter(metric, text, *NOTE_LABELS.get(name, ("protocol",)))

    def _declare_edge(self) -> None:
        self._edge = self._counter(
            "edge_refusals_total", "Requests refused before any adapter", "listener", "cause"
        )
        self._dropped = self._counter(
            "edge_headers_dropped_total", "Header fields dropped by the gate"
        )
        self._connections = self._gauge("connections", "Open connections", "listener")
        self._shed = self._counter("shed_total", "Load shed", "cause", "threshold")
        buffered = LevelFamily(
            "outrider_buffered_bytes", "Bodies held in memory", (), registry=self.registry
        )
        self._buffered = buffered.labels()
        self._pressure = self._gauge("pressure_ratio", "Use of a resource, 0 to 1", "resource")
        self._lag = self._histogram("event_loop_lag_seconds", "Lag of the event loop", FAST)

    def _declare_upstreams(self) -> None:
        self._requests = self._tally(
            "upstream_requests_total", "Answers of upstreams", "upstream", "code_class"
        )
        self._errors = self._counter(
            "upstream_errors_total", "Faults of upstreams", "upstream", "type"
        )
        self._connects = self._histogram(
            "upstream_connect_duration_seconds", "Time to connect", REQUEST, "tls"
        )
        self._breakers = self._gauge("upstream_breaker_open", "1 while cut out", "upstream")
        for upstream in self._upstreams:
            self._breakers.labels(upstream)
            for code in ("2xx", "4xx", "5xx", "none"):
                self._requests.labels(upstream, code)

    def _declare_audit(self) -> None:
        self._records = self._counter("audit_records_total", "Records", "sink", "result")
        for result in ("ok", "retry", "dropped"):
            self._records.labels("file", result)
        self._repeats = self._counter("audit_repeats_total", "Refusals folded into repeats")
        self._append_s = self._spread(
            "audit_append_duration_seconds", "Time to append, with the sync", FAST
        ).labels()
        self._queue = self._gauge("audit_queue_records", "Records waiting", "sink")
        self._capacity = self._gauge("audit_queue_capacity_records", "Room for records", "sink")
        self._audit_success = self._gauge(
            "audit_last_success_timestamp_seconds", "Last write that went well", "sink"
        )
        self._gaps = self._counter("audit_gaps_total", "Decisions found without an outcome")

    def _declare_state(self) -> None:
        self._store_up = self._gauge("store_up", "1 while the store answers", "store")
        self._store_ops = self._counter(
            "store_operations_total", "Store operations", "store", "result"
        )
        self._reload_ok = self._gauge("config_last_reload_successful", "1 after a good reload")
        self._reload_s = self._gauge(
            "config_last_reload_success_timestamp_seconds", "Last good reload"
        )
        self._config = self._gauge("config_info", "Settings in force", "hash", "environment")
        self._control = self._counter("control_requests_total", "Control requests", "result")
        for result in ("ok", "refused", "error"):
            self._control.labels(result)
        self._tasks_active = self._gauge("tasks_active", "Tasks under way, standing grants aside")
        tasks = self._counter("tasks_total", "Tasks by how they ended", "end")
        self._tasks_ended = {end: tasks.labels(end.value) for end in TaskEnd}
        self._flags = self._closed(
            "behaviour_flags_total",
            "Flags set for the first time in a task",
            ("flag",),
            [(flag,) for flag in FLAGS],
        )
        self._untrusted = self._closed(
            "untrusted_arguments_total",
            "Authority arguments that came from untrusted text, by what became of the action",
            ("role", "effect"),
            [(role.value, effect.value) for role in Role for effect in Effect],
        )
        self._draining = self._gauge("draining", "1 while draining")
        self._logs_dropped = self._counter("log_records_dropped_total", "Log lines dropped")
        self._skew = self._gauge("clock_skew_seconds", "Wall clock against the monotonic one")
        self._build = self._gauge("build_info", "Build", "version", "revision", "python")

    def _declare_identity(self) -> None:
        self._handshakes = self._closed(
            "identity_handshakes_total",
            "TLS handshakes by our role and how they ended",
            ("role", "reason"),
            [(role, reason) for role in ROLES for reason in HANDSHAKES],
        )
        self._revalidations = self._closed(
            "identity_revalidation_failures_total",
            "Live connections ended since their peer's proof no longer held",
            ("reason",),
            [(reason,) for reason in REVALIDATIONS],
        )
        self._updates = self._closed(
            "identity_workload_api_updates_total",
            "Messages of the Workload API",
            ("kind", "result"),
            UPDATES,
        )
        self._reconnects = self._closed(
            "identity_workload_api_reconnects_total",
            "Streams of the Workload API that ended, by gRPC status",
            ("code",),
            [(code,) for code in STREAM_ENDS],
        )
        self._tokens = self._closed(
            "identity_tokens_total",
            "Bearer tokens of callers by what came of them",
            ("kind", "result"),
            [(kind, result) for kind in TOKEN_KINDS for result in TOKEN_RESULTS],
        )
        self._collisions = self._counter(
            "identity_anchor_collisions_total",
            "Authorities left out since another trust domain's has their name and another key",
        )
        fetch = self._spread(
            "identity_jwt_fetch_seconds", "Time to fetch a JWT-SVID", REQUEST, "result"
        )
        self._fetch_s = {result: fetch.labels(result) for result in FETCHES}
        self._svid_left = self._gauge(
            "identity_svid_seconds_remaining", "Seconds that our SVID is still valid; 0 without one"
        )
        self._svid_life = self._gauge(
            "identity_svid_lifetime_seconds", "Whole life of our SVID; 0 without one"
        )
        self._contact = self._gauge(
            "identity_workload_api_last_contact_timestamp_seconds",
            "When the source of our identity was last heard; 0 for never",
        )
        self._source_state = self._gauge(
            "identity_workload_api_state",
            "1 for the state that the source of our identity is in; no series without a source",
            "state",
        )
        self._domains = self._gauge(
            "identity_bundle_trust_domains", "Trust domains whose X.509 authorities are held"
        )

    def _closed(
        self, name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[str, ...]]
    ) -> dict[tuple[str, ...], Tally]:
        """The children of a counter that has these and no others."""
        family = self._tally(name, text, *labels)
        return {each: family.labels(*each) for each in values}

    # --- the pipeline's events (core.ports.Metrics) ----------------------------------------

    def decided(
        self,
        *,
        effect: Effect,
        effect_class: EffectClass,
        reason: Reason | None,
        resource: str,
        codes: tuple[str, ...],
    ) -> None:
        child = self._decided.get((effect, effect_class, reason))
        if child is not None:
            child.inc()
        word = effect._value_
        self._by_resource.labels(self._resources.clean(resource), word).inc()
        for code in codes:
            self._by_code.labels(self._codes.clean(code), word).inc()

    def exchange_ended(
        self,
        *,
        direction: str,
        protocol: ProtocolName,
        reason: Reason | None,
        aborted: bool,
        whole_s: float,
        upstream_s: float,
    ) -> None:
        outcome = Outcome.ABORTED if aborted else Outcome.ALLOWED
        if reason is not None:
            outcome = OUTCOME_OF[reason]
        protocol = protocol if protocol in self._own else ProtocolName.UNKNOWN
        self._ended[(direction, protocol, outcome)].inc()
        self._whole[(protocol, outcome is Outcome.ALLOWED)].observe(whole_s)
        self._own[protocol].observe(max(0.0, whole_s - upstream_s))

    def noted(self, event: str, protocol: ProtocolName) -> None:
        name = NOTES.get(event)
        if name is None:
            return
        counter = self._counters[name]
        if not NOTE_LABELS.get(event, ("protocol",)):
            counter.inc()
        elif event == "notify":
            counter.labels("ok").inc()
        else:
            counter.labels(protocol.value).inc()

    def in_flight(self, delta: int, direction: str) -> None:
        self._flying[direction].inc(delta)

    # --- others' events -------------------------------------------------------------------

    def catalogue(self, resources: Iterable[str], codes: Iterable[str]) -> None:
        """The names that may be labels from now on; children of names gone are removed."""
        for gone in self._resources.replace(resources):
            for effect in Effect:
                _forget(self._by_resource, gone, effect.value)
        for gone in self._codes.replace(codes):
            for effect in Effect:
                _forget(self._by_code, gone, effect.value)

    def decision_made(self, engine: str, seconds: float, query_bytes: int) -> None:
        self._decision_s.labels(engine, "miss").observe(seconds)
        self._query_bytes.observe(query_bytes)

    def list_verdicts(self, hits: int, misses: int) -> None:
        self._verdicts.labels("hit").inc(hits)
        self._verdicts.labels("miss").inc(misses)

    def engine_is(self, engine: str, *, up: bool) -> None:
        self._engine_up.labels(engine).set(up)

    def policy_activated(self, revision: str, unix_s: float) -> None:
        self._revision.clear()
        self._revision.labels("outrider", revision[:64]).set(1)
        self._confirmed.labels("outrider").set(unix_s)

    def policy_confirmed(self, unix_s: float) -> None:
        self._confirmed.labels("outrider").set(unix_s)

    def review_overdue(self, seconds: float) -> None:
        """How long our own agent's review is overdue; 0 where it is not."""
        self._review_overdue.set(seconds)

    def policy_refused(self, stage: str) -> None:
        self._bundle_failures.labels("outrider", stage).inc()

    def edge_refused(self, listener: str, cause: str) -> None:
        self._edge.labels(listener, cause).inc()

    def headers_dropped(self, listener: str, count: int) -> None:
        self._dropped.inc(count)

    def connection(self, listener: str, delta: int) -> None:
        self._connections.labels(listener).inc(delta)

    def shed(self, cause: str, threshold: str) -> None:
        self._shed.labels(cause, threshold).inc()

    def buffered_bytes(self, held: int) -> None:
        self._buffered.count = held

    def pressure(self, resource: str, ratio: float) -> None:
        self._pressure.labels(resource).set(ratio)

    def loop_lag(self, lag_s: float) -> None:
        self._lag.observe(lag_s)

    def upstream_request(self, upstream: str, code_class: str) -> None:
        self._requests.labels(self._upstream(upstream), code_class).inc()

    def upstream_error(self, upstream: str, fault: str) -> None:
        self._errors.labels(self._upstream(upstream), fault).inc()

    def upstream_connected(self, upstream: str, tls: bool, took_s: float) -> None:
        self._connects.labels("true" if tls else "false").observe(took_s)

    def breaker(self, upstream: str, is_open: bool) -> None:
        self._breakers.labels(self._upstream(upstream)).set(is_open)

    def audit_appended(self, seconds: float) -> None:
        self._append_s.observe(seconds)

    def audit_wrote(self, records: int, unix_s: float) -> None:
        self._records.labels("file", "ok").inc(records)
        self._audit_success.labels("file").set(unix_s)

    def audit_failed(self, result: str, records: int = 1) -> None:
        self._records.labels("file", result).inc(records)

    def audit_repeated(self, count: int) -> None:
        self._repeats.inc(count)

    def audit_gap(self) -> None:
        self._gaps.inc()

    def audit_queue(self, waiting: int, capacity: int) -> None:
        self._queue.labels("file").set(waiting)
        self._capacity.labels("file").set(capacity)

    def store(self, kind: str, *, ok: bool) -> None:
        self._store_up.labels(kind).set(ok)
        self._store_ops.labels(kind, "ok" if ok else "error").inc()

    def reloaded(self, *, ok: bool, unix_s: float) -> None:
        self._reload_ok.set(ok)
        if ok:
            self._reload_s.set(unix_s)

    def configured(self, digest: str, environment: str) -> None:
        self._config.clear()
        self._config.labels(digest[:16], environment).set(1)

    def control_request(self, result: str) -> None:
        self._control.labels(result).inc()

    def tasks_active(self, count: int) -> None:
        self._tasks_active.set(count)

    def flag_set(self, flag: str) -> None:
        """A flag of `context.behaviour.flags` was set for the first time in a task."""
        self._flags[flag,].inc()

    def untrusted_argument(self, role: Role, effect: Effect) -> None:
        """An authority argument labelled `untrusted`, and what became of its action."""
        self._untrusted[role.value, effect.value].inc()

    def task_ended(self, end: TaskEnd) -> None:
        self._tasks_ended[end].inc()

    def draining(self, *, on: bool) -> None:
        self._draining.set(on)

    def log_dropped(self) -> None:
        self._logs_dropped.inc()

    def clock_skew(self, seconds: float) -> None:
        self._skew.set(seconds)

    def built(self, facts: Mapping[str, str]) -> None:
        self._build.labels(facts["version"], facts["revision"], facts["python"]).set(1)

    # --- identity's events (identity.events.IdentityEvents) ---------------------------------

    def handshake(self, role: str, reason: str) -> None:
        self._move(self._handshakes, role, reason)

    def revalidation_failed(self, reason: str) -> None:
        self._move(self._revalidations, reason)

    def workload_update(self, kind: str, result: str) -> None:
        self._move(self._updates, kind, result)

    def workload_reconnect(self, code: str) -> None:
        self._move(self._reconnects, code)

    def anchor_collisions(self, count: int) -> None:
        self._collisions.inc(count)

    def token(self, kind: str, result: str) -> None:
        self._move(self._tokens, kind, result)

    def jwt_fetched(self, result: str, seconds: float) -> None:
        spread = self._fetch_s.get(result)
        if spread is not None:
            spread.observe(seconds)
        else:
            self._overflow.labels("identity").inc()

    def identity_is(
        self,
        *,
        state: str,
        remaining_s: float,
        lifetime_s: float,
        contact_unix_s: float | None,
        trust_domains: int,
    ) -> None:
        """How identity is at rest, told once a second where there is a source. `state` is one of
        `SOURCE_STATES`; seconds are 0 without an SVID."""
        for name in SOURCE_STATES:
            self._source_state.labels(name).set(name == state)
        self._svid_left.set(remaining_s)
        self._svid_life.set(lifetime_s)
        self._contact.set(contact_unix_s or 0)
        self._domains.set(trust_domains)

    def _move(self, children: Mapping[tuple[str, ...], Tally], *values: str) -> None:
        """Count; what is none of the closed values is counted as such, and ends no handshake."""
        child = children.get(values)
        if child is not None:
            child.inc()
        else:
            self._overflow.labels("identity").inc()

    def _upstream(self, name: str) -> str:
        return name if name in self._upstreams else "other"


def _pairs() -> list[tuple[Effect, Reason | None]]:
    """The pairs of effect and reason that can occur: allow with none, hold with held, else deny."""
    denials = [(Effect.DENY, reason) for reason in Reason if reason is not Reason.HELD]
    return [(Effect.ALLOW, None), (Effect.HOLD, Reason.HELD), *denials]


def _forget(family: TallyFamily, *labels: str) -> None:
    try:
        family.remove(*labels)
    except KeyError:
        return
