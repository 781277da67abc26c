"""Settings of policy decide in this process, by the library that ships, and in time."""

from outrider.config.policy_settings import OpaSettings, Policy


def test_the_library_that_ships_decides_in_this_process_unless_said():
    policy = Policy()
    assert (policy.engine, policy.path, policy.overlay) == ("embedded", None, ())
    assert policy.entrypoint == "data.outrider.decision"


def test_a_decision_takes_a_quarter_of_a_second_at_most():
    policy = Policy()
    assert (policy.timeout_ms, policy.list_timeout_ms, policy.query_bytes) == (250, 1000, 32_768)


def test_opa_is_a_child_that_nobody_else_speaks_for():
    opa = OpaSettings()
    assert (opa.mode, opa.url, opa.expect, opa.socket) == ("child", None, (), None)
