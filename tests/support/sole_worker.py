"""`python -m tests.support.sole_worker <file>`: counts in a ledger over an SQLite file, one change
after the other, every third durable, and says each durable one's number once it returned."""

import asyncio
import os
import sys
from pathlib import Path

from outrider.core.clock import SystemClock
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support.counters import a_ledger, adding, running


async def _main(path: Path) -> None:
    file = SqliteFile(path=path)
    clock = SystemClock()
    ledger = a_ledger(SqliteStates(file, clock=clock), clock=clock)
    async with running(ledger):
        while True:
            await ledger.change("t", adding("calls"))
            await ledger.change("t", adding("calls"))
            number = await ledger.change("t", adding("calls"), durable=True)
            os.write(1, b"%d\n" % number)  # at once: we may be killed in a moment


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
