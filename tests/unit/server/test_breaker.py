from outrider.server.breaker import Breaker
from tests.support.builders import FixedClock


def test_it_opens_after_failures_in_a_row_and_one_probe_closes_it():
    clock = FixedClock()
    breaker = Breaker(clock=clock, failures=2, open_s=5)
    breaker.failed()
    assert (breaker.is_open, breaker.admits()) == (False, True)
    breaker.failed()
    assert (breaker.is_open, breaker.admits()) == (True, False)
    clock.pass_s(5)
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.succeeded()
    assert (breaker.is_open, breaker.admits()) == (False, True)


def test_a_probe_that_fails_opens_it_again():
    clock = FixedClock()
    breaker = Breaker(clock=clock, failures=1, open_s=5)
    breaker.failed()
    clock.pass_s(5)
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    clock.pass_s(5)
    assert breaker.admits()


def test_a_probe_given_up_lets_another_try():
    clock = FixedClock()
    breaker = Breaker(clock=clock, failures=1, open_s=5)
    breaker.failed()
    clock.pass_s(5)
    assert breaker.admits()
    breaker.gave_up()
    assert breaker.admits()


def test_a_success_between_failures_starts_the_count_anew():
    breaker = Breaker(clock=FixedClock(), failures=2, open_s=5)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert not breaker.is_open
