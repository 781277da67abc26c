"""Every event is counted, under closed labels, whatever the agent says."""

import re
from itertools import product

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from outrider.core.vocabulary import (
    OUTCOME_OF,
    Direction,
    Effect,
    EffectClass,
    Outcome,
    ProtocolName,
    Reason,
    Role as ArgumentRole,
)
from outrider.identity.causes import Cause
from outrider.identity.events import IdentityEvents
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.snapshot import SourceState
from outrider.tasks.behaviour.document import FLAGS
from outrider.telemetry.metrics import (
    DIRECTIONS,
    FETCHES,
    FLAGS as TOLD_FLAGS,
    HANDSHAKES,
    LIVE_PROTOCOLS,
    NOTES,
    REVALIDATIONS,
    ROLES,
    SOURCE_STATES,
    STREAM_ENDS,
    TOKEN_KINDS,
    TOKEN_RESULTS,
    UPDATES,
    UPSTREAMS,
    Metrics,
)

EVIL = 'evil"\n# HELP outrider_x {a="b"} 1'


def a_registry(*upstreams: str) -> Metrics:
    return Metrics(upstreams=upstreams or ("crm",))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def decided(metrics: Metrics, **changes: object) -> None:
    fields: dict[str, object] = {
        "effect": Effect.DENY,
        "effect_class": EffectClass.EXECUTE,
        "reason": Reason.POLICY,
        "resource": "crm/send",
        "codes": (),
    }
    metrics.decided(**fields | changes)  # type: ignore[arg-type]


def ended(metrics: Metrics, **changes: object) -> None:
    fields: dict[str, object] = {
        "direction": "egress",
        "protocol": ProtocolName.MCP,
        "reason": None,
        "aborted": False,
        "whole_s": 0.2,
        "upstream_s": 0.19,
    }
    metrics.exchange_ended(**fields | changes)  # type: ignore[arg-type]


# --- totality -------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_outcome(reason: Reason) -> None:
    assert OUTCOME_OF[reason] in set(Outcome) - {Outcome.ALLOWED, Outcome.ABORTED}


@pytest.mark.parametrize(("reason", "kind"), list(product(Reason, EffectClass)))
def test_every_refusal_is_counted_under_its_reason(reason: Reason, kind: EffectClass) -> None:
    metrics = a_registry()
    effect = Effect.HOLD if reason is Reason.HELD else Effect.DENY
    labels = {"effect": effect.value, "class": kind.value, "reason": reason.value}
    assert value(metrics, "outrider_decisions_total", **labels) == 0

    decided(metrics, effect=effect, effect_class=kind, reason=reason)

    assert value(metrics, "outrider_decisions_total", **labels) == 1


@pytest.mark.parametrize("kind", list(EffectClass))
def test_an_allow_is_counted_under_none(kind: EffectClass) -> None:
    metrics = a_registry()
    decided(metrics, effect=Effect.ALLOW, effect_class=kind, reason=None)
    labels = {"effect": "allow", "class": kind.value, "reason": "none"}
    assert value(metrics, "outrider_decisions_total", **labels) == 1


@pytest.mark.parametrize("protocol", list(ProtocolName))
@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_end_of_every_protocol_is_counted(
    protocol: ProtocolName, reason: Reason | None
) -> None:
    metrics = a_registry()
    shown = protocol if protocol in LIVE_PROTOCOLS else ProtocolName.UNKNOWN
    outcome = OUTCOME_OF[reason] if reason else Outcome.ALLOWED

    ended(metrics, protocol=protocol, reason=reason)

    labels = {"direction": "egress", "protocol": shown.value, "outcome": outcome.value}
    assert value(metrics, "outrider_exchanges_total", **labels) == 1


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_each_direction_is_counted_by_itself(direction: Direction) -> None:
    metrics = a_registry()
    ended(metrics, direction=direction.value)
    metrics.in_flight(2, direction.value)
    metrics.in_flight(-1, direction.value)
    for each in DIRECTIONS:
        labels = {"direction": each.value, "protocol": "mcp", "outcome": "allowed"}
        mine = each is direction
        assert value(metrics, "outrider_exchanges_total", **labels) == mine
        assert value(metrics, "outrider_exchanges_in_flight", direction=each.value) == mine


