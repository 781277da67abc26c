"""Pinned definitions: what a tool said of itself when it was reviewed or first seen.

Laws (PROTOCOLS §4.6): a pin covers every word a model or a person could be led by, not the schema
alone; a difference stays refused until a person accepts it, restarts included; once a listing was
seen whole, a new name is a difference too.

Stored under table `pins`, one object a pin: {upstream, kind, name, state, digest, seen, pinned,
current}. Add, never repurpose.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from outrider.core.action import Definition
from outrider.core.jsonvalue import Json, JsonObject, as_object, digest, json_digest
from outrider.core.ports import Note, Persist, Step

TABLE: Final = "pins"
FIELDS: Final = (
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "_meta",
    "arguments",
    "uriTemplate",
    "mimeType",
    "instructions",
    "execution",
)
_WHOLE: Final = "*"  # no name: marks a kind of an upstream whose listing was seen to its end


class PinState(StrEnum):
    PINNED = "pinned"
    CHANGED = "changed"
    PENDING = "pending"


class PinMode(StrEnum):
    """`record` trusts what it sees first, `enforce` nothing unaccepted, `alert` only tells."""

    RECORD = "record"
    ENFORCE = "enforce"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One definition: `digest` is the accepted one (None: none yet), `seen` the latest."""

    upstream: str
    kind: str
    name: str
    state: PinState
    digest: str | None
    seen: str
    pinned: JsonObject
    current: JsonObject
    definition: Definition = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        judged = Definition(digest=self.seen, pinned=self.fits)
        object.__setattr__(self, "definition", judged)

    @property
    def fits(self) -> bool:
        """Whether the upstream's latest definition is the accepted one."""
        return self.state is PinState.PINNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One member of a definition that differs; None where it is absent."""

    member: str
    before: Json
    after: Json


def definition_digest(upstream: str, definition: JsonObject) -> str:
    """SHA-256 over the RFC 8785 form of the definition's pinned fields and its upstream.

    Raises `ValueError` for a definition that has no canonical form.
    """
    covered: JsonObject = {"upstream": upstream}
    for member in FIELDS:
        if member in definition:
            covered[member] = definition[member]
    return json_digest(covered)


class PinTable:
    """All pins of all upstreams. Changes come back as steps, to be stored before they count."""

    def __init__(self, *, pins_max: int = 8000) -> None:
        self._pins: dict[tuple[str, str, str], Pin] = {}
        self._whole: set[tuple[str, str]] = set()
        self._pins_max = pins_max

    # --- reading ---

    def get(self, upstream: str, kind: str, name: str) -> Pin | None:
        return self._pins.get((upstream, kind, name))

    def listed(self, upstream: str | None = None) -> tuple[Pin, ...]:
        """Every pin, or those of one upstream, by upstream, kind and name."""
        found = (pin for pin in self._pins.values() if upstream in (None, pin.upstream))
        return tuple(sorted(found, key=lambda pin: (pin.upstream, pin.kind, pin.name)))

    def diff(self, upstream: str, name: str, kind: str = "tools") -> tuple[Change, ...]:
        """What differs between the accepted and the latest definition. Raises `KeyError`."""
        pin = self._pins[upstream, kind, name]
        members = sorted(pin.pinned.keys() | pin.current.keys())
        return tuple(
            Change(member=member, before=pin.pinned.get(member), after=pin.current.get(member))
            for member in members
            if pin.pinned.get(member) != pin.current.get(member)
            or (member in pin.pinned) is not (member in pin.current)
        )

    # --- changing ---

    def observe(
        self,
        upstream: str,
        kind: str,
        definitions: Sequence[tuple[str, JsonObject]],
        mode: PinMode,
        suspects: Mapping[str, str] | None = None,
    ) -> list[Step]:
        """Take one page of a listing into account. `suspects` are never trusted on first use:
        name -> why. The steps store what changed and note what a person should look at."""
        steps: list[Step] = []
        for name, definition in definitions:
            suspect = (suspects or {}).get(name)
            steps.extend(self._observe_one(upstream, kind, name, definition, mode, suspect))
        return steps

    def distrust(self, upstream: str, kind: str, name: str, why: str) -> list[Step]:
        """Refuse a known definition until a person accepts it again, whatever it says now."""
        key = (upstream, kind, name)
        old = self._pins.get(key)
        if old is None or not old.fits:
            return []
        new = replace(old, state=PinState.CHANGED)
        return [*self._put(key, new), _note("definition_changed", new, why)]

    def seen_whole(self, upstream: str, kind: str, names: Iterable[str]) -> list[Step]:
        """A listing was read from its first page to its last; `names` are all it held."""
        present = set(names)
        if (upstream, kind) in self._whole:
            gone = (pin for pin in self.listed(upstream) if pin.name not in present)
            return [
                _note("definition_removed", pin, None)
                for pin in gone
                if pin.kind == kind and pin.digest is not None
            ]
        self._whole.add((upstream, kind))
        value: JsonObject = {"upstream": upstream, "kind": kind, "whole": True}
        return [Persist(table=TABLE, key=_key(upstream, kind, _WHOLE), value=value)]

    def accept(self, upstream: str, name: str | None = None, kind: str | None = None) -> list[Step]:
        """A person accepts the latest definition of `name`, or of all; nothing else changes."""
        steps: list[Step] = []
        for key, pin in list(self._pins.items()):
            wanted = pin.upstream == upstream and name in (None, pin.name)
            if wanted and kind in (None, pin.kind) and not pin.fits:
                steps.extend(self._put(key, _accepted(pin)))
        return steps

    def load(self, items: Mapping[str, JsonObject]) -> None:
        """Take up what was stored. An object that cannot be read is a difference, not a pin."""
        for value in items.values():
            upstream, kind = value.get("upstream"), value.get("kind")
            if not isinstance(upstream, str) or not isinstance(kind, str):
                continue
            if value.get("whole") is True:
                self._whole.add((upstream, kind))
            elif (pin := _loaded(upstream, kind, value)) is not None:
                self._pins[upstream, kind, pin.name] = pin

    def _observe_one(
        self,
        upstream: str,
        kind: str,
        name: str,
        definition: JsonObject,
        mode: PinMode,
        suspect: str | None,
    ) -> list[Step]:
        key = (upstream, kind, name)
        covered: JsonObject = {
            member: definition[member] for member in FIELDS if member in definition
        }
        old = self._pins.get(key)
        seen = definition_digest(upstream, covered)
        if old is not None and old.seen == seen:  # not by `==`, to which 1 and true are one
            return []
        if old is None:
            return self._first(key, covered, seen, mode, suspect)
        # Once changed it stays so, even if the old words come back: a person looks first.
        state = PinState.PENDING if old.digest is None else PinState.CHANGED
        new = replace(old, state=state, seen=seen, current=covered)
        return [*self._put(key, new), _note("definition_changed", new, suspect)]

    def _first(
        self,
        key: tuple[str, str, str],
        covered: JsonObject,
        seen: str,
        mode: PinMode,
        suspect: str | None,
    ) -> list[Step]:
        upstream, kind, name = key
        if len(self._pins) >= self._pins_max:
            return [Note(event="definition_dropped", facts={"upstream": upstream, "kind": kind})]
        added = (upstream, kind) in self._whole
        trusted = mode is not PinMode.ENFORCE and suspect is None and not added
        pin = Pin(
            upstream=upstream,
            kind=kind,
            name=name,
            state=PinState.PINNED if trusted else PinState.PENDING,
            digest=seen if trusted else None,
            seen=seen,
            pinned=covered if trusted else {},
            current=covered,
        )
        steps = self._put(key, pin)
        if trusted:
            return [*steps, _note("definition_pinned", pin, None)]
        return [*steps, _note("definition_added" if added else "definition_pending", pin, suspect)]

    def _put(self, key: tuple[str, str, str], pin: Pin) -> list[Step]:
        self._pins[key] = pin
        value: JsonObject = {
            "upstream": pin.upstream,
            "kind": pin.kind,
            "name": pin.name,
            "state": pin.state.value,
            "digest": pin.digest,
            "seen": pin.seen,
            "pinned": pin.pinned,
            "current": pin.current,
        }
        return [Persist(table=TABLE, key=_key(*key), value=value)]


def _accepted(pin: Pin) -> Pin:
    return replace(pin, state=PinState.PINNED, digest=pin.seen, pinned=pin.current)


def _loaded(upstream: str, kind: str, value: JsonObject) -> Pin | None:
    name, accepted = value.get("name"), value.get("digest")
    if not isinstance(name, str):
        return None
    pinned, current = as_object(value.get("pinned")), as_object(value.get("current"))
    kept = accepted if isinstance(accepted, str) else None
    seen = definition_digest(upstream, current)
    # A stored pin counts only where its words and its digests still agree.
    agrees = value.get("state") == PinState.PINNED.value and seen == kept
    state = PinState.PINNED if agrees else PinState.CHANGED
    return Pin(
        upstream=upstream,
        kind=kind,
        name=name,
        state=state if kept is not None else PinState.PENDING,
        digest=kept,
        seen=seen,
        pinned=pinned,
        current=current,
    )


def _key(upstream: str, kind: str, name: str) -> str:
    """A store key of fixed shape; names come from outside and are only hashed into it."""
    return digest(f"{upstream}\n{kind}\n{name}".encode())


def _note(event: str, pin: Pin, why: str | None) -> Note:
    facts: JsonObject = {
        "upstream": pin.upstream,
        "kind": pin.kind,
        "name": pin.name,
        "state": pin.state.value,
        "digest": pin.digest,
        "seen": pin.seen,
    }
    if why is not None:
        facts["why"] = why
    return Note(event=event, facts=facts)
