"""Pinned definitions: what a tool said of itself when it was reviewed or first seen.

Laws (PROTOCOLS §4.6): a pin covers every word a model or a person could be led by, not the schema
alone; a difference stays refused until a person accepts it, restarts included; once a listing was
seen whole, a new name is a difference too; no upstream can make the table grow without end, nor
fill it for the others.

Stored under table `pins`, one object a pin: {upstream, kind, name, state, digest, seen, pinned,
current}. Add, never repurpose.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import orjson

from outrider.core.action import Definition
from outrider.core.jsonvalue import Json, JsonObject, as_object, json_digest
from outrider.core.ports import Note, Persist, Step
from outrider.protocols.pin_dues import TABLE, Dues, Key, Written, store_key

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
DEFINITION_BYTES: Final = 64 << 10
_DEFINITION_VALUES: Final = 10_000
_PIECE: Final = 256
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
class Acceptance:
    """Definitions that a person accepts, as they will stand: stored first, taken up then."""

    pins: Mapping[Key, Pin]

    @property
    def steps(self) -> list[Step]:
        return [
            Persist(table=TABLE, key=store_key(*key), value=_row(pin))
            for key, pin in self.pins.items()
        ]

    @property
    def keys(self) -> list[Key]:
        return [*self.pins]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What an upstream says of one name: the words that are pinned, their bytes and digest."""

    name: str
    words: JsonObject
    size: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One member of a definition that differs; None where it is absent."""

    member: str
    before: Json
    after: Json


class ReviewError(ValueError):
    """What a person reviewed is not what the upstream says by now."""

    def __init__(self, upstream: str, kind: str, name: str) -> None:
        super().__init__(f"{upstream} says something else of {name} ({kind}) by now")


def definition_digest(upstream: str, definition: JsonObject) -> str:
    """SHA-256 over the RFC 8785 form of the definition's pinned fields and its upstream.

    Raises `ValueError` for a definition that has no canonical form.
    """
    covered: JsonObject = {"upstream": upstream}
    for member in FIELDS:
        if member in definition:
            covered[member] = definition[member]
    return json_digest(covered)


def described(
    upstream: str, name: str, definition: JsonObject, limit: int = DEFINITION_BYTES
) -> Described | None:
    """`definition` as it is pinned, or None for one of more than `limit` bytes or too many values:
    to digest and to keep those would take longer than others should wait."""
    words: JsonObject = {member: definition[member] for member in FIELDS if member in definition}
    data = orjson.dumps(words)
    if len(data) > limit or data.count(b",") > _DEFINITION_VALUES:
        return None
    seen = definition_digest(upstream, words)
    return Described(name=name, words=words, size=len(data), digest=seen)


class PinTable:
    """All pins of all upstreams. Changes come back as steps, to be stored before what was listed
    counts: nobody may name what is due, and each listing of its kind brings the steps again until
    they were carried out.

    One upstream has at most `upstream_max` pins, which take `upstream_bytes` when first seen.
    """

    def __init__(
        self, *, pins_max: int = 8000, upstream_max: int = 4000, upstream_bytes: int = 8 << 20
    ) -> None:
        self._pins: dict[Key, Pin] = {}
        self._whole: set[tuple[str, str]] = set()
        self._gone: set[Key] = set()
        self._dues = Dues(self._written)
        self._sizes: dict[Key, int] = {}
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._pins_max = pins_max
        self._upstream_max = upstream_max
        self._upstream_bytes = upstream_bytes

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
        definitions: Sequence[Described],
        mode: PinMode,
        suspects: Mapping[str, str] | None = None,
    ) -> list[Step]:
        """`observing`, in one go."""
        work = self.observing(upstream, kind, definitions, mode, suspects)
        while True:
            try:
                next(work)
            except StopIteration as done:
                steps: list[Step] = done.value
                return steps

    def observing(
        self,
        upstream: str,
        kind: str,
        definitions: Sequence[Described],
        mode: PinMode,
        suspects: Mapping[str, str] | None = None,
    ) -> Generator[None, None, list[Step]]:
        """Take one page of a listing into account. `suspects` are never trusted on first use:
        name -> why. The steps are those of `owed`. The caller gives its loop a turn at each
        yield."""
        dropped = 0
        for place, one in enumerate(definitions, start=1):
            key = (upstream, kind, one.name)
            note = self._observe_one(key, one, mode, (suspects or {}).get(one.name))
            if note is not None:
                self._dues.owe(key, note)
            elif key not in self._pins:
                dropped += 1
            if place % _PIECE == 0:
                yield
        steps = self.owed(upstream, kind)
        if dropped:
            facts: JsonObject = {"upstream": upstream, "kind": kind, "items": dropped}
            steps.append(Note(event="definition_dropped", facts=facts))
        return steps

    def owed(self, upstream: str, kind: str) -> list[Step]:
        """The steps that store what changed, all of it at once, and then note what a person
        should look at; what was not carried out comes again."""
        return self._dues.steps(upstream, kind)

    def distrust(self, upstream: str, kind: str, name: str, why: str) -> None:
        """Refuse a known definition until a person accepts it again, whatever it says now. It
        counts at once; its steps are among the next that are `owed`."""
        key = (upstream, kind, name)
        old = self._pins.get(key)
        if old is None or not old.fits:
            return
        new = self._pins[key] = replace(old, state=PinState.CHANGED)
        self._dues.owe(key, _note("definition_changed", new, why))

    def seen_whole(self, upstream: str, kind: str, names: Iterable[str]) -> list[Step]:
        """A listing was read from its first page to its last; `names` are all it held. What is
        gone is told once, until it comes back."""
        present = set(names)
        if (upstream, kind) in self._whole:
            gone = {
                key: pin
                for key, pin in self._pins.items()
                if key[0] == upstream
                and key[1] == kind
                and key[2] not in present
                and pin.digest is not None
            }
            told = {key for key in self._gone if key[:2] == (upstream, kind)}
            self._gone = (self._gone - told) | gone.keys()
            for key in gone.keys() - told:
                self._dues.tell(key, _note("definition_removed", gone[key], None))
        else:
            self._whole.add((upstream, kind))
            self._dues.owe((upstream, kind, _WHOLE))
        return self.owed(upstream, kind)

    def accepting(self, reviewed: Mapping[Key, str]) -> "Acceptance":
        """What it comes to that a person accepts the definitions with these digests; nothing is
        changed yet. Raises `ReviewError` where one of them is no longer the latest."""
        for key, seen in reviewed.items():
            if key not in self._pins or self._pins[key].seen != seen:
                raise ReviewError(*key)
        waiting = {key: self._pins[key] for key in reviewed if not self._pins[key].fits}
        return Acceptance(pins={key: _accepted(pin) for key, pin in waiting.items()})

    def accept(self, acceptance: "Acceptance") -> None:
        """What was stored counts, and nothing else: what the upstream has said in the meantime is
        another definition, that nobody has reviewed."""
        for key, pin in acceptance.pins.items():
            now = self._pins[key]
            self._pins[key] = pin if now.seen == pin.seen else _overtaken(pin, now)
            self._dues.owe(key)  # a listing may have stored it as it was, after us

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
                self._weigh((upstream, kind, pin.name), len(orjson.dumps(pin.current)))

    def _observe_one(
        self, key: Key, one: Described, mode: PinMode, suspect: str | None
    ) -> Note | None:
        """What to tell of `one`; None for nothing new, and for what there is no room for."""
        old = self._pins.get(key)
        if old is not None and old.seen == one.digest:  # not by `==`, to which 1 and true are one
            return None
        if old is None:
            return self._first(key, one, mode, suspect) if self._has_room(key, one) else None
        # Once changed it stays so, even if the old words come back: a person looks first.
        state = PinState.PENDING if old.digest is None else PinState.CHANGED
        # Where there is no room for the new words, nothing can be called by their name.
        words = one.words if self._has_room(key, one) else {}
        new = self._pins[key] = replace(old, state=state, seen=one.digest, current=words)
        self._weigh(key, one.size if words else 0)
        return _note("definition_changed", new, suspect)

    def _has_room(self, key: Key, one: Described) -> bool:
        upstream = key[0]
        is_full = len(self._pins) >= self._pins_max or self._counts[upstream] >= self._upstream_max
        if is_full and key not in self._pins:
            return False
        taken = self._bytes[upstream] - self._sizes.get(key, 0)
        return taken + one.size <= self._upstream_bytes

    def _weigh(self, key: Key, size: int) -> None:
        self._counts[key[0]] += key not in self._sizes
        self._bytes[key[0]] += size - self._sizes.get(key, 0)
        self._sizes[key] = size

    def _first(self, key: Key, one: Described, mode: PinMode, suspect: str | None) -> Note:
        upstream, kind, name = key
        added = (upstream, kind) in self._whole
        trusted = mode is not PinMode.ENFORCE and suspect is None and not added
        pin = self._pins[key] = Pin(
            upstream=upstream,
            kind=kind,
            name=name,
            state=PinState.PINNED if trusted else PinState.PENDING,
            digest=one.digest if trusted else None,
            seen=one.digest,
            pinned=one.words if trusted else {},
            current=one.words,
        )
        self._weigh(key, one.size)
        if trusted:
            return _note("definition_pinned", pin, None)
        return _note("definition_added" if added else "definition_pending", pin, suspect)

    def _written(self, key: Key) -> Written:
        if key[2] == _WHOLE:
            return True, {"upstream": key[0], "kind": key[1], "whole": True}
        pin = self._pins[key]
        return pin, _row(pin)


def _row(pin: Pin) -> JsonObject:
    return {
        "upstream": pin.upstream,
        "kind": pin.kind,
        "name": pin.name,
        "state": pin.state.value,
        "digest": pin.digest,
        "seen": pin.seen,
        "pinned": pin.pinned,
        "current": pin.current,
    }


def _accepted(pin: Pin) -> Pin:
    return replace(pin, state=PinState.PINNED, digest=pin.seen, pinned=pin.current)


def _overtaken(accepted: Pin, now: Pin) -> Pin:
    """The accepted words, and those that came after them."""
    return replace(now, state=PinState.CHANGED, digest=accepted.digest, pinned=accepted.pinned)


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
