"""Looking at a call: one entry for each argument that has a role (CONTRACTS §1).

A list has the label of its worst item, but where it names destinations each item has an entry of
its own. Content is looked through for addresses and secrets. An argument without a role has an
entry, as content, only where it carries a secret.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Final

from outrider.core.action import Action
from outrider.core.catalogue import ArgumentEntry, ToolEntry
from outrider.core.constraints import resolve
from outrider.core.destinations import host_in, pointers_of
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Label, Role
from outrider.core.zones import Zones
from outrider.tasks.provenance.answers import Looked
from outrider.tasks.provenance.carried import Carried, above, carried_in
from outrider.tasks.provenance.forms import (
    LONGEST_CHARS,
    Value,
    fold_steps,
    pieces,
    texts_of,
    value_of,
    value_steps,
)
from outrider.tasks.provenance.memory import MADE_UP, Memory, Sight
from outrider.tasks.provenance.patterns import ALL_MARKS, marks_of
from outrider.tasks.provenance.tokens import Token, tokens_in

MAX_SHOWN: Final = 16
"""Tokens of one entry that policy sees, the least trusted first."""
MAX_PARTS: Final = 64
"""Parts of one list or separated string that are looked at; with more it is `model`."""
MAX_SOURCES: Final = 4
_LONG: Final = 4096  # characters of an argument after which the loop has its turn
MAX_TOKENS: Final = 256
"""Tokens of one entry that are looked at."""
MAX_MET: Final = 1024  # the same one counted as often as it stands there
_PIECE_CHARS: Final = 16 << 10
_STEP_SIGHTS: Final = 4
_STEP_ENTRIES: Final = 16
_STEP_LEAVES: Final = 512
_MORE: Final[JsonObject] = {"kind": "more", "label": Label.UNTRUSTED.value}
_READ_THROUGH: Final = frozenset({Role.CONTENT, Role.COMMAND})
_WHOLE: Final = frozenset({Role.CONTENT, Role.AMOUNT, Role.CONTROL})
_UNSPLIT: Final = frozenset({"url", "path", "number", "date"})
_OBJECTS: Final = frozenset({Role.TARGET, Role.SELECTOR, Role.DESTINATION})
_DOUBTFUL: Final = (Label.UNTRUSTED, Label.MODEL)
_SEPARATORS: Final = re.compile(r"[,;\n]")
_BETWEEN_PLACES: Final = re.compile(r"[,;|\r\n]")
_LINES: Final = re.compile(r"[\r\n]")
_HEAD: Final = re.compile(r"[^/?#]*")


class View:
    """One call, looked at with what `memory` holds."""

    def __init__(self, action: Action, entry: ToolEntry, *, zones: Zones, memory: Memory) -> None:
        self._arguments = action.ask.arguments or {}
        self._upstream = action.ask.upstream
        self._entry = entry
        self._zones = zones
        self._memory = memory
        self._entries: JsonObject = {}
        self._objects: dict[str, str] = {}
        self._marks = ALL_MARKS
        self._carried = Carried()

    def take(self) -> Generator[None, None, Looked]:
        arguments = self._arguments
        if not arguments:
            return Looked(entries={}, incomplete=self._memory.is_incomplete)
        self._marks = yield from marks_of(arguments)
        self._carried = yield from carried_in(arguments, self._marks, self._memory)
        seen = 0
        for argument in self._entry.arguments:
            name = argument.pointer[1:]
            if name in arguments or not name.isidentifier():
                for pointer, inner in self._values(argument):
                    yield from self._enter(pointer, inner, argument)
                    seen += 1
                    if seen % _STEP_ENTRIES == 0:
                        yield
        yield from self._enter_others()
        return Looked(
            entries=self._entries,
            incomplete=self._memory.is_incomplete,
            secret_ids=self._carried.at(""),
            objects=self._objects,
        )

    def _values(self, argument: ArgumentEntry) -> Iterator[tuple[str, Json]]:
        """The values that the manifest's line is about; None where there is none."""
        value = self._arguments.get(argument.pointer[1:])
        if isinstance(value, str) and argument.pointer.count("/") == 1:
            yield argument.pointer, value
            return
        for pointer in pointers_of(self._arguments, argument.pointer):
            _, value = resolve(self._arguments, pointer)
            if argument.role is Role.DESTINATION and isinstance(value, list):
                for index, item in enumerate(value):
                    yield f"{pointer}/{index}", item
            else:
                yield pointer, value

    def _enter(
        self, pointer: str, value: Json, argument: ArgumentEntry
    ) -> Generator[None, None, None]:
        """Write the entry of one value, if it says anything."""
        role, kind = argument.role, argument.type
        leaves: list[str | int | float] = []
        for leaf in texts_of(value) if value is not None else ():
            leaves.append(leaf)
            if len(leaves) % _STEP_LEAVES == 0:
                yield
        if not leaves:
            return
        named = self._carried.at(pointer) if self._carried else ()
        if len(leaves) == 1:
            sight = yield from self._single(pointer, leaves[0], role, kind)
        else:
            sight = yield from self._worst(pointer, leaves, role, kind)
        if named and any(isinstance(leaf, str) and "://" in leaf for leaf in leaves):
            sight = sight._replace(label=Label.MODEL)  # what it carries is not where it leads
        tokens: list[JsonObject] = []
        if role in _READ_THROUGH:
            texts = [leaf for leaf in leaves if isinstance(leaf, str) and self._may_name(leaf)]
            tokens = (yield from self._tokens(texts)) if texts else []
        self._entries[pointer] = _shown(sight, role, tokens, named)
        if len(leaves) > 1 or (isinstance(value, str) and len(value) > _LONG):
            yield

    def _enter_others(self) -> Generator[None, None, None]:
        """Secrets where no argument has a role: each text that carries one has an entry."""
        for number, pointer in enumerate(self._carried.places, 1):
            if not any(one in self._entries for one in above(pointer)):
                self._entries[pointer] = _shown(
                    MADE_UP, Role.CONTENT, [], self._carried.at(pointer)
                )
            if number % _STEP_ENTRIES == 0:
                yield

    # --- labels -------------------------------------------------------------------------------

    def _worst(
        self, pointer: str, leaves: Sequence[str | float], role: Role, kind: str | None
    ) -> Generator[None, None, Sight]:
        if len(leaves) > MAX_PARTS:
            return MADE_UP
        sights: list[Sight] = []
        for number, leaf in enumerate(leaves):
            sights.append((yield from self._single(f"{pointer}/{number}", leaf, role, kind)))
            if number % _STEP_SIGHTS == _STEP_SIGHTS - 1:
                yield
        worst = max(sights, key=lambda one: one.label.rank)
        sources = [source for one in sights if one.label is worst.label for source in one.sources]
        kept = tuple(dict.fromkeys(sources))[:MAX_SOURCES]
        return Sight(worst.label, kept, any(one.confusable for one in sights))

    def _single(
        self, pointer: str, leaf: str | float, role: Role, kind: str | None
    ) -> Generator[None, None, Sight]:
        if not isinstance(leaf, str):
            value = value_of(leaf, kind)
        elif len(leaf) > LONGEST_CHARS:
            return MADE_UP
        else:
            value = yield from value_steps(leaf, kind)
        if value is None:
            return MADE_UP
        if role in _OBJECTS:
            self._objects[pointer] = self._memory.digest_of(value)
        whole = self._memory.sight(value, kind, role, self._upstream)
        if not isinstance(leaf, str) or role in _WHOLE:
            return whole
        if value.url is not None or kind == "path":
            return (yield from self._beside(leaf, value, whole, role, kind))
        if kind in _UNSPLIT or whole.label not in _DOUBTFUL or not _SEPARATORS.search(leaf):
            return whole
        parts = _SEPARATORS.split(leaf, maxsplit=MAX_PARTS)
        return (yield from self._worst_part(parts, whole, role, kind))

    def _beside(
        self, leaf: str, value: Value, whole: Sight, role: Role, kind: str | None
    ) -> Generator[None, None, Sight]:
        """A URL or path that is trusted by its origin or directory alone is no better than what
        else stands in the text: whoever splits it goes there too."""
        if whole.label in _DOUBTFUL or not _BETWEEN_PLACES.search(leaf):
            return whole
        plain = None if kind == "path" else kind
        alone = self._memory.sight(value._replace(url=None), plain, role, self._upstream)
        if alone.label not in _DOUBTFUL:
            return whole  # somebody trusted said all of it
        parts = _BETWEEN_PLACES.split(leaf, maxsplit=MAX_PARTS)
        if len(parts) <= MAX_PARTS and not _LINES.search(leaf):
            leads = _is_path if kind == "path" else _is_address
            parts = [parts[0], *filter(leads, parts[1:])]
        return (yield from self._worst_part(parts, whole, role, kind))

    def _worst_part(
        self, parts: list[str], whole: Sight, role: Role, kind: str | None
    ) -> Generator[None, None, Sight]:
        if len(parts) > MAX_PARTS:
            return MADE_UP
        sights: list[Sight] = []
        for part in parts:
            value = yield from value_steps(part, kind)
            if value is None:
                continue
            sights.append(self._memory.sight(value, kind, role, self._upstream))
            if len(sights) % _STEP_SIGHTS == 0:
                yield
        if len(sights) < 2:
            return whole
        return max(sights, key=lambda one: one.label.rank)

    # --- content ------------------------------------------------------------------------------

    def _may_name(self, text: str) -> bool:
        """Whether addresses are worth looking for in `text`."""
        return (
            self._marks.iban
            or "@" in text
            or "://" in text
            or not text.isascii()
            or "www." in text.lower()
        )

    def _tokens(self, texts: list[str]) -> Generator[None, None, list[JsonObject]]:
        """Those that a policy should know of first: look-alikes, untrusted ones, the model's own.

        Where there are more than are looked at, one of kind `more` stands for the others.
        """
        found: dict[Token, tuple[Value, Sight]] = {}
        met = 0
        for token in _tokens_of(texts, iban=self._marks.iban):
            if token is None:
                yield
                continue
            met += 1
            if met > MAX_MET or (len(found) == MAX_TOKENS and token not in found):
                return [_MORE, *self._told(found)]
            value = value_of(token.text, token.kind) if token not in found else None
            if value is None:
                continue
            sight = self._memory.sight(value, token.kind, Role.CONTENT, self._upstream)
            found[token] = value, sight
            if len(found) % _STEP_SIGHTS == 0:
                yield
        return self._told(found)

    def _told(self, found: dict[Token, tuple[Value, Sight]]) -> list[JsonObject]:
        if not found:
            return []
        first = sorted(found.items(), key=lambda item: _urgency(item[1][1]))[:MAX_SHOWN]
        return [self._token(token, value, sight) for token, (value, sight) in first]

    def _token(self, token: Token, value: Value, sight: Sight) -> JsonObject:
        shown: JsonObject = {
            "kind": token.kind,
            "label": sight.label.value,
            "digest": self._memory.digest_of(value),
        }
        if token.kind == "email":
            host = host_in(value.forms[-1].key.decode(), "email")
            shown |= {"host": host, "zone": self._zones.zone_of(host)}
        elif token.kind == "url":
            host = None if value.url is None else host_in(value.url.authority)
            shown |= {"host": host, "zone": self._zones.zone_of(host)}
        if sight.confusable:
            shown["confusable"] = True
        return shown


