"""What agents keep for later tasks, and whose word it is (GOVERNANCE §8, SQ-28, MM-01).

A tool tagged `memory` outlives the task that writes to it, so its taint must too: what is written
after something untrusted was read is untrusted when it is read back, in whatever task. One
document for each upstream, shared as widely as the memory itself is.

Laws: what is not known by its key is known by nothing less than the whole memory, and so is a key
that nobody was seen to write; more keys than are kept make all of it untrusted; a taint holds for
every spelling of a key, and only a clean write of the very spelling makes it clean again.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from outrider.core.action import Action
from outrider.core.constraints import resolve
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.vocabulary import Role
from outrider.tasks.provenance.forms import value_of

KEYS: Final = 1024
"""Keys of one memory that are told apart, tainted ones and clean ones."""
LIFE_S: Final = 30 * 86_400
"""How long a taint lasts; what nobody verified should not be remembered longer."""
TAG: Final = "memory"
_ALL: Final = "*"


class Key(NamedTuple):
    """A key as digests: of the form all its spellings share, and of this spelling."""

    form: str
    spelling: str


class Taint(NamedTuple):
    """When it was written, in seconds, by which task and under which spelling; none for several."""

    at_s: int
    task: str
    spelling: str = ""


@dataclass(slots=True)
class MemoryDocument:
    """The tainted keys of one memory, by their form (`*` is all of it), and those that were written
    clean, in the order they were."""

    tainted: dict[str, Taint] = field(default_factory=dict)
    clean: dict[str, int] = field(default_factory=dict)


def keys_of(action: Action) -> tuple[Key, ...]:
    """What of a memory `action` names: digests of its target arguments."""
    found: list[Key] = []
    for pointer, role in action.roles:
        if role is Role.TARGET:
            there, value = resolve(action.ask.arguments or {}, pointer)
            if there and value is not None:
                found.append(_key(value))
    return tuple(found)


def taint_of(document: MemoryDocument, keys: Iterable[Key], now_s: int) -> str | None:
    """The task that tainted what is read, or None; without `keys`, or with one that nobody wrote,
    it may be anything that is."""
    forms = [key.form for key in keys]
    known = forms and all(form in document.tainted or form in document.clean for form in forms)
    places = [_ALL, *forms] if known else list(document.tainted)
    live = [document.tainted[place] for place in places if place in document.tainted]
    fresh = [taint for taint in live if taint.at_s + LIFE_S > now_s]
    return max(fresh).task if fresh else None


def wrote(
    document: MemoryDocument, keys: tuple[Key, ...], *, tainted: bool, task: str, now_s: int
) -> None:
    """Take a write in. A clean one without a key cleans nothing."""
    if not tainted:
        for key in keys:
            _clean(document, key, now_s)
        return
    for key in keys or (Key(_ALL, ""),):
        known = document.tainted.get(key.form)
        spelling = key.spelling if known is None or known.spelling == key.spelling else ""
        document.tainted[key.form] = Taint(now_s, task, spelling)
        document.clean.pop(key.form, None)
    if len(document.tainted) > KEYS:
        _forget(document, now_s)
    if len(document.tainted) > KEYS:
        document.tainted = {_ALL: Taint(now_s, task)}


def _clean(document: MemoryDocument, key: Key, now_s: int) -> None:
    taint = document.tainted.get(key.form)
    if taint is not None and taint.spelling != key.spelling and taint.at_s + LIFE_S > now_s:
        return  # another spelling was tainted, and may stand in the memory beside this one
    document.tainted.pop(key.form, None)
    document.clean.pop(key.form, None)
    document.clean[key.form] = now_s
    if len(document.clean) > KEYS:
        del document.clean[next(iter(document.clean))]


def _forget(document: MemoryDocument, now_s: int) -> None:
    document.tainted = {
        key: taint for key, taint in document.tainted.items() if taint.at_s + LIFE_S > now_s
    }


def _key(value: Json) -> Key:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    spelling = text.encode("utf-8", "surrogatepass")
    known = value_of(text)
    return Key(_digest(b"" if known is None else known.forms[-1].key.lower()), _digest(spelling))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


class MemoryCodec:
    """How a document is kept. One that cannot be read is tainted as a whole."""

    def decode(self, data: bytes | None, now: float) -> MemoryDocument:
        if data is None:
            return MemoryDocument()
        try:
            found = as_object(orjson.loads(data))
            kept = {key: _taint(value) for key, value in _members(found.get("tainted")).items()}
            clean = {key: _second(at) for key, at in _members(found.get("clean", {})).items()}
        except (orjson.JSONDecodeError, TypeError, ValueError):
            return MemoryDocument(tainted={_ALL: Taint(int(now), "unknown")})
        return MemoryDocument(tainted=kept, clean=clean)

    def encode(self, document: MemoryDocument) -> bytes:
        tainted = {key: [*taint] for key, taint in document.tainted.items()}
        return orjson.dumps({"tainted": tainted, "clean": document.clean})


def _members(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("taints are kept by key")
    return value


def _taint(value: Json) -> Taint:
    match value:
        case [int(at), str(task)]:  # of an earlier version: under whichever spelling
            return Taint(at, task)
        case [int(at), str(task), str(spelling)]:
            return Taint(at, task, spelling)
        case _:
            raise ValueError("a taint is a time, a task and a spelling")


def _second(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError("a clean key has the second it was written")
    return value
