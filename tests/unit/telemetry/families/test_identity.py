"""Every event of identity moves a series of its own, whatever a peer sends."""

from itertools import product

import pytest
from prometheus_client.exposition import generate_latest

from outrider.identity.causes import Cause
from outrider.identity.events import IdentityEvents
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.snapshot import SourceState
from outrider.telemetry.families.identity import (
    FETCHES,
    HANDSHAKES,
    REVALIDATIONS,
    ROLES,
    SOURCE_STATES,
    STREAM_ENDS,
    TOKEN_KINDS,
    TOKEN_RESULTS,
    UPDATES,
)
from tests.support.metrics import EVIL, a_registry, value


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
