"""The engine against a double of OPA: revisions, breaker, activation, what counts as an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Defined, Failed, Undefined
from outrider.core.vocabulary import Reason
from outrider.policy.engines import opa as engine_module
from outrider.policy.engines.opa import OpaEngine, OpaLimits, OpaSnapshot, OthersLink
from outrider.policy.opa_breaker import FAILURES
from tests.support.fake_opa import FakeOpa, Fault, a_result, an_answer, fake_opa
from tests.support.opa import ENTRYPOINT, a_release, until


class MovedClock(SystemClock):
    """The machine's clock, moved on by hand."""

    def __init__(self) -> None:
        object.__setattr__(self, "_moved", [0.0])

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._moved[0]

    def pass_s(self, seconds: float) -> None:
        self._moved[0] += seconds


def allow(revision: str | None = "r1") -> dict:
    return {"effect": "allow"} | ({} if revision is None else {"revision": revision})


def named(revision: str = "r1") -> bytes:
    """An allow that names its revision, from an OPA that names the same."""
    return a_result(allow(revision), revision)


def an_engine(opa: FakeOpa, clock: SystemClock, activation_s: float = 5.0, **options) -> OpaEngine:
    limits = OpaLimits(connections=4, activation_s=activation_s)
    return OpaEngine(link=opa, clock=clock, entrypoint=ENTRYPOINT, limits=limits, **options)


@asynccontextmanager
async def active(*script, always=None) -> AsyncIterator[tuple[FakeOpa, OpaSnapshot, MovedClock]]:
    """A double with `r1` active, then answering by `script`."""
    clock = MovedClock()
    async with fake_opa(always or a_result(allow()), named(), *script) as opa:
        engine = an_engine(opa, clock)
        snapshot = await engine.activate(a_release("r1"))
        opa.requests.clear()
        yield opa, snapshot, clock


async def ask(snapshot: OpaSnapshot, within_s: float = 5.0, entrypoint: str = ENTRYPOINT):
    deadline_s = snapshot._engine._clock.monotonic_s() + within_s
    return await snapshot.evaluate(entrypoint, b'{"a":1}', deadline_s, None)


def reason(raw: object) -> Reason:
    assert isinstance(raw, Failed), raw
    return raw.code


async def test_an_answer_under_the_active_revision_counts():
    async with active() as (_, snapshot, _clock):
        raw = await ask(snapshot)
        assert snapshot.revision == "r1"
        assert snapshot.expected == {"r1"}
        assert snapshot.waits
    assert isinstance(raw, Defined)
    assert (raw.value, raw.meta.revision) == (allow(), "r1")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(a_result(allow("r0")), Reason.POLICY_STALE, id="another revision"),
        pytest.param(a_result(allow(None)), Reason.POLICY_STALE, id="an allow without a name"),
        pytest.param(a_result(allow("")), Reason.POLICY_STALE, id="an empty name"),
        pytest.param(a_result(True), Reason.POLICY_STALE, id="a bare true"),
        pytest.param(a_result({"effect": "hold"}), Reason.POLICY_STALE, id="a hold without a name"),
        pytest.param(an_answer(b"{}", status=500), Reason.POLICY_ERROR, id="500"),
        pytest.param(an_answer(b"{}", status=503), Reason.POLICY_UNAVAILABLE, id="503"),
        pytest.param(an_answer(b"{"), Reason.POLICY_MALFORMED, id="not JSON"),
        pytest.param(Fault.HALF, Reason.POLICY_UNAVAILABLE, id="half an answer"),
    ],
)
async def test_what_may_not_count_fails_with_its_reason(line, expected):
    async with active(line) as (_, snapshot, _clock):
        assert reason(await ask(snapshot)) is expected


@pytest.mark.parametrize(
    "value",
    [False, {"effect": "deny"}, {"effect": "Allow"}, None, 7],
    ids=["false", "a deny", "no effect of ours", "null", "a number"],
)
async def test_what_opens_nothing_is_handed_on_without_a_name(value):
    async with active(a_result(value)) as (_, snapshot, _clock):
        raw = await ask(snapshot)
    assert isinstance(raw, Defined)
    assert raw.value == value


async def test_undefined_is_handed_on():
    async with active(an_answer(b"{}")) as (_, snapshot, _clock):
        assert isinstance(await ask(snapshot), Undefined)