def _tokens_of(texts: list[str], *, iban: bool) -> Iterator[Token | None]:
    """Their tokens, as people see them; None after each piece of a long one."""
    for text in texts:
        for piece in pieces(text, _PIECE_CHARS) if len(text) > _PIECE_CHARS else (text,):
            shown = piece if piece.isascii() else (yield from _seen(piece))
            yield from tokens_in(shown, iban=iban)
            if piece is not text:
                yield None


def _seen(text: str) -> Generator[None, None, str]:
    return (yield from fold_steps(text, cased=True)).decode()


_URGENT: Final = {Label.UNTRUSTED: 1, Label.MODEL: 2}


def _urgency(sight: Sight) -> int:
    return 0 if sight.confusable else _URGENT.get(sight.label, 3)


def _is_path(part: str) -> bool:
    """Whether a text behind a comma can be a path to elsewhere, and not the rest of a name."""
    part = part.strip()
    return "/" in part or "\\" in part or part[:1] == "~" or part[:2] == ".." or part[1:2] == ":"


def _is_address(part: str) -> bool:
    """The same of a URL, a host or an e-mail address: numbers and plain words are none."""
    part = part.strip()
    if "://" in part or "@" in part or "\\" in part or part.startswith("//"):
        return True
    head = _HEAD.match(part)
    host, colon, _ = (head[0] if head else part).partition(":")
    labels = host.strip(".").split(".")
    return bool(colon) or len(labels) == 4 or (len(labels) > 1 and labels[-1][:1].isalpha())


def _shown(sight: Sight, role: Role, tokens: list[JsonObject], named: Sequence[str]) -> JsonObject:
    entry: JsonObject = {
        "role": role.value,
        "label": sight.label.value,
        "sources": [*sight.sources],
        "tokens": [*tokens],
        "secrets": [*named],
    }
    if sight.confusable:
        entry["confusable"] = True
    return entry
