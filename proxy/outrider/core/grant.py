"""The grant algebra: what a task may do at most, and what is provably narrower (GOVERNANCE §2).

Laws: `narrower` is a partial order (up to spelling) and `meet` its greatest lower bound; a call
is covered by `meet(a, b)` if and only if `a` and `b` cover it; what cannot be proved narrower is
not. Absent tools, effects or destinations grant none, an absent sensitivity grants `public`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from outrider.core.action import Action
from outrider.core.budget import UNLIMITED, Limits
from outrider.core.clock import rfc3339
from outrider.core.constraints import ArgumentRule, parse_rule, text_of
from outrider.core.errors import ConfigError
from outrider.core.globs import (
    Glob,
    HostGlob,
    globs_within,
    hosts_within,
    meet_globs,
    meet_hosts,
    parse_glob,
    parse_host_glob,
)
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.limits import (
    COUNTED,
    Delegation,
    delegation_within,
    limits_within,
    longest,
    meet_delegation,
    meet_limits,
    parse_delegation,
    parse_limits,
    parse_period,
    period_within,
    write_delegation,
    write_limits,
)
from outrider.core.vocabulary import ActionEffect, BodyKind, Phase, Sensitivity

MAX_PATTERNS: Final = 256
_KEYS: Final = frozenset(
    {
        "tools",
        "effects",
        "destinations",
        "arguments",
        "sensitivity",
        "not_before",
        "expires_at",
        "spend",
        "delegation",
        "period_s",
        *COUNTED,
    }
)
_KNOWN: Final = ", ".join(sorted(_KEYS))
Rules = Mapping[str, tuple[ArgumentRule, ...]]
_Pattern = TypeVar("_Pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a task may do at most. Absent sets grant nothing; `document` is the grant as written.

    In `arguments` a tool id has one map of constraints, or a list of maps that all must hold.
    `limits` are counted by the task's books, each `period_s` anew for a standing grant; None runs
    as long as the task does. `covers` does not ask them.
    """

    tools: tuple[str, ...]
    effects: frozenset[ActionEffect]
    destinations: tuple[str, ...]
    arguments: JsonObject
    sensitivity: Sensitivity
    not_before_unix_s: float | None
    expires_unix_s: float | None
    document: JsonObject
    limits: Limits = UNLIMITED
    period_s: int | None = None
    delegation: Delegation | None = None
    globs: tuple[Glob, ...] = field(repr=False, compare=False)
    hosts: tuple[HostGlob, ...] = field(repr=False, compare=False)
    rules: Rules = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncovered:
    """Where an action leaves a grant: a pointer into its arguments or None, a fixed sentence."""

    pointer: str | None
    detail: str


# --- reading --------------------------------------------------------------------------------


def parse_grant(document: Json, where: str) -> Grant:
    """The grant of `document`. Raises `ConfigError` naming the key under `where`."""
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: a grant is a map")
    for key in document:
        if key not in _KEYS:
            raise ConfigError(f"{where}.{key} is no part of a grant; give one of {_KNOWN}")
    return _build(
        document,
        globs=_patterns(document, "tools", where, _parse_id_glob),
        effects=frozenset(_patterns(document, "effects", where, _parse_effect)),
        hosts=_patterns(document, "destinations", where, parse_host_glob),
        rules=_parse_rules(document.get("arguments", {}), f"{where}.arguments"),
        sensitivity=_parse_sensitivity(document, where),
        interval=(
            _parse_time(document, "not_before", where),
            _parse_time(document, "expires_at", where),
        ),
        bounds=Bounds(
            limits=parse_limits(document, where),
            period_s=parse_period(document, where),
            delegation=parse_delegation(document, where),
        ),
    )