async def test_silence_ends_by_the_deadline():
    async with active(Fault.HANG) as (_, snapshot, _clock):
        assert reason(await ask(snapshot, within_s=0.05)) is Reason.POLICY_TIMEOUT


async def test_asked_after_the_deadline_nothing_is_sent():
    async with active() as (opa, snapshot, _clock):
        assert reason(await ask(snapshot, within_s=0)) is Reason.POLICY_TIMEOUT
        assert opa.requests == []


@pytest.mark.parametrize(
    "entrypoint", ["data", "system.authz", "data.a/../b", "data.x y", "data.é"]
)
async def test_only_an_entry_point_of_ours_is_asked(entrypoint):
    async with active() as (opa, snapshot, _clock):
        assert reason(await ask(snapshot, entrypoint=entrypoint)) is Reason.POLICY_ERROR
        assert opa.requests == []


async def test_the_number_of_entry_points_is_bounded():
    async with active() as (_, snapshot, _clock):
        for number in range(20):
            raw = await ask(snapshot, entrypoint=f"data.outrider.x{number}")
        assert reason(raw) is Reason.POLICY_ERROR


async def test_provenance_is_asked_for_only_where_the_decision_names_no_revision():
    async with active() as (opa, snapshot, _clock):
        await ask(snapshot)
        assert b"provenance" not in opa.requests[0]
    clock = MovedClock()
    async with fake_opa(a_result(True, "r1")) as opa:
        snapshot = await an_engine(opa, clock).activate(a_release("r1"))
        raw = await ask(snapshot)
        assert b"provenance=true" in opa.requests[-1]
    assert isinstance(raw, Defined)
    assert raw.meta.revision == "r1"


async def test_five_silences_in_a_row_open_the_breaker_and_it_denies_unasked():
    async with active(*[Fault.CLOSE] * 2 * FAILURES) as (opa, snapshot, _clock):
        for _ in range(FAILURES):
            assert reason(await ask(snapshot)) is Reason.POLICY_UNAVAILABLE
        asked = len(opa.requests)
        assert reason(await ask(snapshot)) is Reason.POLICY_UNAVAILABLE
        assert len(opa.requests) == asked
        assert not snapshot._engine.up


async def test_evaluation_errors_never_open_the_breaker():
    async with active(*[an_answer(b"{}", status=500)] * 20) as (_, snapshot, _clock):
        for _ in range(20):
            assert reason(await ask(snapshot)) is Reason.POLICY_ERROR
        assert isinstance(await ask(snapshot), Defined)


async def test_one_probe_closes_the_breaker_again():
    async with active(*[Fault.CLOSE] * FAILURES) as (_, snapshot, clock):
        for _ in range(FAILURES + 1):
            await ask(snapshot)
        clock.pass_s(5)
        assert isinstance(await ask(snapshot), Defined)
        assert snapshot._engine.up


async def test_a_question_cut_off_by_the_decisions_deadline_counts_as_silence():
    async with active(always=Fault.HANG) as (_, snapshot, clock):
        for _ in range(FAILURES):
            deadline_s = clock.monotonic_s() + 0.01
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await snapshot.evaluate(ENTRYPOINT, b"{}", deadline_s, None)
        assert not snapshot._engine.up


async def test_a_caller_that_leaves_is_no_failure_of_opas():
    async with active(always=Fault.HANG) as (_, snapshot, _clock):
        for _ in range(3 * FAILURES):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await ask(snapshot)
        assert snapshot._engine.up


async def test_during_an_activation_both_revisions_count_and_nothing_is_refused():
    async with active(a_result(allow("r1"), "r1"), a_result(allow("r2")), always=named("r2")) as (
        opa,
        old,
        _clock,
    ):
        engine = old._engine
        activating = asyncio.ensure_future(engine.activate(a_release("r2")))
        await until(lambda: bool(opa.requests))
        assert old.expected == {"r1", "r2"}
        raw = await ask(old)
        assert isinstance(raw, Defined)
        new = await activating
        assert (new.revision, new.expected) == ("r2", {"r2"})
        assert engine.snapshot() is new
        # an exchange that began on the old one still has an answer
        assert isinstance(await ask(old), Defined)


async def test_an_opa_that_keeps_another_revision_fails_the_activation_and_the_last_stays():
    clock = MovedClock()
    async with fake_opa(named("r1")) as opa:
        engine = an_engine(opa, clock, activation_s=0.3)
        old = await engine.activate(a_release("r1"))
        with pytest.raises(ConfigError, match="did not answer under revision r2"):
            await engine.activate(a_release("r2"))
        assert engine.snapshot() is old
        assert old.expected == {"r1"}
        assert isinstance(await ask(old), Defined)


