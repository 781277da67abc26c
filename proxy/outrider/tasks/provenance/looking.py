"""Looking at a call: one entry for each argument that has a role (CONTRACTS §1).

A list has the label of its worst item, but where it names destinations each item has an entry of
its own. Content is looked through for addresses and secrets. An argument without a role has an
entry, as content, only where it carries a secret.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from outrider.core.action import Action
from outrider.core.catalogue import ToolEntry
from outrider.core.constraints import escape_token, resolve
from outrider.core.destinations import host_in, pointers_of
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Label, Role
from outrider.core.zones import Zones
from outrider.tasks.provenance.addresses import url_of
from outrider.tasks.provenance.answers import Looked
from outrider.tasks.provenance.forms import fold, texts_of
from outrider.tasks.provenance.memory import MADE_UP, Memory, Sight
from outrider.tasks.provenance.patterns import patterns_in
from outrider.tasks.provenance.secrets import squash
from outrider.tasks.provenance.tokens import Token, tokens_in

MAX_SHOWN: Final = 16
"""Tokens of one entry that policy sees, the least trusted first."""
MAX_PARTS: Final = 64
"""Parts of one list or separated string that are looked at; with more it is `model`."""
MAX_SOURCES: Final = 4
MAX_NAMED: Final = 16  # secrets of one entry
_READ_THROUGH: Final = frozenset({Role.CONTENT, Role.COMMAND})
_WHOLE: Final = frozenset({Role.CONTENT, Role.AMOUNT, Role.CONTROL})
_UNSPLIT: Final = frozenset({"url", "path", "number", "date"})
_OBJECTS: Final = frozenset({Role.TARGET, Role.SELECTOR, Role.DESTINATION})
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

    def take(self) -> Generator[None, None, Looked]:
        if not self._arguments:
            return Looked(entries={}, incomplete=self._memory.is_incomplete)
        found = yield from self._secrets_in()
        for argument in self._entry.arguments:
            for pointer, value in self._values(argument.pointer, argument.role):
                named = _below(found, pointer)
                if argument.role in _OBJECTS and isinstance(value, str | int | float):
                    self._objects[pointer] = self._memory.digest_of(value)
                entry = self._entry_for(value, argument.role, argument.type, named)
                if entry is not None:
                    self._entries[pointer] = entry
        for pointer, names in found.items():
            if not any(pointer == one or pointer.startswith(one + "/") for one in self._entries):
                self._entries[pointer] = self._shown(MADE_UP, Role.CONTENT, [], list(names))
        ids = dict.fromkeys(name for names in found.values() for name in names)
        return Looked(
            entries=self._entries,
            incomplete=self._memory.is_incomplete,
            secret_ids=tuple(ids),
            objects=self._objects,
        )

    def _values(self, pointer: str, role: Role) -> Iterator[tuple[str, Json]]:
        for concrete in pointers_of(self._arguments, pointer):
            found, value = resolve(self._arguments, concrete)
            if role is Role.DESTINATION and isinstance(value, list):
                for index, item in enumerate(value):
                    yield f"{concrete}/{index}", item
            elif found and value is not None:
                yield concrete, value

    # --- labels -------------------------------------------------------------------------------

    def _entry_for(
        self, value: Json, role: Role, kind: str | None, named: list[str]
    ) -> JsonObject | None:
        leaves: list[str | float] = [value] if isinstance(value, str) else list(texts_of(value))
        if not leaves or leaves == [""]:
            return None
        sight = self._worst(leaves, role, kind, carries_secret=bool(named))
        tokens: list[JsonObject] = []
        if role in _READ_THROUGH:
            tokens = self._tokens([leaf for leaf in leaves if isinstance(leaf, str)])
        return self._shown(sight, role, tokens, named)

    def _worst(
        self, leaves: Sequence[str | float], role: Role, kind: str | None, *, carries_secret: bool
    ) -> Sight:  # fmt: skip
        if len(leaves) > MAX_PARTS:
            return MADE_UP
        sights = [self._sight(leaf, role, kind) for leaf in leaves]
        worst = max(sights, key=lambda one: one.label.rank)
        sources = dict.fromkeys(
            source for one in sights if one.label is worst.label for source in one.sources
        )
        confusable = any(one.confusable for one in sights)
        label = worst.label
        if carries_secret and kind == "url":
            label = Label.MODEL  # where it leads says nothing of what it carries there
        return Sight(label, tuple(sources)[:MAX_SOURCES], confusable)

    def _sight(self, leaf: str | float, role: Role, kind: str | None) -> Sight:
        whole = self._memory.sight(leaf, kind, role, self._upstream)
        if (
            not isinstance(leaf, str)
            or role in _WHOLE
            or kind in _UNSPLIT
            or whole.label.rank < Label.UNTRUSTED.rank
            or not _SEPARATORS.search(leaf)
        ):
            return whole
        parts = [part for part in _SEPARATORS.split(leaf) if part.strip()]
        if len(parts) < 2 or len(parts) > MAX_PARTS:
            return whole
        sights = [self._memory.sight(part, kind, role, self._upstream) for part in parts]
        return max(sights, key=lambda one: one.label.rank)

    def _shown(
        self, sight: Sight, role: Role, tokens: list[JsonObject], named: list[str]
    ) -> JsonObject:
        entry: JsonObject = {
            "role": role.value,
            "label": sight.label.value,
            "sources": list(sight.sources),
            "tokens": list(tokens),
            "secrets": list(named[:MAX_NAMED]),
        }
        if sight.confusable:
            entry["confusable"] = True
        return entry

    # --- content ------------------------------------------------------------------------------

    def _tokens(self, texts: list[str]) -> list[JsonObject]:
        found: dict[Token, Sight] = {}
        for text in texts:
            for token in tokens_in(text):
                if token not in found:
                    found[token] = self._memory.sight(
                        token.text, token.kind, Role.CONTENT, self._upstream
                    )
        worst = sorted(found.items(), key=lambda item: -item[1].label.rank)[:MAX_SHOWN]
        return [self._token(token, sight) for token, sight in worst]

    def _token(self, token: Token, sight: Sight) -> JsonObject:
        shown: JsonObject = {
            "kind": token.kind,
            "label": sight.label.value,
            "digest": self._memory.digest_of(token.text),
        }
        if token.kind != "iban":
            host = _host_of(token)
            shown |= {"host": host, "zone": self._zones.zone_of(host)}
        if sight.confusable:
            shown["confusable"] = True
        return shown

    # --- secrets ------------------------------------------------------------------------------

    def _secrets_in(self) -> Generator[None, None, dict[str, dict[str, None]]]:
        """By the pointer of each leaf, the ids of what it carries or carries a part of."""
        found: dict[str, dict[str, None]] = {}
        row: list[tuple[str, str]] = []
        squashed: list[bytes] = []
        spans: list[tuple[int, int, str]] = []
        length = 0
        for pointer, text in _strings(self._arguments, ""):
            for name in patterns_in(text, self._memory.digest):
                found.setdefault(pointer, {})[name] = None
            if self._secrets:
                row.append((pointer, text))
        row += [(pointer, unquote(text)) for pointer, text in row if "%" in text]
        for pointer, text in row:
            data = squash(text)
            spans.append((length, length + len(data), pointer))
            squashed.append(data)
            length += len(data)
        for hit in self._secrets.find(b"".join(squashed)) if squashed else ():
            if hit is None:
                yield
                continue
            start, end, name = hit
            for first, last, pointer in spans:
                if first < end and start < last:
                    found.setdefault(pointer, {})[name] = None
        return found


def _strings(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    """Every text of the arguments, keys too, in their order."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{pointer}/{escape_token(key)}"
            yield inner, key
            yield from _strings(item, inner)


def _below(found: dict[str, dict[str, None]], pointer: str) -> list[str]:
    if not found:
        return []
    names: dict[str, None] = {}
    for one, inner in found.items():
        if one == pointer or one.startswith(pointer + "/"):
            names |= inner
    return list(names)


def _host_of(token: Token) -> str | None:
    text = token.text
    if token.kind == "url":
        url = url_of(fold(text, cased=True).decode())
        return None if url is None else host_in(url.authority)
    return host_in(text, "email")