def test_an_exchange_the_caller_left_is_aborted() -> None:
    metrics = a_registry()
    ended(metrics, aborted=True)
    labels = {"direction": "egress", "protocol": "mcp", "outcome": "aborted"}
    assert value(metrics, "outrider_exchanges_total", **labels) == 1


def test_our_own_time_is_never_below_nothing() -> None:
    metrics = a_registry()
    ended(metrics, whole_s=0.1, upstream_s=0.2)
    assert value(metrics, "outrider_proxy_overhead_seconds_sum", protocol="mcp") == 0


@pytest.mark.parametrize("event", sorted(NOTES))
def test_every_note_moves_its_counter(event: str) -> None:
    metrics = a_registry()
    metrics.noted(event, ProtocolName.MCP)
    name = f"outrider_{NOTES[event]}"
    found = [
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    ]
    assert sum(found) == 1


def test_an_unknown_note_moves_nothing() -> None:
    metrics = a_registry()
    before = generate_latest(metrics.registry).count(b"\n")
    metrics.noted(EVIL, ProtocolName.MCP)
    assert generate_latest(metrics.registry).count(b"\n") == before


# --- labels ---------------------------------------------------------------------------------


def test_names_of_the_agent_are_never_labels() -> None:
    metrics = a_registry("crm")
    metrics.catalogue(["crm/send"], ["SQ-04"])

    decided(metrics, resource=EVIL, codes=(EVIL, "SQ-04"))
    metrics.upstream_request(EVIL, "2xx")
    metrics.upstream_error(EVIL, "reset")
    metrics.breaker(EVIL, is_open=True)

    page = generate_latest(metrics.registry).decode()
    assert "evil" not in page
    assert value(metrics, "outrider_resource_decisions_total", resource="other", effect="deny") == 1
    assert value(metrics, "outrider_policy_reasons_total", code="SQ-04", effect="deny") == 1
    assert value(metrics, "outrider_policy_reasons_total", code="other", effect="deny") == 1
    assert value(metrics, "outrider_label_overflow_total", label="resource") == 1
    assert value(metrics, "outrider_label_overflow_total", label="code") == 1
    assert value(metrics, "outrider_upstream_requests_total", upstream="other", code_class="2xx")


def test_children_of_names_a_new_bundle_drops_are_removed() -> None:
    metrics = a_registry()
    metrics.catalogue(["crm/send", "crm/read"], ["SQ-04"])
    decided(metrics, resource="crm/send", codes=("SQ-04",))

    metrics.catalogue(["crm/read"], [])

    page = generate_latest(metrics.registry).decode()
    assert "crm/send" not in page
    assert "SQ-04" not in page


def test_series_exist_at_zero_before_anything_happens() -> None:
    metrics = a_registry("crm")
    zero = {
        "outrider_exchanges_total": {
            "direction": "egress",
            "protocol": "unknown",
            "outcome": "fault",
        },
        "outrider_decisions_total": {"effect": "hold", "class": "write", "reason": "held"},
        "outrider_upstream_requests_total": {"upstream": "crm", "code_class": "5xx"},
        "outrider_control_requests_total": {"result": "refused"},
        "outrider_policy_bundle_failures_total": {"bundle": "outrider", "stage": "verify"},
    }
    for name, labels in zero.items():
        assert value(metrics, name, **labels) == 0


def test_pairs_that_cannot_occur_have_no_series() -> None:
    page = generate_latest(a_registry().registry).decode()
    assert 'effect="allow",reason="policy"' not in page
    assert not re.search(r'effect="deny",reason="(none|held)"', page)
    assert not re.search(r'effect="hold",reason="(?!held)', page)


def test_upstreams_beyond_the_bound_are_other() -> None:
    metrics = a_registry(*(f"up{number:03}" for number in range(UPSTREAMS + 1)))
    metrics.upstream_request("up000", "2xx")
    metrics.upstream_request(f"up{UPSTREAMS:03}", "2xx")
    requests = "outrider_upstream_requests_total"
    assert value(metrics, requests, upstream="up000", code_class="2xx") == 1
    assert value(metrics, requests, upstream="other", code_class="2xx") == 1