async def test_an_opa_too_old_is_refused():
    body = {"result": allow("r1"), "provenance": {"version": "1.18.0"}}
    async with fake_opa(an_answer(body)) as opa:
        with pytest.raises(ConfigError, match=r"1\.18\.0; at least 1\.18\.1"):
            await an_engine(opa, MovedClock()).activate(a_release("r1"))


async def test_an_opa_that_says_no_version_is_refused():
    async with fake_opa(a_result(allow("r1"))) as opa:
        with pytest.raises(ConfigError, match="says no OPA version"):
            await an_engine(opa, MovedClock()).activate(a_release("r1"))


async def test_a_policy_that_fails_on_every_canary_is_active_where_opa_surely_took_it():
    async with fake_opa(an_answer(b"{}", status=500)) as opa:
        opa.takes = True
        snapshot = await an_engine(opa, MovedClock()).activate(a_release("r1"))
        assert snapshot.provenance
        assert reason(await ask(snapshot)) is Reason.POLICY_ERROR


async def test_a_policy_that_fails_on_every_canary_is_not_known_to_be_the_one_beside_us():
    async with fake_opa(an_answer(b"{}", status=500)) as opa:
        with pytest.raises(ConfigError, match="did not answer"):
            await an_engine(opa, MovedClock(), activation_s=0.3).activate(a_release("r1"))


@pytest.mark.parametrize(
    "rego",
    [
        "package outrider\n\nx := 1\n",
        "package outrider\n\n# decision := true\n",
        "package outrider\n\ndecisions := true\n",
    ],
)
async def test_a_release_that_cannot_define_the_entry_point_never_reaches_opa(rego):
    async with fake_opa(named()) as opa:
        with pytest.raises(ConfigError, match="defined nowhere"):
            await an_engine(opa, MovedClock()).activate(a_release("r1", rego))
        assert (opa.requests, opa.offered) == ([], [])


@pytest.mark.parametrize(
    "rego",
    [
        "package outrider\n\ndefault decision := false\n",
        "package outrider\n\ndecision contains 1\n",
    ],
)
async def test_a_release_that_may_define_the_entry_point_is_tried(rego):
    async with fake_opa(named()) as opa:
        await an_engine(opa, MovedClock()).activate(a_release("r1", rego))
        assert opa.offered == ["r1"]


async def test_where_nothing_was_activated_there_is_no_snapshot():
    async with fake_opa() as opa:
        engine = an_engine(opa, MovedClock())
        assert not engine.up
        assert engine.fault()
        with pytest.raises(ConfigError):
            engine.snapshot()


async def test_ups_and_downs_are_told_once_each_and_seen_without_a_caller(monkeypatch):
    monkeypatch.setattr(engine_module, "_SICK_EVERY_S", 0.01)
    told: list[bool] = []
    async with fake_opa(named("r1")) as opa:
        engine = an_engine(opa, MovedClock(), on_up=told.append)
        snapshot = await engine.activate(a_release("r1"))
        opa.always = Fault.CLOSE
        for _ in range(FAILURES):
            await ask(snapshot)
        assert told == [True, False]
        running = asyncio.ensure_future(engine.run())
        opa.always = named("r1")
        await until(lambda: engine.up)
        assert told == [True, False, True]
        running.cancel()
        await asyncio.wait([running])
    assert told == [True, False, True, False]


async def test_an_opa_that_comes_to_serve_another_revision_is_not_up(monkeypatch):
    monkeypatch.setattr(engine_module, "_SICK_EVERY_S", 0.01)
    monkeypatch.setattr(engine_module, "_HEALTHY_EVERY_S", 0.02)
    async with fake_opa(named("r1")) as opa:
        engine = an_engine(opa, MovedClock())
        await engine.activate(a_release("r1"))
        running = asyncio.ensure_future(engine.run())
        opa.always = named("r0")
        await until(lambda: not engine.up)
        opa.always = named("r1")
        await until(lambda: engine.up)
        running.cancel()
        await asyncio.wait([running])


REFUSED = an_answer({"code": "unauthorized"}, status=401)


