"""State that outlives a request."""

from dataclasses import dataclass
from typing import Final, Protocol

from outrider.core.jsonvalue import JsonObject

MANY_KEYS: Final = "*"
"""Stands for the keys of a `Persist` or `Store.put` that is about several; no key is spelt so."""


class Store(Protocol):
    """State that outlives a request: small JSON objects by table and key (closed table names)."""

    async def get(self, table: str, key: str) -> JsonObject | None: ...

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        """Durable when it returns; None deletes. Raises `StoreUnavailableError`.

        Under `MANY_KEYS`, `value` holds a value (or None) for each of its keys, and all of them
        are written together or none is.
        """

    async def items(self, table: str) -> dict[str, JsonObject]: ...

    async def next_epoch(self, name: str) -> int:
        """A number greater than every one given for `name` before, restarts included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A versioned value as it stands in a store. Versions only grow; the first is 1."""

    version: int
    value: bytes


class States(Protocol):
    """Versioned values by table and key (closed table names): what several sidecars may share.

    Each method raises `StoreUnavailableError`; with cause `unknown` a swap may have happened.
    """

    @property
    def shared(self) -> bool:
        """Whether another process may write what we wrote."""

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        """What stands there, None where nothing does. Where its version is `known`, the value may
        be left empty."""

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
        """Put `value` in the place of version `expected` (0: nothing there), None deletes.

        None where that was done, to version `expected + 1`; else nothing was, and what stands
        there is the answer (`version` 0 where nothing does). It goes by itself `life_s` after its
        last swap. With `durable` it outlives a power cut, else the process.
        """

    async def items(self, table: str) -> dict[str, Held]:
        """Everything in `table`, at most as many as a table may hold."""
