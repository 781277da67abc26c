"""Lists as the agent gets them: checked, pinned, judged item by item (PROTOCOLS §4.5, §4.6).

Laws: order, `nextCursor` and empty pages stay; an item that cannot be judged is not shown; what
was filtered for one subject is cached for no other; a page and each of its items are bounded, and
a long page is worked on in turns with everything else.
"""

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeAlias

from outrider.core.action import Ask
from outrider.core.errors import MalformedError, UpstreamFailedError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import Judge, Note, Step
from outrider.core.vocabulary import ActionEffect, Phase, ProtocolName, Role
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.edits import suspicion
from outrider.protocols.adapters.mcp.names import Lookalikes, check_uri, is_name
from outrider.protocols.adapters.mcp.spec import Listing
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.pins import Described, Pin, PinMode, described
from outrider.protocols.sessions import Seen
from outrider.protocols.wire.turns import Work, in_turns

_CURSOR: Final = 4096
_NOTED: Final = 16
_TURN: Final = 32  # items looked at, or one schema compiled, or this many half kilobytes
_UNIT_BYTES: Final = 512
_PINNED: Final = frozenset({Listing.TOOLS, Listing.PROMPTS, Listing.TEMPLATES})

_NAMED: Final = frozenset({Listing.TOOLS, Listing.PROMPTS})


