"""What agents keep for later tasks, and whose word it is (GOVERNANCE §8, SQ-28, MM-01).

A tool tagged `memory` outlives the task that writes to it, so its taint must too: what is written
after something untrusted was read is untrusted when it is read back, in whatever task. One
document for each upstream, shared as widely as the memory itself is.

Laws: what is not known by its key is known by nothing less than the whole memory; more keys than
are kept make all of it untrusted; only a clean write of the very key makes that key clean again.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import orjson

from outrider.core.action import Action
from outrider.core.constraints import resolve
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.vocabulary import Role

KEYS: Final = 1024
"""Tainted keys of one memory that are told apart."""
LIFE_S: Final = 30 * 86_400
"""How long a taint lasts; what nobody verified should not be remembered longer."""
TAG: Final = "memory"
_ALL: Final = "*"
Taint: TypeAlias = tuple[int, str]
"""When it was written, in seconds, and by which task."""


@dataclass(slots=True)
class MemoryDocument:
    """The tainted keys of one memory; `*` is all of it."""

    tainted: dict[str, Taint] = field(default_factory=dict)


def keys_of(action: Action) -> tuple[str, ...]:
    """What of a memory `action` names: digests of its target arguments."""
    found: list[str] = []
    for pointer, role in action.roles:
        if role is Role.TARGET:
            there, value = resolve(action.ask.arguments or {}, pointer)
            if there and value is not None:
                found.append(_digest(value))
    return tuple(found)


def taint_of(document: MemoryDocument, keys: Iterable[str], now_s: int) -> str | None:
    """The task that tainted what is read, or None; without `keys` it may be anything that is."""
    named = list(keys)
    places = [_ALL, *named] if named else list(document.tainted)
    live = [document.tainted[key] for key in places if key in document.tainted]
    fresh = [taint for taint in live if taint[0] + LIFE_S > now_s]
    return max(fresh)[1] if fresh else None


def wrote(
    document: MemoryDocument, keys: tuple[str, ...], *, tainted: bool, task: str, now_s: int
) -> None:
    """Take a write in. A clean one without a key cleans nothing."""
    if not tainted:
        for key in keys:
            document.tainted.pop(key, None)
        return
    for key in keys or (_ALL,):
        document.tainted[key] = (now_s, task)
    if len(document.tainted) > KEYS:
        _forget(document, now_s)
    if len(document.tainted) > KEYS:
        document.tainted = {_ALL: (now_s, task)}


def _forget(document: MemoryDocument, now_s: int) -> None:
    document.tainted = {
        key: taint for key, taint in document.tainted.items() if taint[0] + LIFE_S > now_s
    }


def _digest(value: Json) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class MemoryCodec:
    """How a document is kept. One that cannot be read is tainted as a whole."""

    def decode(self, data: bytes | None, now: float) -> MemoryDocument:
        if data is None:
            return MemoryDocument()
        try:
            members = as_object(orjson.loads(data)).get("tainted")
            kept = {key: _taint(value) for key, value in _members(members).items()}
        except (orjson.JSONDecodeError, TypeError, ValueError):
            kept = {_ALL: (int(now), "unknown")}
        return MemoryDocument(tainted=kept)

    def encode(self, document: MemoryDocument) -> bytes:
        return orjson.dumps({"tainted": document.tainted})


def _members(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("taints are kept by key")
    return value


def _taint(value: Json) -> Taint:
    match value:
        case [int(at), str(task)]:
            return at, task
        case _:
            raise ValueError("a taint is a time and a task")
