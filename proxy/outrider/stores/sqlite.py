"""`Store` in one SQLite file (one sync for every put).

Laws: SQL text is fixed, table names are from the closed set; a put is on the disk when it returns.
"""

import sqlite3
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.stores.sqlite_file import SqliteFile, transaction
from outrider.stores.tables import (
    TABLES,
    check_room,
    checked_key,
    checked_table,
    decoded,
    written,
)

_GET: Final = {t: f"SELECT value FROM {t} WHERE key = ?" for t in TABLES}  # noqa: S608 - closed set
_ITEMS: Final = {t: f"SELECT key, value FROM {t}" for t in TABLES}  # noqa: S608 - closed set
_DELETE: Final = {t: f"DELETE FROM {t} WHERE key = ?" for t in TABLES}  # noqa: S608 - closed set
_COUNT: Final = {t: f"SELECT count(*) FROM {t}" for t in TABLES}  # noqa: S608 - closed set
_PUT: Final = {
    t: f"INSERT INTO {t} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"  # noqa: S608 - closed set
    for t in TABLES
}
_NEXT: Final = (
    "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1 "
    "RETURNING last"
)


class SqliteStore:
    """`core.ports.Store` over `file`, at most `rows` in a table."""

    def __init__(self, file: SqliteFile, *, rows: int = 10_000) -> None:
        self._file = file
        self._rows = rows

    def healthy(self) -> bool:
        """True while the file's last operation went well."""
        return self._file.healthy()

    async def get(self, table: str, key: str) -> JsonObject | None:
        checked_key(key)
        sql = _GET[checked_table(table)]
        row = await self._file.run(lambda connection: connection.execute(sql, (key,)).fetchone())
        return None if row is None else decoded(row[0])

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        count, put, delete = _COUNT[checked_table(table)], _PUT[table], _DELETE[table]
        rows = written(key, value)
        gone = [(one,) for one, data in rows if data is None]
        kept = [(one, data) for one, data in rows if data is not None]

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection, durable=True):  # one transaction, so one sync
                connection.executemany(delete, gone)
                connection.executemany(put, kept)
                if kept:
                    check_room(connection.execute(count).fetchone()[0], self._rows)

        await self._file.run(write)

    async def items(self, table: str) -> dict[str, JsonObject]:
        sql = _ITEMS[checked_table(table)]
        rows = await self._file.run(lambda connection: connection.execute(sql).fetchall())
        return {key: decoded(data) for key, data in rows}

    async def next_epoch(self, name: str) -> int:
        checked_key(name)

        def count(connection: sqlite3.Connection) -> int:
            with transaction(connection, durable=True):
                return int(connection.execute(_NEXT, (name,)).fetchone()[0])

        return await self._file.run(count)