Named: TypeAlias = tuple[Json, JsonObject, Described | None]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a list offers; `words` are what is pinned of it, where anything is."""

    name: str
    value: JsonObject
    words: Described | None


def take_list(
    turn: Turn, desk: Desk, message: JsonObject, emit: Callable[[JsonObject], list[Step]]
) -> list[Step]:
    """The steps that turn a list result into what this caller may see of it."""
    listing = spec.LISTING_OF[turn.method]
    result = as_object(message.get("result"))
    items = result.get(listing)
    cursor = result.get("nextCursor")
    if not isinstance(items, list) or not _is_cursor(cursor):
        raise UpstreamFailedError("the upstream's list cannot be read")
    if len(items) > turn.options.list_items:
        limit = turn.options.list_items
        raise UpstreamFailedError(
            f"a page of the list has {len(items)} entries, more than mcp.list_items ({limit})",
            cause="list_items",
        )
    page = Page(turn=turn, desk=desk, listing=listing)
    return in_turns(_judged(page, items, message, emit))


def _judged(
    page: "Page", items: list[Json], message: JsonObject, emit: Callable[[JsonObject], list[Step]]
) -> Work:
    result = as_object(message.get("result"))
    cursor = result.get("nextCursor")
    kept = yield from page.read(items)
    steps = yield from page.pin(kept)
    asks = tuple(page.ask(item) for item in kept)

    def judged(verdicts: tuple[bool, ...]) -> list[Step]:
        result[page.listing] = page.filter(kept, verdicts)
        steps = page.close(cursor if isinstance(cursor, str) else None)
        keep_private(page.turn, result)
        return [*steps, *emit(message)]

    return [*steps, Judge(asks=asks, phase=Phase.LIST, then=judged)]


def _is_cursor(value: Json) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= _CURSOR)


def keep_private(turn: Turn, result: JsonObject) -> None:
    """Cache hints of what was decided for one subject (modern wire only)."""
    if not turn.is_modern or turn.method not in spec.CACHEABLE:
        return
    ttl = result.get("ttlMs")
    fine = isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0
    most = turn.options.list_ttl_ms
    if turn.lifetime_s is not None:
        most = min(most, int(turn.lifetime_s * 1000))
    result["ttlMs"] = min(ttl, most) if fine and isinstance(ttl, int) else 0
    result["cacheScope"] = "private"


class Page:
    """One page of one list."""

    def __init__(self, *, turn: Turn, desk: Desk, listing: Listing) -> None:
        self.turn: Final = turn
        self.listing: Final = listing
        self._desk = desk
        self._notes: list[Step] = []
        self._dropped = 0
        self._done = 0
        upstream = turn.manifest.upstreams.get(turn.upstream)
        self._declared = upstream.tools if upstream is not None else {}
        self._alike = Lookalikes(self._declared)
        cursor = turn.params.get("cursor")
        first = "cursor" not in turn.params
        seen = turn.begun
        if seen is None and not first:
            seen = turn.scope.list_goes_on(listing)
        self._seen: Seen = turn.scope.list_begins(listing) if seen is None else seen
        # A page read again, or from the middle of a list, says nothing of the whole.
        self._is_next = first or (seen is not None and cursor == seen.cursor)

    def read(self, items: list[Json]) -> Generator[None, None, list[Item]]:
        """The items that have a name of their own, each once, and nothing that is refused."""
        named: list[Named] = []
        for value in items:
            if isinstance(value, dict):
                name = value.get(spec.OFFERS[self.listing][2])
                words = self._words(name, value)
                named.append((name, value, words))
                if self._is_due(words):
                    yield
        kept = yield from self._keep(named)
        if len(named) < len(items):
            self._drop(None, "not_object")
        return kept

    def _keep(self, named: list[Named]) -> Generator[None, None, list[Item]]:
        twins = _twins(named) if self.listing in _NAMED else frozenset()
        kept: list[Item] = []
        once: set[str] = set()
        for name, value, words in named:
            compiled = self._desk.schemas.compiled
            fault = self._fault(name, value, words, twins)
            if fault is None and name in once:
                fault = "duplicate"
            if fault is not None:
                self._refuse(name, words, fault)
            elif isinstance(name, str):
                kept.append(Item(name, value, words))
                if self.listing in _NAMED:
                    once.add(name)
            if self._is_due(words, _TURN * (self._desk.schemas.compiled - compiled)):
                yield
        return kept

    def _words(self, name: Json, value: JsonObject) -> Described | None:
        if self.listing not in _PINNED or not isinstance(name, str):
            return None
        return described(self.turn.upstream, name, value, self.turn.options.definition_bytes)

    def _is_due(self, words: Described | None, more: int = 0) -> bool:
        """Whether so much was done that the loop should have its turn."""
        self._done += 1 + more + (words.size // _UNIT_BYTES if words is not None else 0)
        if self._done < _TURN:
            return False
        self._done = 0
        return True

    def pin(self, items: list[Item]) -> Work:
        if self.listing not in _PINNED:
            return self._told()
        known: list[Described] = []
        suspects: dict[str, str] = {}
        for item in items:
            if item.words is not None:
                known.append(item.words)
                if (why := suspicion(item.words.words)) is not None:
                    suspects[item.name] = why
            if self._is_due(item.words):
                yield
        pins, mode = self._desk.pins, PinMode(self.turn.options.pinning)
        steps = yield from pins.observing(self.turn.upstream, self.listing, known, mode, suspects)
        return [*steps, *self._told()]

    def ask(self, item: Item) -> Ask:
        """The action an item offers, to be judged for visibility."""
        return offer(self.turn, self._desk, self.listing, item.name)

    def filter(self, items: list[Item], verdicts: tuple[bool, ...]) -> list[Json]:
        shown: list[Json] = []
        hidden: JsonObject = {"upstream": self.turn.upstream, "kind": self.listing.value}
        self._notes = []
        for item, visible in zip(items, verdicts, strict=True):
            if not visible:
                self._notes.append(Note(event="hidden", facts=hidden, recorded=False))
            pin = self._desk.pins.get(self.turn.upstream, self.listing, item.name)
            trusted = trusts(self.turn, self.listing, pin)
            # The pin's own text of the name: all callers' lists then share it.
            name = item.name if pin is None else pin.name
            self._seen.judged(name, visible=visible, trusted=trusted)
            if visible and trusted:
                shown.append(item.value)
        if self._seen.is_full:
            raise UpstreamFailedError("the list names more than is kept", cause="list_names")
        return shown

    def close(self, cursor: str | None) -> list[Step]:
        """After the last page the list is whole: a name that is not in it is unknown. From here
        on what was read counts."""
        steps = self._closed(cursor)
        scope = self.turn.scope
        scope.list_read(self.listing, self._seen, own=self.turn.own)
        self._desk.sessions.weigh(scope)
        return steps

    def _closed(self, cursor: str | None) -> list[Step]:
        seen = self._seen
        if not self._is_next:
            return self._notes
        seen.cursor = cursor
        seen.pages += self.turn.own
        if cursor is not None and seen.pages >= self.turn.options.list_pages:
            seen.given_up_s = self._desk.clock.monotonic_s()
        if cursor is not None or self.listing not in _PINNED:
            return self._notes
        seen.whole = True
        return self._notes + self._desk.pins.seen_whole(
            self.turn.upstream, self.listing, seen.shown | seen.hidden
        )

    def _fault(
        self, name: Json, value: JsonObject, words: Described | None, twins: frozenset[str]
    ) -> str | None:
        if self.listing in (Listing.RESOURCES, Listing.TEMPLATES):
            fault = _uri_fault(name, template=self.listing is Listing.TEMPLATES)
            is_large = words is None and self.listing is Listing.TEMPLATES
            return "too_large" if fault is None and is_large else fault
        if not isinstance(name, str) or not is_name(name):
            return "name"
        if name in twins:
            return "duplicate"
        if words is None:
            return "too_large"
        if name not in self._declared and self._alike.of(name) is not None:
            return "lookalike"
        return self._tool_fault(words, value) if self.listing is Listing.TOOLS else None

    def _tool_fault(self, words: Described, tool: JsonObject) -> str | None:
        schemas, digest = self._desk.schemas, words.digest
        mirrored = schemas.mirrored(digest, tool.get("inputSchema"))
        if mirrored is None or self._mirrors_a_secret(words.name, mirrored):
            return "x_mcp_header"
        compiled = schemas.get(digest, "inputSchema", tool.get("inputSchema"))
        if compiled.fault is None and "outputSchema" in tool:
            compiled = schemas.get(digest, "outputSchema", tool["outputSchema"])
        return compiled.fault

    def _mirrors_a_secret(
        self, name: str, mirrored: dict[str, tuple[tuple[str, ...], str]]
    ) -> bool:
        entry = self._declared.get(name)
        if entry is None or not mirrored:
            return False
        secret = {one.pointer for one in entry.arguments if one.role is Role.CREDENTIAL}
        return any("/" + "/".join(path) in secret for path, _ in mirrored.values())

    def _refuse(self, name: Json, words: Described | None, why: str) -> None:
        """Leave an item out. What was said of a known name before no longer holds for anybody,
        where something else is said now; the same thing said twice is no attack."""
        self._drop(name, why)
        if not isinstance(name, str) or self.listing not in _PINNED:
            return
        pin = self._desk.pins.get(self.turn.upstream, self.listing, name)
        if pin is not None and (words is None or words.digest != pin.seen):
            self._desk.pins.distrust(self.turn.upstream, self.listing, name, why)

    def _drop(self, name: Json, why: str) -> None:
        self._dropped += 1
        if self._dropped > _NOTED:
            return
        facts: JsonObject = {
            "upstream": self.turn.upstream,
            "kind": self.listing.value,
            "name": name[:128] if isinstance(name, str) else None,
            "why": why,
        }
        self._notes.append(Note(event="list_item_dropped", facts=facts))

    def _told(self) -> list[Step]:
        """What there is to tell of the items that were left out, the first of them by name."""
        more = self._dropped - _NOTED
        if more > 0:
            facts: JsonObject = {
                "upstream": self.turn.upstream,
                "kind": self.listing.value,
                "name": None,
                "why": "more",
                "items": more,
            }
            self._notes.append(Note(event="list_item_dropped", facts=facts))
        return self._notes


def offer(turn: Turn, desk: Desk, listing: Listing, name: str) -> Ask:
    """What an item of a list stands for: the action it offers, to be judged for visibility."""
    action, kind, _ = spec.OFFERS[listing]
    pin = desk.pins.get(turn.upstream, listing, name)
    return Ask(
        protocol=ProtocolName.MCP,
        name=action,
        phase=Phase.LIST,
        resource_type=kind,
        upstream=turn.upstream,
        resource=name,
        arguments=None,
        effect=None if listing is Listing.TOOLS else ActionEffect.READ,
        definition=pin.definition if pin else None,
    )


def trusts(turn: Turn, listing: Listing, pin: Pin | None) -> bool:
    """Whether an item with this pin may be shown, as far as its definition goes."""
    if listing not in _PINNED or (pin is not None and pin.fits):
        return True
    return turn.options.pinning == PinMode.ALERT.value


def _twins(named: list[Named]) -> frozenset[str]:
    """The names that a page gives to different things. The same thing twice is no attack, and a
    page that comes again gives each name to what it had: `pins` sees what differs."""
    counts = Counter(name for name, _, _ in named if isinstance(name, str))
    if len(counts) == len(named):
        return frozenset()
    found: dict[str, set[str | None]] = {}
    for name, _, words in named:
        if isinstance(name, str) and counts[name] > 1:
            found.setdefault(name, set()).add(words.digest if words is not None else None)
    return frozenset(name for name, digests in found.items() if len(digests) > 1 or None in digests)


def _uri_fault(uri: Json, *, template: bool) -> str | None:
    try:
        check_uri(uri, template=template)
    except MalformedError:
        return "uri"
    return None
