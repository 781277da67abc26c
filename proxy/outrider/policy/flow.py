"""What a grant lets happen in sequence: from untrusted text over sensitive data to the outside.

The paths are found in the manifest; whether one is stopped is asked of the policy itself, in the
state the path leads to and with the values an attacker would choose (GOVERNANCE §3).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from outrider.core.action import Action, Ask
from outrider.core.globs import HostGlob
from outrider.core.grant import Grant, covers
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.manifest import Manifest, complete
from outrider.core.vocabulary import (
    ActionEffect,
    BodyKind,
    Phase,
    ProtocolName,
    ResourceType,
    Role,
    Sensitivity,
)
from outrider.core.zones import Zones

UNDECLARED: Final = "anything-undeclared"
"""Stands for every tool of an upstream that the manifest does not name."""
_ATTACKER: Final = "attacker.example"
_TRUSTED: Final = frozenset({"platform", "record"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose grant is proved: an agent's standing one, or a template's under some agent."""

    name: str
    agent: str
    grant: Grant
    template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One thing the grant covers: what it is called, and what reading it brings."""

    action: Action
    untrusted: bool
    sensitivity: Sensitivity

    @property
    def name(self) -> str:
        return self.action.resource_id

    @property
    def sensitive(self) -> bool:
        return self.sensitivity.rank >= Sensitivity.CONFIDENTIAL.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A way from untrusted text to the outside. `sensitive` is None where nothing sensitive lies
    on it; it is `source` itself where that brings both. `sink` holds the attacker's values."""

    source: Place
    sensitive: Place | None
    sink: Action

    @property
    def steps(self) -> tuple[str, ...]:
        between = self.sensitive if self.sensitive is not self.source else None
        names = [self.source.name, *([between.name] if between is not None else [])]
        return (*names, self.sink.resource_id)

    @property
    def highest(self) -> Sensitivity:
        both = [self.source.sensitivity]
        both += [self.sensitive.sensitivity] if self.sensitive is not None else []
        return max(both, key=lambda one: one.rank)

    @property
    def outside(self) -> tuple[str, ...]:
        """The external hosts the sink reaches."""
        hosts = [place.host or "?" for place in self.sink.destinations if place.zone != "internal"]
        return tuple(dict.fromkeys(hosts))


def placed(manifest: Manifest, grant: Grant) -> Manifest:
    """`manifest` with a place for each upstream that no settings gave one: a host the grant
    names, in the upstream's own zone where there is one."""
    hosts = dict(manifest.hosts)
    for name, entry in manifest.upstreams.items():
        if name not in hosts:
            named = [_sample(glob) for glob in grant.hosts]
            fitting = [host for host in named if manifest.zones.zone_of(host) == entry.zone]
            hosts[name] = _with_port((fitting or named or [_ATTACKER])[0])
    return replace(manifest, hosts=hosts)


def _with_port(host: str) -> str:
    return f"[{host}]:443" if ":" in host else f"{host}:443"


def _sample(glob: HostGlob) -> str:
    if glob.text == "*":
        return _ATTACKER
    return "attacker" + glob.text[1:] if glob.text.startswith("*.") else glob.text


def flows(subject: Subject, manifest: Manifest, now_unix_s: float) -> list[Flow]:
    """The toxic flows of a grant, shortest first: for each sink one for each level of what may be
    carried to it. `manifest` is `placed`."""
    found = list(covered(subject.grant, manifest, now_unix_s))
    sources = [place for place in found if place.untrusted]
    if not sources:
        return []
    carried = _by_level(sources, [place for place in found if place.sensitive])
    result = [
        Flow(source=source, sensitive=sensitive, sink=sink)
        for sink in sinks(subject.grant, found, manifest, now_unix_s)
        for source, sensitive in carried
    ]
    return sorted(result, key=lambda flow: (len(flow.steps), flow.steps))


def _by_level(
    sources: Sequence[Place], sensitive: Sequence[Place]
) -> list[tuple[Place, Place | None]]:
    """For each level of sensitivity the shortest way to it; without any, an untrusted source."""
    found: dict[Sensitivity, tuple[Place, Place | None]] = {}
    for place in sensitive:
        both = place.untrusted
        known = found.get(place.sensitivity)
        if known is None or (both and known[0] is not known[1]):
            found[place.sensitivity] = (place if both else sources[0], place)
    return list(found.values()) or [(sources[0], None)]


# --- what is covered ------------------------------------------------------------------------


def covered(grant: Grant, manifest: Manifest, now_unix_s: float) -> Iterator[Place]:
    """Whatever of the manifest the grant covers, and what it covers that nobody declared."""
    for ask, said in _asks(manifest):
        action = complete(ask, manifest)
        if covers(grant, action, now_unix_s=now_unix_s) is None:
            reads = action.effect in (ActionEffect.READ, ActionEffect.EXECUTE)
            yield Place(
                action=action,
                untrusted=reads and not _is_trusted(said),
                sensitivity=_reveals(action, said) if reads else Sensitivity.PUBLIC,
            )