def test_the_widest_traffic_stays_within_the_series_bound() -> None:
    names = [f"up{number:03}" for number in range(UPSTREAMS)]
    metrics = a_registry(*names)
    metrics.catalogue((f"crm/t{n}" for n in range(10_000)), (f"C-{n}" for n in range(10_000)))
    for number, effect in product(range(10_000), Effect):
        decided(
            metrics,
            effect=effect,
            resource=f"crm/t{number}",
            codes=(f"C-{number}",),
        )

    page = generate_latest(metrics.registry).decode()

    assert len(page.splitlines()) < 5000
    assert list(text_string_to_metric_families(page))


def test_an_ordinary_pod_stays_under_a_thousand_lines() -> None:
    metrics = a_registry("crm", "mail", "llm")
    metrics.catalogue((f"crm/t{number}" for number in range(50)), ("SQ-04", "EF-02"))
    for number in range(50):
        decided(metrics, resource=f"crm/t{number}", codes=("SQ-04",))
    page = generate_latest(metrics.registry).decode()
    assert len([line for line in page.splitlines() if not line.startswith("#")]) < 1000


# --- identity (IDENTITY §10) ------------------------------------------------------------------


def test_the_labels_of_identity_are_its_enums() -> None:
    assert set(ROLES) == {role.value for role in Role}
    assert set(HANDSHAKES) == {reason.value for reason in HandshakeReason}
    assert set(SOURCE_STATES) == {state.value for state in SourceState}
    assert set(TOKEN_RESULTS) == {"ok", *(cause.value for cause in Cause)}


def test_metrics_are_whom_identity_tells() -> None:
    told: IdentityEvents = a_registry()
    assert told is not None


IDENTITY_EVENTS = [
    *(
        pytest.param(
            "handshake",
            (Role(role), HandshakeReason(reason)),
            "outrider_identity_handshakes_total",
            {"role": role, "reason": reason},
            id=f"handshake-{role}-{reason}",
        )
        for role, reason in product(ROLES, HANDSHAKES)
    ),
    *(
        pytest.param(
            "revalidation_failed",
            (reason,),
            "outrider_identity_revalidation_failures_total",
            {"reason": reason},
            id=f"revalidation-{reason}",
        )
        for reason in REVALIDATIONS
    ),
    *(
        pytest.param(
            "workload_update",
            (kind, result),
            "outrider_identity_workload_api_updates_total",
            {"kind": kind, "result": result},
            id=f"update-{kind}-{result}",
        )
        for kind, result in UPDATES
    ),
    *(
        pytest.param(
            "workload_reconnect",
            (code,),
            "outrider_identity_workload_api_reconnects_total",
            {"code": code},
            id=f"reconnect-{code}",
        )
        for code in STREAM_ENDS
    ),
    *(
        pytest.param(
            "token",
            (kind, result),
            "outrider_identity_tokens_total",
            {"kind": kind, "result": result},
            id=f"token-{kind}-{result}",
        )
        for kind, result in product(TOKEN_KINDS, TOKEN_RESULTS)
    ),
    *(
        pytest.param(
            "jwt_fetched",
            (result, 0.2),
            "outrider_identity_jwt_fetch_seconds_count",
            {"result": result},
            id=f"fetch-{result}",
        )
        for result in FETCHES
    ),
    pytest.param(
        "anchor_collisions", (1,), "outrider_identity_anchor_collisions_total", {}, id="collision"
    ),
]


@pytest.mark.parametrize(("event", "arguments", "name", "labels"), IDENTITY_EVENTS)
def test_every_event_of_identity_moves_its_own_series_from_zero(
    event: str, arguments: tuple[object, ...], name: str, labels: dict[str, str]
) -> None:
    metrics = a_registry()
    assert value(metrics, name, **labels) == 0

    getattr(metrics, event)(*arguments)

    assert value(metrics, name, **labels) == 1
    whole = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }
    assert sum(whole.values()) == 1


HOSTILE = [
    pytest.param("handshake", (EVIL, EVIL), id="handshake"),
    pytest.param("revalidation_failed", (EVIL,), id="revalidation"),
    pytest.param("workload_update", (EVIL, EVIL), id="update"),
    pytest.param("workload_reconnect", (EVIL,), id="reconnect"),
    pytest.param("token", ("oidc", EVIL), id="token"),
    pytest.param("jwt_fetched", (EVIL, 1.0), id="fetch"),
]


@pytest.mark.parametrize(("event", "arguments"), HOSTILE)
def test_what_identity_does_not_know_is_no_label_and_stops_nothing(
    event: str, arguments: tuple[object, ...]
) -> None:
    metrics = a_registry()
    getattr(metrics, event)(*arguments)
    assert "evil" not in generate_latest(metrics.registry).decode()
    assert value(metrics, "outrider_label_overflow_total", label="identity") == 1


