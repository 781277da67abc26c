"""Every end of every exchange is counted, under one table."""

import pytest
from prometheus_client.exposition import generate_latest

from outrider.core.vocabulary import OUTCOME_OF, Direction, Outcome, ProtocolName, Reason
from outrider.telemetry.families.exchanges import DIRECTIONS, LIVE_PROTOCOLS, NOTES
from tests.support.metrics import EVIL, a_registry, ended, total, value


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_outcome(reason: Reason) -> None:
    assert OUTCOME_OF[reason] in set(Outcome) - {Outcome.ALLOWED, Outcome.ABORTED}


@pytest.mark.parametrize("protocol", list(ProtocolName))
def test_every_end_of_every_protocol_is_counted(protocol: ProtocolName) -> None:
    metrics = a_registry()
    shown = protocol if protocol in LIVE_PROTOCOLS else ProtocolName.UNKNOWN
    expected = dict.fromkeys(Outcome, 0)
    for reason in (None, *Reason):
        expected[OUTCOME_OF[reason] if reason else Outcome.ALLOWED] += 1
        ended(metrics, protocol=protocol, reason=reason)
    for outcome, count in expected.items():
        labels = {"direction": "egress", "protocol": shown.value, "outcome": outcome.value}
        assert value(metrics, "outrider_exchanges_total", **labels) == count
    assert total(metrics, "outrider_exchanges_total") == 1 + len(Reason)


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
    assert total(metrics, f"outrider_{NOTES[event][0]}") == 1


def test_an_unknown_note_moves_nothing() -> None:
    metrics = a_registry()
    before = generate_latest(metrics.registry).count(b"\n")
    metrics.noted(EVIL, ProtocolName.MCP)
    assert generate_latest(metrics.registry).count(b"\n") == before