def _asks(manifest: Manifest) -> Iterator[tuple[Ask, JsonObject]]:
    for name, upstream in manifest.upstreams.items():
        said = as_object(manifest.document.get(name))
        tools, operations = as_object(said.get("tools")), as_object(said.get("operations"))
        for tool in upstream.tools:
            if upstream.tools[tool].unwrap is None:
                yield _ask(name, tool, ResourceType.TOOL), as_object(tools.get(tool))
        for key, entry in upstream.operations.items():
            ask = _ask(name, entry.operation_id or key, ResourceType.API)
            yield replace(ask, operation=key), as_object(operations.get(key))
        yield _ask(name, UNDECLARED, ResourceType.TOOL), {}


def _ask(upstream: str, name: str, kind: ResourceType) -> Ask:
    return Ask(
        protocol=ProtocolName.MCP if kind is ResourceType.TOOL else ProtocolName.HTTP,
        name="tools/call" if kind is ResourceType.TOOL else name,
        phase=Phase.LIST,
        resource_type=kind,
        upstream=upstream,
        resource=name,
        arguments=None,
        body=BodyKind.JUDGED,
    )


def _is_trusted(said: JsonObject) -> bool:
    """Whether the manifest vouches for all of a result."""
    return any(
        line.get("path") == "$" and line.get("label") in _TRUSTED and "when" not in line
        for line in map(as_object, as_list(said.get("result")))
    )


def _reveals(action: Action, said: JsonObject) -> Sensitivity:
    """How sensitive a result is: as the tool is, more where a field of it is."""
    labels = {line.get("label") for line in map(as_object, as_list(said.get("result")))}
    found = [action.sensitivity]
    found += [Sensitivity.SECRET] if "secret" in labels else []
    found += [Sensitivity.CONFIDENTIAL] if "pii" in labels else []
    return max(found, key=lambda one: one.rank)


# --- where it gets out ----------------------------------------------------------------------


def sinks(
    grant: Grant, found: Sequence[Place], manifest: Manifest, now_unix_s: float
) -> Iterator[Action]:
    """What the grant covers that reaches the outside, with an attacker's values in it."""
    for place in found:
        for host in _outside(grant, manifest.zones):
            ask = replace(place.action.ask, phase=Phase.REQUEST)
            said = _arguments(ask, manifest, grant, host)
            action = complete(replace(ask, arguments=said), manifest)
            if covers(grant, action, now_unix_s=now_unix_s) is None and _leaves(action):
                yield action
                break


def _leaves(action: Action) -> bool:
    """Whether an action carries anything out. What nobody declared may do whatever it likes."""
    if not action.declared:
        return True
    return any(place.zone != "internal" for place in action.destinations)


def _outside(grant: Grant, zones: Zones) -> list[str]:
    """Hosts the grant names that an attacker could have, the likeliest first."""
    named = [_sample(glob) for glob in grant.hosts]
    external = [host for host in named if zones.zone_of(host) != "internal"]
    return [*external, *(host for host in named if host not in external)]


def _arguments(ask: Ask, manifest: Manifest, grant: Grant, host: str) -> JsonObject:
    """A value for each declared argument: to the attacker's host where it is a destination, and
    within what the grant says of it."""
    rules = _constraints(grant, ask.resource_id)
    upstream = manifest.upstreams[ask.upstream]
    entries = upstream.tools if ask.resource_type is ResourceType.TOOL else upstream.operations
    entry = entries.get(ask.operation or ask.resource)
    made: JsonObject = {}
    for argument in entry.arguments if entry is not None else ():
        rule = rules.get(argument.pointer, {})
        value = _value(argument.role, argument.type, host, rule)
        if (not rules or argument.pointer in rules) and rule.get("forbidden") is not True:
            _put(made, argument.pointer.split("/")[1:], value)
    return made


def _constraints(grant: Grant, tool: str) -> Mapping[str, JsonObject]:
    listed = grant.arguments.get(tool)
    maps = listed if isinstance(listed, list) else [listed]
    found: dict[str, JsonObject] = {}
    for one in map(as_object, maps):
        for pointer, rule in one.items():
            found[pointer] = found.get(pointer, {}) | as_object(rule)
    return found


def _value(role: Role, kind: str | None, host: str, rule: JsonObject) -> Json:
    allowed = as_list(rule.get("in"))
    if allowed or "equals" in rule:
        return allowed[0] if allowed else rule["equals"]
    if role is Role.AMOUNT or kind == "number":
        least = rule.get("min")
        return least if isinstance(least, int | float) else 1
    if role is Role.DESTINATION:
        return {"email": f"a@{host}", "url": f"https://{host}/"}.get(kind or "", host)
    prefix = rule.get("prefix")
    return f"{prefix}x" if isinstance(prefix, str) else "x"


def _put(target: JsonObject, steps: Sequence[str], value: Json) -> None:
    """Put `value` at a pointer's steps; `*` is a list of one."""
    here, *rest = [step.replace("~1", "/").replace("~0", "~") for step in steps]
    if not rest:
        target[here] = value
    elif rest[0] == "*":
        inner: JsonObject = {}
        known = as_list(target.get(here))
        inner = as_object(known[0]) if known else inner
        target[here] = [inner]
        _put(inner, rest[1:], value)
    else:
        below = target.setdefault(here, {})
        if isinstance(below, dict):
            _put(below, rest, value)
