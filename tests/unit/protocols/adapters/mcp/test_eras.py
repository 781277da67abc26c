"""Eras and versions, where the tables of test_adapter do not reach."""

import pytest

from outrider.core.errors import EnforcementError
from outrider.protocols.adapters.mcp.eras import allowed_methods, below, check_head, settle
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.wire.jsonrpc import read_message
from tests.support.mcp_exchange import LEGACY, MODERN, a_head, legacy_headers, modern, request


@pytest.mark.parametrize(
    ("version", "minimum", "allowed"),
    [
        (LEGACY, "2025-03-26", ("GET", "POST", "DELETE")),
        (None, "2025-03-26", ("GET", "POST", "DELETE")),
        (MODERN, "2025-03-26", ("POST",)),
        (LEGACY, MODERN, ("POST",)),
    ],
)
def test_verbs_follow_the_era(version: str | None, minimum: str, allowed: tuple[str, ...]) -> None:
    head = a_head("GET", legacy_headers(version=version))
    assert allowed_methods(head, minimum) == allowed


def test_a_stream_must_be_acceptable() -> None:
    with pytest.raises(EnforcementError) as refused:
        check_head(a_head("GET", (("accept", "application/json"),)), "2025-03-26")
    assert refused.value.status == 406
    check_head(a_head("GET", (("accept", "text/event-stream"),)), "2025-03-26")


def test_versions_are_ordered() -> None:
    assert below("2025-03-26", "2025-06-18")
    assert not below(MODERN, MODERN)


def test_a_request_without_a_version_is_of_the_oldest() -> None:
    spoken = settle(read_message(request("ping")), {}, "2025-03-26")
    assert (spoken.era, spoken.version) == (Era.LEGACY, "2025-03-26")


def test_a_modern_request_says_its_version_twice() -> None:
    message = read_message(modern(request("tools/list")))
    fields = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
    assert settle(message, fields, "2025-03-26").era is Era.MODERN


def test_a_client_may_offer_a_version_we_do_not_know() -> None:
    message = read_message(request("initialize", {"protocolVersion": "2099-01-01"}))
    assert settle(message, {}, "2025-03-26").era is Era.LEGACY
    for params in ({}, {"protocolVersion": 7}, {"protocolVersion": "2024-11-05"}):
        with pytest.raises(EnforcementError):
            settle(read_message(request("initialize", params)), {}, "2025-03-26")


def test_a_notification_has_no_id_and_a_request_has_one() -> None:
    with pytest.raises(EnforcementError):
        settle(read_message(request("notifications/initialized")), {}, "2025-03-26")
