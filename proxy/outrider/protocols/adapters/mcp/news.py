"""What an open stream says once its caller may see other things than before (PROTOCOLS §4.5).

Laws: only what this caller may see decides, so nobody learns of others' grants; each stream says
it only where it may (case 54); a name is never said, the caller lists again.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import orjson

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Emit, Judge, Step
from outrider.core.vocabulary import Phase
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.lists import offer, trusts
from outrider.protocols.adapters.mcp.spec import Listing
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.sessions import Scope, Seen
from outrider.protocols.wire.sse import encode_event

_AT_ONCE: Final = 256  # names that are judged together
_LISTEN: Final = "subscriptions/listen"
_TOLD_BY: Final = frozenset({"GET", _LISTEN})
_LISTS: Final = {
    "toolsListChanged": ("notifications/tools/list_changed", (Listing.TOOLS,)),
    "promptsListChanged": ("notifications/prompts/list_changed", (Listing.PROMPTS,)),
    "resourcesListChanged": (
        "notifications/resources/list_changed",
        (Listing.RESOURCES, Listing.TEMPLATES),
    ),
}


def tells(turn: Turn) -> bool:
    """Whether the answer to this exchange is a stream that tells of lists."""
    return turn.method in _TOLD_BY


class News:
    """The news of one stream."""

    def __init__(self, *, turn: Turn, desk: Desk) -> None:
        self._turn = turn
        self._desk = desk
        self._agreed: frozenset[str] | None = None if turn.is_modern else frozenset(_LISTS)
        self._is_due = False

    def acknowledged(self, notifications: JsonObject) -> list[Step]:
        """The upstream said what the stream is about; what had to wait for that follows."""
        self._agreed = frozenset(flag for flag in _LISTS if notifications.get(flag) is True)
        return self.steps() if self._is_due else []

    def steps(self) -> list[Step]:
        """Look which lists are other ones now, and say so. Before the acknowledgement of a
        modern stream nothing may be said: it waits."""
        if self._agreed is None:
            self._is_due = True
            return []
        self._is_due = False
        scope = self._desk.sessions.known_scope(self._turn.scope_key)
        found: list[Step] = []
        for flag in sorted(self._agreed):
            method, listings = _LISTS[flag]
            if scope is None:  # what its caller saw is forgotten: it may be anything
                found += self._tell(method)
                continue
            for listing in listings:
                seen = scope.seen(listing)
                if seen is not None:
                    found += self._compared(scope, listing, seen, method)
        return found

    def _compared(self, scope: Scope, listing: Listing, seen: Seen, method: str) -> list[Step]:
        """Judge the names of a list again, until one is found that has come or gone."""
        names = iter(sorted(seen.shown | seen.hidden))
        served = frozenset(seen.served)

        def go_on() -> list[Step]:
            some = tuple(islice(names, _AT_ONCE))
            asks = tuple(offer(self._turn, self._desk, listing, name) for name in some)

            def judged(verdicts: tuple[bool, ...]) -> list[Step]:
                shows = set(self._shown(listing, some, verdicts))
                if shows == served.intersection(some):
                    return go_on()
                scope.outdate(listing)
                return self._tell(method)

            return [Judge(asks=asks, phase=Phase.LIST, then=judged)] if some else []

        return go_on()

    def _shown(
        self, listing: Listing, names: tuple[str, ...], verdicts: tuple[bool, ...]
    ) -> Iterator[str]:
        for name, visible in zip(names, verdicts, strict=True):
            pin = self._desk.pins.get(self._turn.upstream, listing, name)
            if visible and trusts(self._turn, listing, pin):
                yield name

    def _tell(self, method: str) -> list[Step]:
        message: JsonObject = {"jsonrpc": "2.0", "method": method}
        if self._turn.is_modern:
            message["params"] = {"_meta": {spec.META_SUBSCRIPTION: self._turn.id}}
        return [Emit(data=encode_event(orjson.dumps(message)))]
