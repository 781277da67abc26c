"""A sidecar that is killed loses nothing that was durable, and its file is whole."""

import asyncio
import sys
from random import Random

import pytest

from outrider.core.clock import SystemClock
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support.counters import a_ledger, running


@pytest.mark.timeout(60)
async def test_what_was_durable_outlives_a_kill(tmp_path):
    path, clock = tmp_path / "store.db", SystemClock()
    random = Random(1)  # noqa: S311 - moments
    before = 0
    for _ in range(4):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.sole_worker", str(path)),
            stdout=asyncio.subprocess.PIPE,
        )
        last = int(await process.stdout.readline())
        assert last == before + 3
        await asyncio.sleep(random.uniform(0, 0.05))
        process.kill()
        async for line in process.stdout:
            last = int(line) if line.endswith(b"\n") else last
        await process.wait()
        file = SqliteFile(path=path)
        ledger = a_ledger(SqliteStates(file, clock=clock), clock=clock)
        async with running(ledger):
            document = await ledger.look("t")
        await file.close()
        assert not document.lost
        before = document.counts["calls"]
        assert last <= before <= last + 3
