"""Limits are those of the design as they come."""

from outrider.config.limit_settings import Limits


def test_default_limits_are_those_of_the_design() -> None:
    limits = Limits()
    assert (limits.body_bytes, limits.response_bytes, limits.head_bytes) == (
        1 << 20,
        8 << 20,
        32768,
    )
    assert (limits.in_flight, limits.agent_in_flight, limits.upstream_in_flight) == (256, 128, 64)
    assert (limits.policy_arguments_bytes, limits.audit_queue) == (8192, 4096)
    assert (limits.head_s, limits.body_idle_s, limits.keepalive_s) == (10, 15, 75)
