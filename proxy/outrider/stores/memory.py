"""The stores for tests and throw-away runs: nothing outlives the process."""

from dataclasses import dataclass

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Clock, Held
from outrider.stores.tables import (
    STATE_BYTES,
    check_room,
    checked_key,
    checked_state,
    checked_table,
    checked_value,
    decoded,
    written,
)


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


@dataclass(frozen=True, slots=True)
class _Row:
    held: Held
    ends_unix_s: float | None

    def over(self, now_unix_s: float) -> bool:
        return self.ends_unix_s is not None and now_unix_s >= self.ends_unix_s


class MemoryStates:
    """`core.ports.States` in a dict. `shared` is only what it says of itself."""

    def __init__(
        self,
        *,
        clock: Clock,
        rows: int = 10_000,
        value_bytes: int = STATE_BYTES,
        shared: bool = False,
    ) -> None:
        self._clock = clock
        self._rows = rows
        self._value_bytes = value_bytes
        self._shared = shared
        self._tables: dict[str, dict[str, _Row]] = {}

    @property
    def shared(self) -> bool:
        return self._shared

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        row = self._alive(checked_state(table), checked_key(key))
        if row is None or row.held.version != known:
            return None if row is None else row.held
        return Held(version=known, value=b"")

    async def swap(
        self,
        table: str,
        key: str,
        expected: int,
        value: bytes | None,
        *,
        life_s: int | None = None,
        durable: bool = False,
    ) -> Held | None:
        del durable
        rows = self._tables.setdefault(checked_state(table), {})
        checked_value(value, self._value_bytes)
        row = self._alive(table, checked_key(key))
        if (row.held.version if row is not None else 0) != expected:
            return row.held if row is not None else Held(version=0, value=b"")
        if value is None:
            rows.pop(key, None)
            return None
        if row is None:
            self._sweep(rows)
            check_room(len(rows) + 1, self._rows)
        ends = None if life_s is None else self._clock.unix_s() + life_s
        rows[key] = _Row(Held(version=expected + 1, value=value), ends)
        return None

    async def items(self, table: str) -> dict[str, Held]:
        rows = self._tables.get(checked_state(table), {})
        return {key: row.held for key, row in list(rows.items()) if self._alive(table, key) is row}

    def _alive(self, table: str, key: str) -> _Row | None:
        rows = self._tables.get(table, {})
        row = rows.get(key)
        if row is None or not row.over(self._clock.unix_s()):
            return row
        del rows[key]
        return None

    def _sweep(self, rows: dict[str, _Row]) -> None:
        if len(rows) >= self._rows:
            now = self._clock.unix_s()
            gone = [
                k for k, r in rows.items() if r.ends_unix_s is not None and r.ends_unix_s <= now
            ]
            for key in gone:
                del rows[key]
