"""The bounds of a grant: how they are written, and which are provably narrower (GOVERNANCE §2).

Laws: an absent bound bounds nothing, so adding one narrows; money is a decimal of at most six
places and is kept as whole millionths, never as a float; amounts in two units cannot be compared,
so only nothing at all lies within both.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from outrider.core.budget import MICRO, Limits
from outrider.core.errors import ConfigError
from outrider.core.globs import Glob, globs_within, meet_globs, parse_glob
from outrider.core.jsonvalue import Json, JsonObject

LARGEST: Final = 2**53 - 1
LONGEST_PERIOD_S: Final = 366 * 86_400
MAX_DELEGATES: Final = 256
MAX_DEPTH: Final = 4
"""Hops of a delegation at most: what a header field can carry (GOVERNANCE §8)."""
COUNTED: Final = ("calls", "tokens", "records", "bytes")
_MONEY: Final = re.compile(r"(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,6}))?")
_UNIT: Final = re.compile(r"[a-z][a-z0-9_-]{0,15}")
_Bound = TypeVar("_Bound", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """How far a task may be handed on, and to whom: globs on SPIFFE IDs."""

    depth: int
    to: tuple[Glob, ...]


# --- reading --------------------------------------------------------------------------------


def parse_limits(document: JsonObject, where: str) -> Limits:
    """The bounds in a grant's `document`; null stands for none. Raises `ConfigError`."""
    spend, unit = _spend(document.get("spend"), f"{where}.spend")
    counted = {name: _count(document.get(name), f"{where}.{name}") for name in COUNTED}
    return Limits(
        calls=counted["calls"],
        spend=spend,
        tokens=counted["tokens"],
        records=counted["records"],
        bytes=counted["bytes"],
        unit=unit,
    )


def parse_period(document: JsonObject, where: str) -> int | None:
    """How long a standing grant's budgets run, seconds. Raises `ConfigError`."""
    value = document.get("period_s")
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= LONGEST_PERIOD_S:
        raise ConfigError(f"{where}.period_s is {value!r}; give 1 to {LONGEST_PERIOD_S}")
    return value


def parse_delegation(document: JsonObject, where: str) -> Delegation | None:
    """To whom the task may be handed on; None: to nobody. Raises `ConfigError`."""
    value = document.get("delegation")
    if value is None:
        return None
    if not isinstance(value, dict) or not value.keys() <= {"depth", "to"}:
        raise ConfigError(f"{where}.delegation: give {{depth, to}}")
    depth, names = value.get("depth", 1), value.get("to", [])
    if type(depth) is not int or not 0 <= depth <= MAX_DEPTH:
        raise ConfigError(f"{where}.delegation.depth is {depth!r}; give 0 to {MAX_DEPTH}")
    if not isinstance(names, list) or len(names) > MAX_DELEGATES:
        raise ConfigError(f"{where}.delegation.to: give a list of at most {MAX_DELEGATES}")
    return Delegation(depth=depth, to=tuple(_delegate(name, where) for name in names))


def _delegate(name: Json, where: str) -> Glob:
    if not isinstance(name, str) or not name.startswith("spiffe://"):
        raise ConfigError(f"{where}.delegation.to: {name!r}: give a SPIFFE ID, or one with a `*`")
    try:
        return parse_glob(name)
    except ValueError as fault:
        raise ConfigError(f"{where}.delegation.to: {name!r}: {fault}") from None


