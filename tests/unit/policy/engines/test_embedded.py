"""Engine `embedded`: its own laws, beside the contract that all engines keep."""

import asyncio
import gc

import pytest

from outrider.core.errors import ConfigError
from outrider.core.ports import Defined, Failed
from outrider.core.vocabulary import Reason
from outrider.policy.engines import embedded
from outrider.policy.engines.embedded import EmbeddedEngine
from tests.support.builders import FixedClock
from tests.support.policy import ALLOW_ALL, DENY_ALL, ENTRYPOINT, a_release

FIXTURES = {"fixtures/a.yaml": {"n": 1}}


class PanicException(BaseException):
    """Named as pyo3 names its own, which cannot be imported."""


class Panicking:
    def set_input_json(self, text):
        raise PanicException("index out of bounds")


class Clocked(FixedClock):
    """Each look at it takes a while."""

    def monotonic_s(self):
        self.now_monotonic_s += 0.004
        return self.now_monotonic_s


def an_engine(clock=None):
    return EmbeddedEngine(clock=clock or FixedClock(), entrypoint=ENTRYPOINT)


async def ask(snapshot, deadline_s=1001.0):
    return await snapshot.evaluate(ENTRYPOINT, b"{}", deadline_s, None)


async def test_a_panic_is_an_error_and_the_next_question_gets_another_instance():
    snapshot = await an_engine().activate(a_release(ALLOW_ALL))
    snapshot._instance.engine = Panicking()
    raw = await ask(snapshot)
    assert isinstance(raw, Failed)
    assert raw.code is Reason.POLICY_ERROR
    assert isinstance(await ask(snapshot), Defined)


async def test_an_instance_that_cannot_be_made_again_is_an_error(monkeypatch):
    snapshot = await an_engine().activate(a_release(ALLOW_ALL))
    snapshot._instance.engine = Panicking()
    await ask(snapshot)

    class Broken:
        def add_policy(self, name, text):
            raise PanicException("index out of bounds")

    monkeypatch.setattr(embedded.regorus, "Engine", Broken)
    raw = await ask(snapshot)
    assert (type(raw), raw.code) == (Failed, Reason.POLICY_ERROR)


async def test_a_panic_while_policy_loads_refuses_the_release(monkeypatch):
    class Broken:
        def add_policy(self, name, text):
            raise PanicException("index out of bounds")

    monkeypatch.setattr(embedded.regorus, "Engine", Broken)
    with pytest.raises(ConfigError, match="does not load: regorus panicked"):
        await an_engine().activate(a_release(ALLOW_ALL))


async def test_what_is_no_panic_while_policy_loads_passes_through(monkeypatch):
    class Interrupted:
        def add_policy(self, name, text):
            raise KeyboardInterrupt

    monkeypatch.setattr(embedded.regorus, "Engine", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        await an_engine().activate(a_release(ALLOW_ALL))


async def test_an_answer_that_is_no_json_is_malformed():
    class Babbling:
        def set_input_json(self, text):
            """Takes anything."""

        def eval_rule_as_json(self, rule):
            return "{not json"

    snapshot = await an_engine().activate(a_release(ALLOW_ALL))
    snapshot._instance.engine = Babbling()
    raw = await ask(snapshot)
    assert raw == Failed(code=Reason.POLICY_MALFORMED, detail="the answer is not JSON")


async def test_what_is_no_panic_passes_through():
    class Interrupted:
        def set_input_json(self, text):
            raise KeyboardInterrupt

    snapshot = await an_engine().activate(a_release(ALLOW_ALL))
    snapshot._instance.engine = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        await ask(snapshot)
    assert isinstance(await ask(snapshot), Defined)


async def test_an_answer_that_comes_after_the_deadline_is_none():
    snapshot = await an_engine(Clocked()).activate(a_release(ALLOW_ALL))
    now_s = snapshot._clock.now_monotonic_s
    raw = await ask(snapshot, now_s + 0.006)
    assert raw == Failed(code=Reason.POLICY_TIMEOUT, detail="answered after the deadline")
    now_s = snapshot._clock.now_monotonic_s
    assert isinstance(await ask(snapshot, now_s + 0.0081), Defined)


async def test_a_release_whose_fixture_takes_too_long_is_refused():
    clock = Clocked()
    engine = EmbeddedEngine(
        clock=clock, entrypoint=ENTRYPOINT, slowest_fixture_s=0.003, spent_s=clock.monotonic_s
    )
    with pytest.raises(ConfigError, match=r"4\.0 ms on fixtures/a\.yaml"):
        await engine.activate(a_release(ALLOW_ALL, fixtures=FIXTURES))
    with pytest.raises(ConfigError, match=r"4\.0 ms on an empty input"):
        await engine.activate(a_release(ALLOW_ALL))


async def test_a_release_is_not_refused_because_the_machine_was_busy_for_a_moment():
    class Busy(FixedClock):
        looks = 0

        def monotonic_s(self):
            self.looks += 1
            self.now_monotonic_s += 0.02 if self.looks < 8 else 0.001
            return self.now_monotonic_s

    clock = Busy()
    engine = EmbeddedEngine(
        clock=clock, entrypoint=ENTRYPOINT, slowest_fixture_s=0.003, spent_s=clock.monotonic_s
    )
    await engine.activate(a_release(ALLOW_ALL, fixtures=FIXTURES))


async def test_a_release_that_fails_on_its_own_fixture_is_refused():
    module = "package outrider\n\ndecision if lower(input.n) == 1\n"
    with pytest.raises(ConfigError, match=r"fails on a fixture of its own.*lower"):
        await an_engine().activate(a_release(module, fixtures=FIXTURES))


async def test_what_regorus_quotes_stays_in_the_log(caplog):
    module = 'package outrider\n\ndecision if lower(input.n) == "s3cret"\n'
    snapshot = await an_engine().activate(a_release(module))
    raw = await snapshot.evaluate(ENTRYPOINT, b'{"n": 1}', 1001.0, None)
    assert raw == Failed(code=Reason.POLICY_ERROR, detail="the engine failed")
    (record,) = caplog.records
    assert record.getMessage() == "policy failed"
    assert "expects string" in record.fault
    assert "backtrace" not in record.fault


async def test_a_snapshot_goes_on_under_its_own_release():
    engine = an_engine()
    old = await engine.activate(a_release(ALLOW_ALL, revision="old"))
    await engine.activate(a_release(DENY_ALL, revision="new"))
    assert (await ask(old)).value == {"effect": "allow"}
    assert engine.snapshot().revision == "new"


async def test_an_instance_found_by_the_collector_on_another_thread_is_kept_for_its_own():
    class Cycle:
        pass

    gc.collect()  # what earlier tests left is not what this one is about
    cycle = Cycle()
    cycle.own = cycle
    cycle.snapshot = await an_engine().activate(a_release(ALLOW_ALL))
    embedded._left_behind.clear()
    gc.disable()
    try:
        del cycle
        await asyncio.to_thread(gc.collect)
    finally:
        gc.enable()
    assert [len(left) for left in embedded._left_behind.values()] == [1]
    await an_engine().activate(a_release(ALLOW_ALL))
    assert embedded._left_behind == {}
