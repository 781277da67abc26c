"""A start is bounded, says what it waits for, and can be left."""

import asyncio
import logging

import pytest

from outrider.app.starting import StartError, Startup
from tests.support.virtual import in_virtual_time, now_s


async def _at_once() -> None:
    pass


async def _never() -> None:
    await asyncio.Event().wait()


def words(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [getattr(record, "waits_for", None) for record in caplog.records]


def test_ready_at_once_is_started_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    in_virtual_time(Startup(limit_s=30, waits_for=lambda: "").run(_at_once))
    assert caplog.records == []


def test_what_is_waited_for_is_said_every_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "outrider.app")

    def waits_for() -> str:
        return "" if now_s() >= 12 else f"identity, at {now_s():.0f}"

    async def work() -> float:
        await Startup(limit_s=30, waits_for=waits_for).run(_at_once)
        return now_s()

    assert 12 <= in_virtual_time(work()) < 12.2
    assert words(caplog) == ["identity, at 5", "identity, at 10"]


@pytest.mark.parametrize(
    "start", [pytest.param(_at_once, id="not-ready"), pytest.param(_never, id="not-started")]
)
def test_past_the_limit_it_ends_naming_what_was_missing(start: object) -> None:
    startup = Startup(limit_s=30, waits_for=lambda: "policy: no policy is in force")

    async def work() -> None:
        with pytest.raises(StartError, match=r"startup_timeout_s \(30\).*policy: no policy"):
            await startup.run(start)  # type: ignore[arg-type]
        assert now_s() == pytest.approx(30, abs=0.1)

    in_virtual_time(work())


def test_whoever_is_told_to_leave_leaves_and_what_was_begun_is_cancelled() -> None:
    cancelled: list[float] = []

    async def start() -> None:
        try:
            await _never()
        except asyncio.CancelledError:
            cancelled.append(now_s())
            raise

    async def work() -> None:
        startup = Startup(limit_s=30, waits_for=lambda: "the store")
        asyncio.get_running_loop().call_later(3, startup.abandon)
        await startup.run(start)

    in_virtual_time(work())
    assert cancelled == [3]


def test_told_to_leave_before_it_began_it_waits_for_nothing() -> None:
    async def work() -> float:
        startup = Startup(limit_s=30, waits_for=lambda: "the store")
        startup.abandon()
        await startup.run(_never)
        return now_s()

    assert in_virtual_time(work()) == 0


@pytest.mark.parametrize("fault", [TimeoutError("inner"), ValueError("broken")])
def test_what_the_start_raises_is_raised_as_it_is(fault: Exception) -> None:
    async def start() -> None:
        raise fault

    with pytest.raises(type(fault), match=str(fault)):
        in_virtual_time(Startup(limit_s=30, waits_for=lambda: "x").run(start))
