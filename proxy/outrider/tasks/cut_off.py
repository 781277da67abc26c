"""Who and what policy had cut off, kept where every sidecar of the store sees it (GOVERNANCE §9).

Laws: it counts here before anything is written and once it is written everywhere that looks; what
could not be written still counts here; nothing here lifts it.
"""

from collections.abc import Callable

import orjson

from outrider.core.errors import StoreUnavailableError
from outrider.core.jsonvalue import as_object
from outrider.core.ports import Clock, States
from outrider.tasks.quarantine import QuarantineList, Scope

TABLE = "quarantine"


class CutOffs:
    """Fills a `QuarantineList` from the store and writes to both."""

    def __init__(
        self,
        *,
        states: States,
        cut: QuarantineList,
        clock: Clock,
        propagated: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`propagated` is told how long ago another sidecar wrote what is taken in; not of what
        stood there at the first look, which says nothing of how fast word travels."""
        self._states = states
        self._cut = cut
        self._clock = clock
        self._propagated = propagated
        self._known: set[str] = set()
        self._looked = False

    async def load(self) -> tuple[tuple[Scope, str], ...]:
        """Take in what is cut off by now; what was not known before. Raises
        `StoreUnavailableError`."""
        fresh: list[tuple[Scope, str]] = []
        for key, held in (await self._states.items(TABLE)).items():
            if key not in self._known:
                scope, name, at_unix_s = _read(held.value)
                self._cut.cut(scope, name)
                self._known.add(key)
                fresh.append((scope, name))
                if self._looked and at_unix_s is not None:
                    self._propagated(self._clock.unix_s() - at_unix_s)
        self._looked = True
        return tuple(fresh)

    async def cut(self, scope: Scope, name: str, reason: str) -> None:
        """Cut `name` off. Durable when it returns. Raises `StoreUnavailableError`: it counts here
        even then."""
        self._cut.cut(scope, name)
        value = orjson.dumps(
            {"scope": scope, "name": name, "reason": reason, "at": round(self._clock.unix_s(), 3)}
        )
        key = f"{scope.value}:{name}"
        self._known.add(key)
        # Whoever wrote it first cut it off as well.
        await self._states.swap(TABLE, key, 0, value, durable=True)


def _read(value: bytes) -> tuple[Scope, str, float | None]:
    """Scope, name and when it was written, as far as that can be read."""
    try:
        document = as_object(orjson.loads(value))
        at = document.get("at")
        when = float(at) if isinstance(at, int | float) else None
        return Scope(str(document.get("scope"))), str(document["name"]), when
    except (orjson.JSONDecodeError, KeyError, ValueError) as fault:
        raise StoreUnavailableError("the list of who is cut off cannot be read") from fault
