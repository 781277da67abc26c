"""Looking at a call: one entry for each argument that has a role (CONTRACTS §1).

A list has the label of its worst item, but where it names destinations each item has an entry of
its own. Content is looked through for addresses and secrets. An argument without a role has an
entry, as content, only where it carries a secret.
"""

import re
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias
from urllib.parse import unquote

from outrider.core.action import Action
from outrider.core.catalogue import ArgumentEntry, ToolEntry
from outrider.core.constraints import escape_token, resolve
from outrider.core.destinations import host_in, pointers_of
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Label, Role
from outrider.core.zones import Zones
from outrider.tasks.provenance.answers import Looked
from outrider.tasks.provenance.forms import Value, fold, pieces, texts_of, value_of
from outrider.tasks.provenance.memory import MADE_UP, Memory, Sight
from outrider.tasks.provenance.patterns import Marks, marks_of, patterns_in
from outrider.tasks.provenance.secrets import squash
from outrider.tasks.provenance.tokens import Token, tokens_in

MAX_SHOWN: Final = 16
"""Tokens of one entry that policy sees, the least trusted first."""
MAX_PARTS: Final = 64
"""Parts of one list or separated string that are looked at; with more it is `model`."""
MAX_SOURCES: Final = 4
Found: TypeAlias = dict[str, dict[str, None]]
"""Ids of secrets by the pointer of the text they stand in."""
_LONG: Final = 4096  # characters of an argument after which the loop has its turn
MAX_TOKENS: Final = 256
"""Tokens of one entry that are looked at."""
MAX_MET: Final = 1024  # the same one counted as often as it stands there
LONGEST_CHARS: Final = 64 << 10
"""A longer text was said by nobody as a whole."""
_PIECE_CHARS: Final = 16 << 10
MAX_NAMED: Final = 16  # secrets of one entry
MAX_IDS: Final = 64  # secrets of one call
_STEP_SIGHTS: Final = 8
_MORE: Final[JsonObject] = {"kind": "more", "label": Label.UNTRUSTED.value}
_READ_THROUGH: Final = frozenset({Role.CONTENT, Role.COMMAND})
_WHOLE: Final = frozenset({Role.CONTENT, Role.AMOUNT, Role.CONTROL})
_UNSPLIT: Final = frozenset({"url", "path", "number", "date"})
_OBJECTS: Final = frozenset({Role.TARGET, Role.SELECTOR, Role.DESTINATION})
_DOUBTFUL: Final = (Label.UNTRUSTED, Label.MODEL)
_SEPARATORS: Final = re.compile(r"[,;\n]")


