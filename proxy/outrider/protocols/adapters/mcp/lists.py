"""Lists as the agent gets them: checked, pinned, judged item by item (PROTOCOLS §4.5, §4.6).

Laws: order, `nextCursor` and empty pages stay; an item that cannot be judged is not shown; what
was filtered for one subject is cached for no other.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider.core.action import Ask
from outrider.core.errors import MalformedError, UpstreamFailedError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import Judge, Note, Step
from outrider.core.vocabulary import ActionEffect, Phase, ProtocolName, Role
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.edits import suspicion
from outrider.protocols.adapters.mcp.names import check_uri, is_name, lookalike_of
from outrider.protocols.adapters.mcp.spec import Listing
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.pins import PinMode, definition_digest
from outrider.protocols.sessions import Seen

_PINNED: Final = frozenset({Listing.TOOLS, Listing.PROMPTS, Listing.TEMPLATES})

_NAMED: Final = frozenset({Listing.TOOLS, Listing.PROMPTS})


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    value: JsonObject
    suspect: str | None


def take_list(
    turn: Turn, desk: Desk, message: JsonObject, emit: Callable[[JsonObject], list[Step]]
) -> list[Step]:
    """The steps that turn a list result into what this caller may see of it."""
    listing = spec.LISTING_OF[turn.method]
    result = as_object(message.get("result"))
    items = result.get(listing)
    cursor = result.get("nextCursor")
    if not isinstance(items, list) or not (cursor is None or isinstance(cursor, str)):
        raise UpstreamFailedError("the upstream's list cannot be read")
    page = Page(turn=turn, desk=desk, listing=listing)
    kept = page.read(items)
    steps = page.pin(kept)
    asks = tuple(page.ask(item) for item in kept)

    def judged(verdicts: tuple[bool, ...]) -> list[Step]:
        result[listing] = page.filter(kept, verdicts)
        steps = page.close(cursor)
        keep_private(turn, result)
        return [*steps, *emit(message)]

    return [*steps, Judge(asks=asks, phase=Phase.LIST, then=judged)]


def keep_private(turn: Turn, result: JsonObject) -> None:
    """Cache hints of what was decided for one subject (modern wire only)."""
    if not turn.is_modern or turn.method not in spec.CACHEABLE:
        return
    ttl = result.get("ttlMs")
    fine = isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0
    result["ttlMs"] = min(ttl, turn.options.list_ttl_ms) if fine and isinstance(ttl, int) else 0
    result["cacheScope"] = "private"


class Page:
    """One page of one list."""

    def __init__(self, *, turn: Turn, desk: Desk, listing: Listing) -> None:
        self._turn = turn
        self._desk = desk
        self._listing = listing
        self._notes: list[Step] = []
        cursor = turn.params.get("cursor")
        first = "cursor" not in turn.params
        seen = None if first else turn.scope.seen(listing)
        self._seen: Seen = turn.scope.list_begins(listing) if seen is None else seen
        # A page read again, or from the middle of a list, says nothing of the whole.
        self._is_next = first or (seen is not None and cursor == seen.cursor)

    def read(self, items: list[Json]) -> list[Item]:
        """The items that have a name of their own, each once, and nothing that is refused."""
        member = spec.OFFERS[self._listing][2]
        named = [(item.get(member), item) for item in items if isinstance(item, dict)]
        twins = self._twins(named)
        kept: list[Item] = []
        once: set[str] = set()
        for name, value in named:
            fault = self._fault(name, value, twins)
            if fault is None and name in once:
                fault = "duplicate"
            if fault is not None:
                self._drop(name, fault)
            elif isinstance(name, str):
                kept.append(Item(name, value, suspicion(value)))
                if self._listing in _NAMED:
                    once.add(name)
        if len(named) < len(items):
            self._drop(None, "not_object")
        return kept

    def _twins(self, named: list[tuple[Json, JsonObject]]) -> frozenset[str]:
        """The names that this page gives to different things. The same thing twice is no attack,
        and a page that comes again gives each name to what it had: `pins` sees what differs."""
        counts = Counter(name for name, _ in named if isinstance(name, str))
        if len(counts) == len(named):
            return frozenset()
        found: dict[str, set[str]] = {}
        for name, value in named:
            if isinstance(name, str) and counts[name] > 1:
                digest = definition_digest(self._turn.upstream, value)
                found.setdefault(name, set()).add(digest)
        return frozenset(name for name, digests in found.items() if len(digests) > 1)

    def pin(self, items: list[Item]) -> list[Step]:
        steps = self._notes
        if self._listing in _PINNED:
            steps += self._desk.pins.observe(
                self._turn.upstream,
                self._listing,
                [(item.name, item.value) for item in items],
                PinMode(self._turn.options.pinning),
                {item.name: item.suspect for item in items if item.suspect is not None},
            )
        return steps

    def ask(self, item: Item) -> Ask:
        """The action an item offers, to be judged for visibility."""
        name, kind, _ = spec.OFFERS[self._listing]
        pin = self._desk.pins.get(self._turn.upstream, self._listing, item.name)
        return Ask(
            protocol=ProtocolName.MCP,
            name=name,
            phase=Phase.LIST,
            resource_type=kind,
            upstream=self._turn.upstream,
            resource=item.name,
            arguments=None,
            effect=None if self._listing is Listing.TOOLS else ActionEffect.READ,
            definition=pin.definition if pin else None,
        )

    def filter(self, items: list[Item], verdicts: tuple[bool, ...]) -> list[Json]:
        shown: list[Json] = []
        alert = self._turn.options.pinning == PinMode.ALERT.value
        hidden: JsonObject = {"upstream": self._turn.upstream, "kind": self._listing.value}
        self._notes = []
        for item, visible in zip(items, verdicts, strict=True):
            if not visible:
                self._notes.append(Note(event="hidden", facts=hidden, recorded=False))
            self._seen.judged(item.name, visible=visible)
            pin = self._desk.pins.get(self._turn.upstream, self._listing, item.name)
            trusted = self._listing not in _PINNED or alert or (pin is not None and pin.fits)
            if visible and trusted:
                shown.append(item.value)
        return shown

    def close(self, cursor: str | None) -> list[Step]:
        """After the last page the list is whole: a name that is not in it is unknown."""
        seen = self._seen
        if not self._is_next:
            return self._notes
        seen.cursor = cursor
        seen.pages += self._turn.own
        if cursor is not None and seen.pages >= self._turn.options.list_pages:
            seen.given_up_s = self._desk.clock.monotonic_s()
        if cursor is not None or self._listing not in _PINNED:
            return self._notes
        seen.whole = True
        return self._notes + self._desk.pins.seen_whole(
            self._turn.upstream, self._listing, seen.shown | seen.hidden
        )

    def _fault(self, name: Json, value: JsonObject, twins: frozenset[str]) -> str | None:
        if self._listing in (Listing.RESOURCES, Listing.TEMPLATES):
            return _uri_fault(name, template=self._listing is Listing.TEMPLATES)
        if not isinstance(name, str) or not is_name(name):
            return "name"
        if name in twins:
            pins = self._desk.pins
            self._notes += pins.distrust(self._turn.upstream, self._listing, name, "duplicate")
            return "duplicate"
        upstream = self._turn.manifest.upstreams.get(self._turn.upstream)
        declared = upstream.tools if upstream is not None else {}
        if name not in declared and lookalike_of(name, declared) is not None:
            return "lookalike"
        return self._tool_fault(name, value) if self._listing is Listing.TOOLS else None

    def _tool_fault(self, name: str, tool: JsonObject) -> str | None:
        schemas = self._desk.schemas
        digest = definition_digest(self._turn.upstream, tool)
        mirrored = schemas.mirrored(digest, tool.get("inputSchema"))
        if mirrored is None or self._mirrors_a_secret(name, mirrored):
            return "x_mcp_header"
        compiled = schemas.get(digest, "inputSchema", tool.get("inputSchema"))
        if compiled.fault is None and "outputSchema" in tool:
            compiled = schemas.get(digest, "outputSchema", tool["outputSchema"])
        return compiled.fault

    def _mirrors_a_secret(
        self, name: str, mirrored: dict[str, tuple[tuple[str, ...], str]]
    ) -> bool:
        upstream = self._turn.manifest.upstreams.get(self._turn.upstream)
        entry = upstream.tools.get(name) if upstream is not None else None
        if entry is None or not mirrored:
            return False
        secret = {one.pointer for one in entry.arguments if one.role is Role.CREDENTIAL}
        return any("/" + "/".join(path) in secret for path, _ in mirrored.values())

    def _drop(self, name: Json, why: str) -> None:
        facts: JsonObject = {
            "upstream": self._turn.upstream,
            "kind": self._listing.value,
            "name": name[:128] if isinstance(name, str) else None,
            "why": why,
        }
        self._notes.append(Note(event="list_item_dropped", facts=facts))


def _uri_fault(uri: Json, *, template: bool) -> str | None:
    try:
        check_uri(uri, template=template)
    except MalformedError:
        return "uri"
    return None
