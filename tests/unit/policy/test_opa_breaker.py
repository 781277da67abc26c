"""When an engine is asked no more, and how it is tried again."""

from outrider.policy.opa_breaker import FAILURES, OPEN_S, EngineBreaker
from tests.support.builders import FixedClock


def an_open_breaker() -> tuple[EngineBreaker, FixedClock]:
    clock = FixedClock()
    breaker = EngineBreaker(clock)
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed()
    return breaker, clock


def test_one_failure_less_than_it_takes_leaves_it_closed():
    breaker = EngineBreaker(FixedClock())
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert breaker.admits()
    assert not breaker.is_open


def test_failures_count_in_a_row_only():
    breaker = EngineBreaker(FixedClock())
    for _ in range(3 * FAILURES):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open


def test_an_open_breaker_admits_nothing_until_its_time():
    breaker, clock = an_open_breaker()
    clock.pass_s(OPEN_S - 0.001)
    assert not breaker.admits()


def test_after_its_time_one_may_probe_and_the_rest_wait():
    breaker, clock = an_open_breaker()
    clock.pass_s(OPEN_S)
    assert breaker.admits()
    assert not breaker.admits()


def test_a_probe_that_fails_opens_it_again():
    breaker, clock = an_open_breaker()
    clock.pass_s(OPEN_S)
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    clock.pass_s(OPEN_S)
    assert breaker.admits()


def test_a_probe_whose_caller_left_lets_the_next_one_probe():
    breaker, clock = an_open_breaker()
    clock.pass_s(OPEN_S)
    assert breaker.admits()
    breaker.left()
    assert breaker.admits()


def test_one_success_closes_it():
    breaker, clock = an_open_breaker()
    clock.pass_s(OPEN_S)
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.admits()