class View:
    """One call, looked at with what `memory` holds."""

    def __init__(self, action: Action, entry: ToolEntry, *, zones: Zones, memory: Memory) -> None:
        self._arguments = action.ask.arguments or {}
        self._upstream = action.ask.upstream
        self._entry = entry
        self._zones = zones
        self._memory = memory
        self._secrets = memory.secrets
        self._entries: JsonObject = {}
        self._objects: dict[str, str] = {}
        self._marks = Marks(run=True, card=True, iban=True)

    def take(self) -> Generator[None, None, Looked]:
        arguments = self._arguments
        if not arguments:
            return Looked(entries={}, incomplete=self._memory.is_incomplete)
        self._marks = marks_of(arguments)
        found: Found = {}
        if self._marks.run or self._marks.card or self._memory.secrets:
            found = yield from self._secrets_in(list(_strings(arguments, "")))
        for argument in self._entry.arguments:
            name = argument.pointer[1:]
            if name in arguments or not name.isidentifier():
                for pointer, inner in self._values(argument):
                    yield from self._enter(pointer, inner, argument, found)
        for pointer, names in found.items():
            if not any(pointer == one or pointer.startswith(one + "/") for one in self._entries):
                self._entries[pointer] = _shown(MADE_UP, Role.CONTENT, [], names)
        ids = _gravest(name for names in found.values() for name in names) if found else ()
        return Looked(
            entries=self._entries,
            incomplete=self._memory.is_incomplete,
            secret_ids=tuple(islice(ids, MAX_IDS)),
            objects=self._objects,
        )

    def _values(self, argument: ArgumentEntry) -> Iterator[tuple[str, Json]]:
        value = self._arguments.get(argument.pointer[1:])
        if isinstance(value, str) and argument.pointer.count("/") == 1:
            yield argument.pointer, value
            return
        for pointer in pointers_of(self._arguments, argument.pointer):
            found, value = resolve(self._arguments, pointer)
            if argument.role is Role.DESTINATION and isinstance(value, list):
                for index, item in enumerate(value):
                    yield f"{pointer}/{index}", item
            elif found and value is not None:
                yield pointer, value

    def _enter(
        self, pointer: str, value: Json, argument: ArgumentEntry, found: "Found"
    ) -> Generator[None, None, None]:
        """Write the entry of one value, if it says anything."""
        role, kind = argument.role, argument.type
        leaves = list(texts_of(value))
        if not leaves:
            return
        named = _below(found, pointer) if found else ()
        if len(leaves) == 1:
            sight = self._single(pointer, leaves[0], role, kind)
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

    # --- labels -------------------------------------------------------------------------------

    def _worst(
        self, pointer: str, leaves: Sequence[str | float], role: Role, kind: str | None
    ) -> Generator[None, None, Sight]:
        if len(leaves) > MAX_PARTS:
            return MADE_UP
        sights: list[Sight] = []
        for number, leaf in enumerate(leaves):
            sights.append(self._single(f"{pointer}/{number}", leaf, role, kind))
            if number % _STEP_SIGHTS == _STEP_SIGHTS - 1:
                yield
        worst = max(sights, key=lambda one: one.label.rank)
        sources = [source for one in sights if one.label is worst.label for source in one.sources]
        kept = tuple(dict.fromkeys(sources))[:MAX_SOURCES]
        return Sight(worst.label, kept, any(one.confusable for one in sights))

    def _single(self, pointer: str, leaf: str | float, role: Role, kind: str | None) -> Sight:
        long = isinstance(leaf, str) and len(leaf) > LONGEST_CHARS
        value = None if long else value_of(leaf, kind)
        if value is None:
            return MADE_UP
        if role in _OBJECTS:
            self._objects[pointer] = self._memory.digest_of(value)
        return self._sight(leaf, value, role, kind)

    def _sight(self, leaf: str | float, value: Value, role: Role, kind: str | None) -> Sight:
        memory = self._memory
        whole = memory.sight(value, kind, role, self._upstream)
        if (
            not isinstance(leaf, str)
            or role in _WHOLE
            or kind in _UNSPLIT
            or whole.label not in _DOUBTFUL
            or not _SEPARATORS.search(leaf)
        ):
            return whole
        texts = _SEPARATORS.split(leaf, maxsplit=MAX_PARTS)
        if len(texts) > MAX_PARTS:
            return MADE_UP
        parts = [value_of(part, kind) for part in texts]
        values = [part for part in parts if part is not None]
        if len(values) < 2:
            return whole
        sights = [memory.sight(part, kind, role, self._upstream) for part in values]
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

    # --- secrets ------------------------------------------------------------------------------

    def _secrets_in(self, texts: list[tuple[str, str, bool]]) -> Generator[None, None, Found]:
        """By the pointer of each leaf, the ids of what it carries or carries a part of."""
        found: Found = {}
        if self._marks.run or self._marks.card:
            for pointer, text, _ in texts:
                for name in patterns_in(text, self._marks, self._memory.digest):
                    found.setdefault(pointer, {})[name] = None
        if self._memory.secrets:
            # Values in a row, then names, then what was escaped: a split one stands in one of them.
            row = [(pointer, text) for pointer, text, is_name in texts if not is_name]
            row += [(pointer, text) for pointer, text, is_name in texts if is_name]
            row += [(pointer, unquote(text)) for pointer, text, _ in texts if "%" in text]
            squashed = [squash(text) for _, text in row]
            for hit in self._memory.secrets.find(b"".join(squashed)):
                if hit is None:
                    yield
                    continue
                for pointer in _overlapping(hit, row, squashed):
                    found.setdefault(pointer, {})[hit[2]] = None
        return found


def _tokens_of(texts: list[str], *, iban: bool) -> Iterator[Token | None]:
    """Their tokens, as people see them; None after each piece of a long one."""
    for text in texts:
        for piece in pieces(text, _PIECE_CHARS) if len(text) > _PIECE_CHARS else (text,):
            shown = piece if piece.isascii() else fold(piece, cased=True).decode()
            yield from tokens_in(shown, iban=iban)
            if piece is not text:
                yield None


_URGENT: Final = {Label.UNTRUSTED: 1, Label.MODEL: 2}


def _urgency(sight: Sight) -> int:
    return 0 if sight.confusable else _URGENT.get(sight.label, 3)


def _gravest(names: Iterable[str]) -> dict[str, None]:
    """`names` without repeats, secrets and keys before personal data."""
    return dict.fromkeys(sorted(names, key=lambda name: name.startswith("pii_")))


def _overlapping(
    hit: tuple[int, int, str], row: list[tuple[str, str]], squashed: list[bytes]
) -> Iterator[str]:
    start, end, _ = hit
    first = 0
    for (pointer, _), data in zip(row, squashed, strict=True):
        last = first + len(data)
        if first < end and start < last:
            yield pointer
        first = last


def _strings(value: Json, pointer: str) -> Iterator[tuple[str, str, bool]]:
    """(pointer, text, whether it is a name) of every text of the arguments, in their order."""
    if isinstance(value, str):
        yield pointer, value, False
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{pointer}/{escape_token(key)}"
            yield inner, key, True
            yield from _strings(item, inner)


def _below(found: Found, pointer: str) -> dict[str, None]:
    names: dict[str, None] = {}
    for one, inner in found.items():
        if one == pointer or one.startswith(pointer + "/"):
            names |= inner
    return names


def _shown(
    sight: Sight, role: Role, tokens: list[JsonObject], named: Collection[str]
) -> JsonObject:
    entry: JsonObject = {
        "role": role.value,
        "label": sight.label.value,
        "sources": [*sight.sources],
        "tokens": [*tokens],
        "secrets": [*islice(_gravest(named), MAX_NAMED)] if named else [],
    }
    if sight.confusable:
        entry["confusable"] = True
    return entry