@asynccontextmanager
async def watched(monkeypatch) -> AsyncIterator[tuple[FakeOpa, OpaSnapshot]]:
    """A double with `r1` active and a running engine; canaries come only where there is doubt."""
    monkeypatch.setattr(engine_module, "_SICK_EVERY_S", 0.01)
    monkeypatch.setattr(engine_module, "_HEALTHY_EVERY_S", 3600.0)
    async with active(always=named()) as (opa, snapshot, _clock):
        opa.script.clear()
        running = asyncio.ensure_future(snapshot._engine.run())
        await ask(snapshot)
        await until(lambda: len(opa.requests) > 1)  # the first canary, which nothing came before
        yield opa, snapshot
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param(REFUSED, "401 unauthorized: it does not let us ask; name our", id="401"),
        pytest.param(an_answer(b"no", status=403), "OPA answered 403: it does not let", id="403"),
        pytest.param(an_answer(b"{}", status=404), "OPA answered 404", id="404"),
        pytest.param(an_answer(b"{}", status=500), "OPA answered 500", id="every-evaluation-fails"),
        pytest.param(an_answer(b"<html>"), "not JSON", id="no-opa"),
        pytest.param(a_result(allow("r0")), "under revision r0, ours is r1; give", id="stale"),
        pytest.param(Fault.CLOSE, "nothing answers at /", id="silent"),
    ],
)
async def test_an_opa_that_decides_nothing_is_not_up_under_load_and_says_why(
    monkeypatch, line, told
):
    async with watched(monkeypatch) as (opa, snapshot):
        engine = snapshot._engine
        assert (engine.up, engine.fault()) == (True, None)
        opa.always = line
        await ask(snapshot)
        while engine.up:
            await ask(snapshot)
            await asyncio.sleep(0)
        for _ in range(20):
            await ask(snapshot)
            assert not engine.up
        assert told in (engine.fault() or "")
        assert str(opa.path) in (engine.fault() or "")
        opa.always = named()
        await until(lambda: engine.up)
        assert engine.fault() is None


async def test_a_callers_input_that_fails_takes_nothing_down(monkeypatch):
    async with watched(monkeypatch) as (opa, snapshot):
        for _ in range(5):
            asked = len(opa.requests)
            opa.script.append(an_answer(b"{}", status=500))
            assert reason(await ask(snapshot)) is Reason.POLICY_ERROR
            await until(lambda asked=asked: len(opa.requests) > asked + 1)  # the canary
            assert snapshot._engine.up


ACTIVATION = [
    pytest.param(Fault.CLOSE, "s: nothing answers at /.*: OPA closed the connection", id="nothing"),
    pytest.param(named("b2"), r"answers under revision b2, ours is r1; give both", id="another"),
    pytest.param(a_result(True, "b\n2\x1b"), r"under revision b\?2\?, ours is r1", id="hostile"),
    pytest.param(
        an_answer({"result": True, "provenance": {"version": "1.20.2"}}),
        "names no revision, ours is r1; see that it has one bundle",
        id="no-bundle",
    ),
    pytest.param(REFUSED, "OPA answered 401 unauthorized: it does not let us ask", id="refused"),
]


@pytest.mark.parametrize(("line", "told"), ACTIVATION)
async def test_an_activation_in_vain_says_what_opa_answered(line, told):
    async with fake_opa(line) as opa:
        engine = an_engine(opa, MovedClock(), activation_s=0.2)
        with pytest.raises(ConfigError, match=told):
            await engine.activate(a_release("r1"))


async def test_an_opa_beside_us_is_given_nothing_and_waited_for():
    async with fake_opa(named("r2"), named("r0"), named("r1")) as opa:
        link = OthersLink(opa.door)
        engine = OpaEngine(link=link, clock=SystemClock(), entrypoint=ENTRYPOINT)
        snapshot = await engine.activate(a_release("r2"))
        assert isinstance(await ask(snapshot), Defined)
        assert opa.offered == []
        assert len(opa.requests) == 4


async def test_no_free_connection_is_no_failure_of_the_engine():
    async with active(*[Fault.HANG] * 4) as (_, snapshot, _clock):
        async with asyncio.TaskGroup() as group:
            slow = [group.create_task(ask(snapshot, within_s=0.4)) for _ in range(4)]
            crowd = [group.create_task(ask(snapshot, within_s=0.1)) for _ in range(FAILURES + 1)]
        assert {reason(one.result()) for one in crowd} == {Reason.OVERLOAD}
        assert {reason(one.result()) for one in slow} == {Reason.POLICY_TIMEOUT}
        assert isinstance(await ask(snapshot), Defined)