def _count(value: Json, where: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ConfigError(f"{where} is {value!r}; give a whole number from 0")
    return value


def _spend(value: Json, where: str) -> tuple[int | None, str | None]:
    if value is None:
        return None, None
    if not isinstance(value, dict):
        return money(value, where), None
    if not value.keys() <= {"limit", "unit"} or "limit" not in value:
        raise ConfigError(f"{where}: give {{limit, unit}}")
    unit = value.get("unit")
    if unit is not None and not (isinstance(unit, str) and _UNIT.fullmatch(unit)):
        raise ConfigError(f"{where}.unit is {unit!r}; give a word such as usd")
    return money(value["limit"], f"{where}.limit"), unit


def money(value: Json, where: str) -> int:
    """An amount in millionths. Raises `ConfigError` for what is no decimal of six places.

    A number is taken as its shortest spelling says it: 0.1 is a tenth.
    """
    told = repr(value) if type(value) in (int, float) else value
    match = _MONEY.fullmatch(told.removesuffix(".0")) if isinstance(told, str) else None
    if match is None:
        raise ConfigError(f"{where} is {value!r}; give a decimal of at most six places, from 0")
    return int(match[1]) * MICRO + int((match[2] or "").ljust(6, "0"))


# --- writing --------------------------------------------------------------------------------


def written_money(micros: int) -> str:
    """`micros` as the decimal that `money` reads, without zeros that say nothing."""
    whole, rest = divmod(micros, MICRO)
    places = f"{rest:06d}".rstrip("0")
    return f"{whole}.{places}" if places else str(whole)


def write_limits(limits: Limits) -> JsonObject:
    """The members of a grant's document that `parse_limits` reads again as `limits`."""
    counts = {name: getattr(limits, name) for name in COUNTED}
    found: JsonObject = {name: value for name, value in counts.items() if value is not None}
    if limits.spend is not None:
        amount = written_money(limits.spend)
        unit: JsonObject = {} if limits.unit is None else {"unit": limits.unit}
        found["spend"] = {"limit": amount, **unit}
    return found


def write_delegation(delegation: Delegation) -> JsonObject:
    return {"depth": delegation.depth, "to": [str(glob) for glob in delegation.to]}


# --- algebra --------------------------------------------------------------------------------


def limits_within(inner: Limits, outer: Limits) -> bool:
    """True if whoever keeps `inner` keeps `outer` too."""
    counts = all(at_most(getattr(inner, name), getattr(outer, name)) for name in COUNTED)
    return counts and _spend_within(inner, outer)


def _spend_within(inner: Limits, outer: Limits) -> bool:
    if outer.spend is None or inner.spend == 0:
        return True
    return inner.unit == outer.unit and at_most(inner.spend, outer.spend)


def at_most(inner: _Bound | None, outer: _Bound | None) -> bool:
    """Whether a bound lies within another; None is none."""
    return outer is None or (inner is not None and inner <= outer)


def least(left: _Bound | None, right: _Bound | None) -> _Bound | None:
    """The stricter of two bounds; None is none."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def meet_limits(left: Limits, right: Limits) -> Limits:
    """The widest limits that lie within both."""
    met = Limits(
        calls=least(left.calls, right.calls),
        tokens=least(left.tokens, right.tokens),
        records=least(left.records, right.records),
        bytes=least(left.bytes, right.bytes),
    )
    if left.spend is None or right.spend is None:
        told = left if right.spend is None else right
        return replace(met, spend=told.spend, unit=told.unit)
    if left.unit == right.unit:
        return replace(met, spend=min(left.spend, right.spend), unit=left.unit)
    return replace(met, spend=0, unit=left.unit)


def delegation_within(inner: Delegation | None, outer: Delegation | None) -> bool:
    """True if everyone whom `inner` lets have the task, `outer` does too."""
    if inner is None or inner.depth == 0 or not inner.to:
        return True
    return outer is not None and inner.depth <= outer.depth and globs_within(inner.to, outer.to)


def meet_delegation(left: Delegation | None, right: Delegation | None) -> Delegation | None:
    """What both let be handed on; None: nothing."""
    if left is None or right is None:
        return None
    to = meet_globs(left.to, right.to)
    return Delegation(depth=min(left.depth, right.depth), to=to)


def longest(left: int | None, right: int | None) -> int | None:
    """The longer of two periods, which is the stricter: a budget that never comes again, None, is
    the strictest."""
    return None if left is None or right is None else max(left, right)


def period_within(inner: int | None, outer: int | None) -> bool:
    """Whether a budget that comes again each `inner` seconds comes no oftener than each `outer`."""
    return inner is None or (outer is not None and inner >= outer)
