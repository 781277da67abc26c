"""The store for tests and throw-away runs: nothing outlives the process."""

from outrider.core.jsonvalue import JsonObject
from outrider.stores.tables import check_room, checked_key, checked_table, decoded, written


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
        new = written(key, value)
        kept = {one for one, data in new if data is not None}
        if not kept <= rows.keys():
            gone = {one for one, data in new if data is None}
            check_room(len((rows.keys() | kept) - gone), self._rows)
        for one, data in new:
            if data is None:
                rows.pop(one, None)
            else:
                rows[one] = data

    async def items(self, table: str) -> dict[str, JsonObject]:
        rows = self._tables.get(checked_table(table), {})
        return {key: decoded(data) for key, data in rows.items()}

    async def next_epoch(self, name: str) -> int:
        self._epochs[checked_key(name)] = self._epochs.get(name, 0) + 1
        return self._epochs[name]
