"""Who and what policy had cut off, kept where every sidecar of the store sees it (GOVERNANCE §9).

Laws: it counts here before anything is written and once it is written everywhere that looks; what
could not be written still counts here; nothing here lifts it.
"""

import orjson

from outrider.core.errors import StoreUnavailableError
from outrider.core.jsonvalue import as_object
from outrider.core.ports import Clock, States
from outrider.tasks.quarantine import QuarantineList, Scope

TABLE = "quarantine"


class CutOffs:
    """Fills a `QuarantineList` from the store and writes to both."""

    def __init__(self, *, states: States, cut: QuarantineList, clock: Clock) -> None:
        self._states = states
        self._cut = cut
        self._clock = clock
        self._known: set[str] = set()

    async def load(self) -> tuple[tuple[Scope, str], ...]:
        """Take in what is cut off by now; what was not known before. Raises
        `StoreUnavailableError`."""
        fresh: list[tuple[Scope, str]] = []
        for key, held in (await self._states.items(TABLE)).items():
            if key not in self._known:
                scope, name = _read(held.value)
                self._cut.cut(scope, name)
                self._known.add(key)
                fresh.append((scope, name))
        return tuple(fresh)

    async def cut(self, scope: Scope, name: str, reason: str) -> None:
        """Cut `name` off. Durable when it returns. Raises `StoreUnavailableError`: it counts here
        even then."""
        self._cut.cut(scope, name)
        value = orjson.dumps(
            {"scope": scope, "name": name, "reason": reason, "at": int(self._clock.unix_s())}
        )
        key = f"{scope.value}:{name}"
        self._known.add(key)
        # Whoever wrote it first cut it off as well.
        await self._states.swap(TABLE, key, 0, value, durable=True)


def _read(value: bytes) -> tuple[Scope, str]:
    try:
        document = as_object(orjson.loads(value))
        return Scope(str(document.get("scope"))), str(document["name"])
    except (orjson.JSONDecodeError, KeyError, ValueError) as fault:
        raise StoreUnavailableError("the list of who is cut off cannot be read") from fault
