import asyncio

import pytest

from outrider.server.jobs import Jobs


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
