"""Documents changed by plain functions, one at a time each, over versioned states (GOVERNANCE §5).

A change is `change(document) -> result`: a plain function that reads and alters the document in
place, or raises before it altered anything. It may be called more than once, each time on another
copy, but takes effect once.

What a crash loses. Over a store that only we write (memory, SQLite) a change is in force at once
and written behind: a killed process loses what was changed in its last 20 ms and what the write
took; with `durable` nothing once `change` returned, a power cut included. Over a shared store
(Redis) a change that returned is in the store, and what then a crash of the server loses is what
the server was set to lose; `change_later` is lost with a process that is killed before its turn.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from outrider.core.ports import Clock, States
from outrider.tasks.ledger_document import Codec, Life, Place
from outrider.tasks.ledger_shared import SharedKeeper
from outrider.tasks.ledger_sole import SoleKeeper

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Keeper(Protocol[T_co]):
    """One way to keep documents; `Ledger` says what each method promises."""

    async def look(self, key: str) -> T_co: ...
    async def change(self, key: str, change: Callable[[T_co], R], *, durable: bool) -> R: ...
    def change_later(self, key: str, change: Callable[[T_co], object]) -> None: ...
    def known(self, key: str) -> T_co | None: ...
    async def run(self) -> None: ...
    async def close(self) -> None: ...


class Ledger(Generic[T]):
    """The documents of one table. Changes of one key take effect in the order they were asked for.

    `run` is the background job that writes: what is `durable`, and over a shared store everything,
    waits until it began. `entries` bounds the documents in memory; those with unwritten changes
    stay, and where all of them have some, a further key is refused.
    """

    def __init__(
        self,
        *,
        states: States,
        table: str,
        codec: Codec[T],
        clock: Clock,
        life_s: Life[T] = None,
        entries: int = 10_000,
    ) -> None:
        place = Place(
            states=states, table=table, codec=codec, clock=clock, life_s=life_s, entries=entries
        )
        self._keeper: Keeper[T] = SharedKeeper(place) if states.shared else SoleKeeper(place)

    def look(self, key: str) -> Awaitable[T]:
        """The document in force, earlier changes of ours included, later ones not for certain.

        To be read before the next await and never altered: it is the ledger's own. Asks a shared
        store whether it changed. Raises `StoreUnavailableError`.
        """
        return self._keeper.look(key)

    def change(self, key: str, change: Callable[[T], R], *, durable: bool = False) -> Awaitable[R]:
        """What `change` returns on the document in force; what it raises is raised.

        Raises `StoreUnavailableError` where the store is lost: then nothing was changed, unless its
        cause is `unknown` (it may have been, or still be: undo by something the document knows it
        by). A cancelled change is either made or not. A sole store that cannot be written refuses
        from the first write that failed until one succeeds.
        """
        return self._keeper.change(key, change, durable=durable)

    def change_later(self, key: str, change: Callable[[T], object]) -> None:
        """Make `change` after all those asked for before it. Never waits, never raises.

        While the store is lost it is kept and tried again, at most 16,384 of them: further ones
        are dropped and told in the log, as is one that raises.
        """
        self._keeper.change_later(key, change)

    def known(self, key: str) -> T | None:
        """The last state known here, asking nobody; None where none is. Not to be altered."""
        return self._keeper.known(key)

    async def run(self) -> None:
        """Write what is changed, until cancelled; from then on changes are refused."""
        await self._keeper.run()

    async def close(self) -> None:
        """Write what is left, for at most 2 s; after `run` ended. What is lost is told in the
        log. Later changes are refused. Idempotent."""
        await self._keeper.close()
