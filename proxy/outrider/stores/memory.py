"""The store for tests and throw-away runs: nothing outlives the process."""

from outrider.core.jsonvalue import JsonObject
from outrider.stores.tables import check_room, checked_key, checked_table, decoded, encoded


class MemoryStore:
    """`core.ports.Store` in a dict. Values are kept as bytes, so nobody shares a mutable one."""

    def __init__(self, *, rows: int = 10_000) -> None:
        self._rows = rows
        self._tables: dict[str, dict[str, bytes]] = {}
        self._epochs: dict[str, int] = {}

    def healthy(self) -> bool:
        return True

    async def get(self, table: str, key: str) -> JsonObject | None:
        data = self._tables.get(checked_table(table), {}).get(key)
        return None if data is None else decoded(data)

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        rows = self._tables.setdefault(checked_table(table), {})
        if value is None:
            rows.pop(checked_key(key), None)
            return
        data = encoded(value)
        if checked_key(key) not in rows:
            check_room(len(rows), self._rows)
        rows[key] = data

    async def items(self, table: str) -> dict[str, JsonObject]:
        rows = self._tables.get(checked_table(table), {})
        return {key: decoded(data) for key, data in rows.items()}

    async def next_epoch(self, name: str) -> int:
        self._epochs[checked_key(name)] = self._epochs.get(name, 0) + 1
        return self._epochs[name]
