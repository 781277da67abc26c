import asyncio

import pytest

from outrider.server.jobs import Errands, Jobs


async def test_jobs_run_by_name_and_end_with_the_group():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async with Jobs() as jobs:
        jobs.start("work", work())
        await asyncio.sleep(0)
        assert jobs.names == {"work"}
    assert ended == ["work"]
    assert jobs.names == frozenset()


async def test_a_job_that_fails_takes_the_others_with_it():
    cancelled = asyncio.Event()

    async def fail():
        raise ValueError("broken")

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def run():
        async with Jobs() as jobs:
            jobs.start("wait", wait())
            jobs.start("fail", fail())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert isinstance(caught.value.exceptions[0], ValueError)
    assert cancelled.is_set()


async def test_stop_is_idempotent():
    async with Jobs() as jobs:
        jobs.start("wait", asyncio.Event().wait())
        jobs.stop()
        jobs.stop()


class PanicException(BaseException):
    """Named as pyo3 names its own, which cannot be imported."""


async def _raise(fault):
    raise fault


async def test_a_panic_in_an_exchanges_job_ends_that_job_alone(caplog):
    ended = []

    async def work():
        await asyncio.Event().wait()

    async with Jobs() as jobs:
        jobs.start("work", work())
        Errands(jobs).start("exchange", _raise(PanicException("index out of bounds")))
        for _ in range(5):
            await asyncio.sleep(0)
        ended += jobs.names
    assert ended == ["work"]
    assert [(one.getMessage(), one.job) for one in caplog.records] == [
        ("a background job failed", "exchange")
    ]


@pytest.mark.parametrize("errand", [True, False], ids=["any-other-fault", "a-service"])
async def test_what_is_no_exchanges_panic_ends_the_process(errand):
    async def run():
        async with asyncio.timeout(5), Jobs() as jobs:
            if errand:
                Errands(jobs).start("exchange", _raise(ValueError("broken")))
            else:
                jobs.start("watch", _raise(PanicException("index out of bounds")))
            await asyncio.Event().wait()

    with pytest.raises(BaseExceptionGroup):
        await run()