def test_without_a_source_no_state_is_shown_that_an_alert_could_take_for_an_outage() -> None:
    page = generate_latest(a_registry().registry).decode()
    assert "outrider_identity_workload_api_state{" not in page
    assert "outrider_identity_svid_seconds_remaining 0.0" in page


@pytest.mark.parametrize("state", list(SourceState))
def test_one_state_of_the_source_is_shown_at_a_time(state: SourceState) -> None:
    metrics = a_registry()
    for now in (SourceState.WAITING, SourceState.SERVING, state):
        metrics.identity_is(
            state=now, remaining_s=900, lifetime_s=3600, contact_unix_s=5, trust_domains=2
        )
    shown = {
        name: value(metrics, "outrider_identity_workload_api_state", state=name)
        for name in SOURCE_STATES
    }
    assert shown == {name: float(name == state) for name in SOURCE_STATES}
    assert value(metrics, "outrider_identity_svid_seconds_remaining") == 900
    assert value(metrics, "outrider_identity_svid_lifetime_seconds") == 3600
    assert value(metrics, "outrider_identity_workload_api_last_contact_timestamp_seconds") == 5
    assert value(metrics, "outrider_identity_bundle_trust_domains") == 2


# --- declarations ---------------------------------------------------------------------------


def test_every_metric_is_named_and_described() -> None:
    for family in a_registry().registry.collect():
        if not family.name.startswith(("process_", "python_")):
            assert family.name.startswith("outrider_"), family.name
        assert family.documentation.strip(), family.name


@pytest.mark.parametrize("forbidden", ["spiffe", "task", "principal", "user", "url", "message"])
def test_no_label_names_a_person_a_task_or_a_place(forbidden: str) -> None:
    labels = {
        key
        for family in a_registry().registry.collect()
        for sample in family.samples
        for key in sample.labels
    }
    assert forbidden not in labels


def test_states_are_gauges_that_move_both_ways() -> None:
    metrics = a_registry()
    for on in (True, False):
        metrics.draining(on=on)
        metrics.engine_is("embedded", up=on)
        metrics.store("sqlite", ok=on)
        metrics.breaker("crm", is_open=on)
        assert value(metrics, "outrider_draining") == on
        assert value(metrics, "outrider_engine_up", engine="embedded") == on
        assert value(metrics, "outrider_store_up", store="sqlite") == on
        assert value(metrics, "outrider_upstream_breaker_open", upstream="crm") == on
    metrics.in_flight(1, "egress")
    metrics.in_flight(-1, "egress")
    assert value(metrics, "outrider_exchanges_in_flight", direction="egress") == 0


def test_a_failed_reload_keeps_the_time_of_the_last_good_one() -> None:
    metrics = a_registry()
    metrics.reloaded(ok=True, unix_s=100)
    metrics.reloaded(ok=False, unix_s=200)
    assert value(metrics, "outrider_config_last_reload_successful") == 0
    assert value(metrics, "outrider_config_last_reload_success_timestamp_seconds") == 100


def test_only_the_active_revision_is_shown() -> None:
    metrics = a_registry()
    metrics.policy_activated("rev-1", 1)
    metrics.policy_activated("rev-2" + "x" * 100, 2)
    page = generate_latest(metrics.registry).decode()
    assert "rev-1" not in page
    assert 'revision="rev-2' + "x" * 59 + '"' in page


def test_flags_and_untrusted_arguments_are_there_before_they_are_counted() -> None:
    metrics = a_registry()
    assert value(metrics, "outrider_behaviour_flags_total", flag="sensitive_read") == 0
    labels = {"role": "destination", "effect": "deny"}
    assert value(metrics, "outrider_untrusted_arguments_total", **labels) == 0
    metrics.flag_set("sensitive_read")
    metrics.untrusted_argument(ArgumentRole.DESTINATION, Effect.DENY)
    assert value(metrics, "outrider_behaviour_flags_total", flag="sensitive_read") == 1
    assert value(metrics, "outrider_untrusted_arguments_total", **labels) == 1


def test_the_flags_are_those_of_the_books() -> None:
    assert set(TOLD_FLAGS) == set(FLAGS.values())