def _build(  # noqa: PLR0913 - one name for each dimension
    document: JsonObject,
    *,
    globs: tuple[Glob, ...],
    effects: frozenset[ActionEffect],
    hosts: tuple[HostGlob, ...],
    rules: Rules,
    sensitivity: Sensitivity,
    interval: tuple[float | None, float | None],
    bounds: "Bounds",
) -> Grant:
    arguments = document.get("arguments", {})
    return Grant(
        tools=tuple(map(str, globs)),
        effects=effects,
        destinations=tuple(map(str, hosts)),
        arguments=arguments if isinstance(arguments, dict) else {},
        sensitivity=sensitivity,
        not_before_unix_s=interval[0],
        expires_unix_s=interval[1],
        document=document,
        limits=bounds.limits,
        period_s=bounds.period_s,
        delegation=bounds.delegation,
        globs=globs,
        hosts=hosts,
        rules=rules,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What of a grant is counted, not matched."""

    limits: Limits
    period_s: int | None
    delegation: Delegation | None


def _patterns(
    document: JsonObject, key: str, where: str, parse: Callable[[str], _Pattern]
) -> tuple[_Pattern, ...]:
    values = document.get(key, [])
    if not isinstance(values, list) or len(values) > MAX_PATTERNS:
        raise ConfigError(f"{where}.{key}: give a list of at most {MAX_PATTERNS}")
    found: list[_Pattern] = []
    for value in values:
        try:
            found.append(parse(text_of(value)))
        except ValueError as error:
            raise ConfigError(f"{where}.{key}: {value!r}: {error}") from None
    return tuple(dict.fromkeys(found))


def _parse_id_glob(text: str) -> Glob:
    upstream, slash, name = text.partition("/")
    if text != "*" and not (slash and upstream and name):
        raise ValueError("give <upstream>/<name>, or `*` for all")
    return parse_glob(text)


def _parse_effect(text: str) -> ActionEffect:
    try:
        return ActionEffect(text)
    except ValueError:
        raise ValueError(f"give one of {', '.join(ActionEffect)}") from None


def _parse_sensitivity(document: JsonObject, where: str) -> Sensitivity:
    value = document.get("sensitivity", Sensitivity.PUBLIC.value)
    if not isinstance(value, str) or value not in set(Sensitivity):
        raise ConfigError(f"{where}.sensitivity is {value!r}; give one of {', '.join(Sensitivity)}")
    return Sensitivity(value)


def _parse_time(document: JsonObject, key: str, where: str) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f"{where}.{key} is {value!r}; give a time such as 2026-11-23T09:30:00Z")
    return moment.timestamp()


def _parse_rules(arguments: Json, where: str) -> Rules:
    if not isinstance(arguments, dict) or len(arguments) > MAX_PATTERNS:
        raise ConfigError(f"{where}: give a map of at most {MAX_PATTERNS} tool ids")
    found: dict[str, tuple[ArgumentRule, ...]] = {}
    for tool, rules in arguments.items():
        if "*" in tool or "/" not in tool:
            raise ConfigError(f"{where}: {tool!r} is no <upstream>/<name>; no globs here")
        listed = rules if isinstance(rules, list) else [rules]
        found[tool] = tuple(parse_rule(rule, f"{where}.{tool}") for rule in listed)
    return found


# --- covering -------------------------------------------------------------------------------


def covers(grant: Grant, action: Action, *, now_unix_s: float) -> Uncovered | None:
    """None if `grant` covers `action`, else the first place where the action leaves it.

    Plumbing (handshake, ping, listing) needs only a tool of that upstream. While listing there
    are no arguments: their constraints and their destinations are not asked.
    """
    if grant.not_before_unix_s is not None and now_unix_s < grant.not_before_unix_s:
        return _gap("the grant is not valid yet")
    if grant.expires_unix_s is not None and now_unix_s >= grant.expires_unix_s:
        return _gap("the grant has expired")
    ask = action.ask
    if ask.plumbing:
        return None if reaches(grant, ask.upstream) else _gap("no tool of this upstream is granted")
    if not _some_match(grant.globs, ask.resource_id):
        return _gap("the grant does not name this tool")
    if action.effect not in grant.effects:
        return _gap("the grant does not allow this effect")
    if action.sensitivity.rank > grant.sensitivity.rank:
        return _gap("more sensitive than the grant allows")
    return _destination_gap(grant, action) or _arguments_gap(grant, action)


def reaches(grant: Grant, upstream: str) -> bool:
    """True if some tools pattern of the grant can name something of `upstream`."""
    return any(not glob.segments or glob.segments[0].matches(upstream) for glob in grant.globs)


def _some_match(globs: tuple[Glob, ...] | tuple[HostGlob, ...], name: str) -> bool:
    for glob in globs:  # noqa: SIM110 - half the time of `any` over a generator
        if glob.matches(name):
            return True
    return False


def _destination_gap(grant: Grant, action: Action) -> Uncovered | None:
    for destination in action.destinations:
        if destination.pointer is not None and action.ask.phase is Phase.LIST:
            continue
        host = destination.host
        if host is None:
            return _gap("a destination whose host cannot be found", destination.pointer)
        if not _some_match(grant.hosts, host):
            return _gap("the grant does not name this destination", destination.pointer)
    return None


def _arguments_gap(grant: Grant, action: Action) -> Uncovered | None:
    ask = action.ask
    rules = grant.rules.get(ask.resource_id) if grant.rules else None
    if not rules or ask.phase is Phase.LIST:
        return None
    if ask.body is BodyKind.OPAQUE:
        return _gap("the grant constrains arguments, and this body is not read")
    for rule in rules:
        found = rule.first_gap(ask.arguments or {})
        if found is not None:
            return Uncovered(pointer=found[0], detail=found[1])
    return None


def _gap(detail: str, pointer: str | None = None) -> Uncovered:
    return Uncovered(pointer=pointer, detail=detail)


# --- algebra --------------------------------------------------------------------------------


def narrower(inner: Grant, outer: Grant) -> bool:
    """True if everything `inner` covers, `outer` provably covers too; equal counts."""
    return not widened(inner, outer)


def widened(inner: Grant, outer: Grant) -> tuple[str, ...]:
    """Where `inner` does not provably stay within `outer`, by the names of a grant's members;
    `limits` stands for its five bounds."""
    within = {
        "tools": globs_within(inner.globs, outer.globs),
        "effects": inner.effects <= outer.effects,
        "destinations": hosts_within(inner.hosts, outer.hosts),
        "sensitivity": inner.sensitivity.rank <= outer.sensitivity.rank,
        "not_before": _starts(inner) >= _starts(outer),
        "expires_at": _ends(inner) <= _ends(outer),
        "limits": limits_within(inner.limits, outer.limits),
        "period_s": period_within(inner.period_s, outer.period_s),
        "delegation": delegation_within(inner.delegation, outer.delegation),
        "arguments": all(_rules_within(inner, tool, wide) for tool, wide in outer.rules.items()),
    }
    return tuple(name for name, holds in within.items() if not holds)


def _starts(grant: Grant) -> float:
    return float("-inf") if grant.not_before_unix_s is None else grant.not_before_unix_s


def _ends(grant: Grant) -> float:
    return float("inf") if grant.expires_unix_s is None else grant.expires_unix_s


def _rules_within(inner: Grant, tool: str, outer: tuple[ArgumentRule, ...]) -> bool:
    if not any(glob.matches(tool) for glob in inner.globs):
        return True  # never called under `inner`
    own = inner.rules.get(tool, ())
    return all(any(rule.within(wide) for rule in own) for wide in outer)


def meet(left: Grant, right: Grant) -> Grant:
    """The widest grant that is narrower than both. Its document can be parsed again."""
    globs = meet_globs(left.globs, right.globs)
    hosts = meet_hosts(left.hosts, right.hosts)
    effects = left.effects & right.effects
    sensitivity = min(left.sensitivity, right.sensitivity, key=lambda member: member.rank)
    rules = {
        tool: _both(left.rules.get(tool, ()), right.rules.get(tool, ()))
        for tool in dict.fromkeys((*left.rules, *right.rules))
    }
    bounds = Bounds(
        limits=meet_limits(left.limits, right.limits),
        period_s=longest(left.period_s, right.period_s),
        delegation=meet_delegation(left.delegation, right.delegation),
    )
    start, end = max(_starts(left), _starts(right)), min(_ends(left), _ends(right))
    interval = (start if start > float("-inf") else None, end if end < float("inf") else None)
    document: JsonObject = {
        "tools": [str(glob) for glob in globs],
        "effects": [effect.value for effect in ActionEffect if effect in effects],
        "destinations": [str(host) for host in hosts],
        "arguments": {tool: _written(both) for tool, both in rules.items()},
        "sensitivity": sensitivity.value,
        **_written_bounds(bounds),
    }
    for key, instant in zip(("not_before", "expires_at"), interval, strict=True):
        if instant is not None:
            document[key] = rfc3339(instant)
    return _build(
        document,
        globs=globs,
        effects=effects,
        hosts=hosts,
        rules=rules,
        sensitivity=sensitivity,
        interval=interval,
        bounds=bounds,
    )


def _written_bounds(bounds: Bounds) -> JsonObject:
    found = write_limits(bounds.limits)
    if bounds.period_s is not None:
        found["period_s"] = bounds.period_s
    if bounds.delegation is not None:
        found["delegation"] = write_delegation(bounds.delegation)
    return found


def _written(rules: tuple[ArgumentRule, ...]) -> Json:
    """One rule as its map, as people write it and policy reads it; several as a list of maps."""
    return rules[0].document if len(rules) == 1 else [rule.document for rule in rules]


def _both(
    left: tuple[ArgumentRule, ...], right: tuple[ArgumentRule, ...]
) -> tuple[ArgumentRule, ...]:
    kept = list(left)
    kept += [rule for rule in right if rule.document not in [old.document for old in left]]
    return tuple(kept)
