"""An action as the books count it: what of it matters to counters, sets and sums."""

import hashlib
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final
from zlib import crc32

import orjson

from outrider.core.action import Action, Destination
from outrider.core.budget import MICRO
from outrider.core.constraints import resolve
from outrider.core.jsonvalue import Json
from outrider.core.vocabulary import ActionEffect, EffectClass, Phase, Role, Sensitivity
from outrider.tasks.memory import TAG
from outrider.tasks.provenance.answers import Looked
from outrider.tasks.provenance.forms import JOINTS, value_of

INTERNAL: Final = "internal"
"""The one zone that is not outside."""
UNKNOWN_HOST: Final = "?"
"""Stands for a destination whose host cannot be read: all of those are one."""
HOST_CHARS: Final = 48
"""A longer host is kept by its digest, so that a set of hosts has a bounded size."""
GUARD: Final = "guard"
_AIMED: Final = frozenset({Role.TARGET, Role.DESTINATION})
_OBJECT: Final = frozenset({Role.TARGET, Role.SELECTOR})
_MOST_AMOUNT: Final = Decimal(2**53) / MICRO
_KEPT_CHARS: Final = 320
"""A longer text is read anew each time."""
_SORTED: Final = orjson.OPT_SORT_KEYS


def mark(*texts: str) -> str:
    """Twenty hexadecimal digits that stand for these texts in a set: 80 bits, so that nobody finds
    another text for a place in it."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=10).hexdigest()


class Act:
    """What an action is to the books. Made once for each action, then only read."""

    __slots__ = (
        "action", "aim", "counted", "deletes", "effect", "external", "host", "hosts", "kind",
        "objects", "pattern", "recalls", "remembers", "resource", "secrets", "sensitivity", "sent",
        "tags", "urls",
    )  # fmt: skip

    def __init__(self, action: Action, looked: Looked) -> None:
        ask = action.ask
        self.action = action
        self.effect = action.effect
        self.kind = action.effect_class
        self.resource = ask.shown_id
        self.sensitivity = action.sensitivity
        self.tags = action.tags
        if GUARD in self.tags and self.kind is EffectClass.READ:
            # Of what guards the agents only changes count (SQ-14).
            self.tags = tuple([tag for tag in action.tags if tag != GUARD])
        self.counted = not ask.plumbing and ask.phase is not Phase.LIST
        """Whether it is an act of the agent; plumbing and lists are not."""
        memory = TAG in action.tags
        self.recalls = memory and self.kind is EffectClass.READ
        self.remembers = memory and self.kind is not EffectClass.READ
        hosts: list[str] = []
        external: list[str] = []
        for place in action.destinations:
            host = kept_host(place.host)
            if host not in hosts:
                hosts.append(host)
                if place.zone != INTERNAL:
                    external.append(host)
        self.hosts = hosts
        self.external = external
        self.host = action.destinations[-1].host if action.destinations else None
        spelt = spelt_of(ask.arguments)
        self.sent = 0 if ask.arguments is None else len(spelt)
        self.urls = b"://" in spelt
        self.pattern = f"{crc32(spelt, _seed(self.resource, self.effect)):08x}"
        """The same for the same call, to tell repeats by. No more than a checksum: who makes two
        calls alike only makes them count as one repeated."""
        self.secrets = looked.secret_ids
        self.objects: list[str] = []
        self.aim: str | None = None
        self.deletes = 0
        if looked.objects:
            self._aimed(looked.objects)
        if self.effect is ActionEffect.DELETE:
            self.deletes = len(self.objects) or 1

    def _aimed(self, objects: dict[str, str]) -> None:
        """`objects` are what it acts on; `aim` stands for effect, destinations and targets."""
        roles = self.action.roles
        aimed: list[str] = []
        for pointer, digest in objects.items():
            role = _role_at(pointer, roles)
            if role in _OBJECT:
                self.objects.append(digest)
            if role in _AIMED:
                aimed.append(digest)
        if aimed:
            self.aim = mark(self.effect, *sorted(aimed))

    @property
    def outward(self) -> bool:
        """Whether it changes something, or takes something, outside."""
        return bool(self.external) and self.kind is not EffectClass.READ

    @property
    def reads(self) -> bool:
        """Whether what its answer holds is as sensitive as its tool: reads, and what may be any."""
        return self.effect is ActionEffect.READ or self.effect is ActionEffect.EXECUTE

    @property
    def reading(self) -> Sensitivity | None:
        """How sensitive what it reads is by the manifest's word."""
        return self.sensitivity if self.reads else None


def place_of(destination: Destination) -> str | None:
    """What a destination is told apart by: a mail address whole, else its host; None without."""
    value = destination.value
    if destination.host is not None and value is not None and "@" in value and "://" not in value:
        return plain(value)
    return destination.host


def plain(text: str) -> str:
    """One spelling of an address, link, account or number for comparing: that by which provenance
    knows it, without what people set between its parts."""
    return _plain(text) if len(text) <= _KEPT_CHARS else _plain.__wrapped__(text)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    value = value_of(text)
    if value is None:
        return ""
    key = value.forms[-1].key
    if value.url is None and b"@" not in key:
        key = key.translate(None, JOINTS)
    return key.decode("utf-8", "replace")


def kept_host(host: str | None) -> str:
    """A host as the sets keep it."""
    if host is None:
        return UNKNOWN_HOST
    return host if len(host) <= HOST_CHARS and host.isascii() else mark(host)


def spelt_of(value: Json) -> bytes:
    """The JSON of `value` with its names in order; never raises."""
    try:
        return orjson.dumps(value, option=_SORTED)
    except orjson.JSONEncodeError:  # a number or text without a JSON form of its own
        return repr(value).encode("utf-8", "backslashreplace")


@lru_cache(maxsize=1024)
def _seed(resource: str, effect: ActionEffect) -> int:
    return crc32(f"{effect}\0{resource}".encode("utf-8", "surrogatepass"))


def _role_at(pointer: str, roles: tuple[tuple[str, Role], ...]) -> Role | None:
    """The role of the argument that `pointer` is or lies in."""
    for declared, role in roles:
        if pointer == declared or pointer.startswith(declared + "/"):
            return role
    return None


# --- sums -----------------------------------------------------------------------------------


def amount_of(action: Action) -> int | None:
    """What its amounts come to, in millionths, rounded up; None where one cannot be read.

    A number below zero cannot: it would make room for others.
    """
    whole = Decimal(0)
    for value in values_of(action, Role.AMOUNT):
        number = _number(value)
        if number is None:
            return None
        whole += number
    if whole > _MOST_AMOUNT:
        return None
    return int((whole * MICRO).to_integral_value(rounding="ROUND_CEILING"))


def values_of(action: Action, wanted: Role) -> list[Json]:
    """What stands in its arguments of one role; a list gives its items."""
    found: list[Json] = []
    if action.ask.arguments is None:
        return found
    for pointer, role in action.roles:
        if role is wanted:
            _, value = resolve(action.ask.arguments, pointer)
            found += value if isinstance(value, list) else [value]
    return [value for value in found if value is not None]


def _number(value: Json) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= _MOST_AMOUNT else None
