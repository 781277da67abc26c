"""The manifest: the platform team's catalogue of upstreams and tools (CONTRACTS §3).

Laws: what is not said is the most dangerous reading (undeclared: execute, irreversible, impact
high, confidential); an unknown key or value is refused, never skipped.
"""

from collections.abc import Mapping
from dataclasses import replace

from outrider.core.action import Action, Ask, Destination
from outrider.core.catalogue import (
    EACH_ITEM,
    ArgumentEntry,
    Manifest,
    ToolEntry,
    UpstreamEntry,
)
from outrider.core.destinations import destinations_in, host_of, pointers_of
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest_reader import read_manifest
from outrider.core.unwrap import entry_of, unwrapped
from outrider.core.vocabulary import ActionEffect, Impact, Phase, ResourceType, Role
from outrider.core.zones import Zones

__all__ = [
    "ArgumentEntry",
    "Manifest",
    "ToolEntry",
    "UpstreamEntry",
    "Zones",
    "complete",
    "parse_manifest",
]


def parse_manifest(
    document: Json,
    zones: Json = None,
    *,
    hosts: Mapping[str, str] | None = None,
    guesses: bool = False,
) -> Manifest:
    """`data.outrider.manifest` and `data.outrider.zones`; None is an empty one.

    `hosts` are the upstreams' configured `host:port`. Without `guesses` an entry that says
    `confirmed: false` is judged as if its effect had not been said. Raises `ConfigError`
    with the key's path, its value and what is allowed.
    """
    return read_manifest(document, zones, hosts or {}, guesses=guesses)


# --- completing -----------------------------------------------------------------------------


def complete(ask: Ask, manifest: Manifest) -> Action:
    """`ask` with everything the manifest says of it; an upstream it does not know is undeclared.

    A call through a meta-tool is completed as the call it carries (`core.unwrap`). What every
    caller of an upstream needs (`Ask.plumbing`) can be undone and does little harm, whatever is
    said of the upstream's tools: a cancelled call is cancelled by nobody's leave.
    """
    entry = entry_of(ask, manifest)
    if entry.unwrap is not None:
        ask = unwrapped(ask, manifest)
        entry = entry_of(ask, manifest)
    upstream = manifest.upstreams.get(ask.upstream)
    settled = _settled(ask, entry)
    mild = ask.plumbing or settled is ActionEffect.READ
    roles = entry.roles
    return Action(
        ask=ask,
        effect=settled or ask.effect or entry.effect,
        reversible=mild or (settled is None and entry.reversible),
        impact=Impact.LOW if mild else entry.impact,
        sensitivity=entry.sensitivity,
        owner=upstream.owner if upstream else None,
        declared=entry.declared,
        tags=entry.tags,
        roles=_roles(entry, ask.arguments or {}) if roles is None else roles,
        destinations=_destinations(ask, entry, manifest),
        tenant=upstream.tenant if upstream else None,
    )


def _settled(ask: Ask, entry: ToolEntry) -> ActionEffect | None:
    """The effect that needs no word of the manifest. To be offered a meta-tool is to read: what
    goes through it is judged when it does."""
    if entry.unwrap is not None and ask.phase is Phase.LIST:
        return ActionEffect.READ
    return ask.effect if not entry.declared else None


def _roles(entry: ToolEntry, arguments: JsonObject) -> tuple[tuple[str, Role], ...]:
    found: list[tuple[str, Role]] = []
    for argument in entry.arguments:
        if EACH_ITEM in argument.pointer:
            found += [(one, argument.role) for one in pointers_of(arguments, argument.pointer)]
        else:
            found.append((argument.pointer, argument.role))
    return tuple(found)


def _destinations(ask: Ask, entry: ToolEntry, manifest: Manifest) -> tuple[Destination, ...]:
    """The upstream's own first, then the hosts of the message itself, then the arguments'."""
    own: tuple[Destination, ...] = manifest.own.get(ask.upstream) or (
        manifest.own_of(ask.upstream),
    )
    if ask.via is not None:
        own = _through(ask.via.partition("/")[0], own[0], manifest)
    if not (ask.hosts or entry.places):
        return own
    zones = manifest.zones
    found = [*own]
    # A resource's host stands in its URI, which is an argument, but while listing.
    told = ask.resource_type is ResourceType.RESOURCE and ask.arguments is not None
    for host in () if told else ask.hosts:
        bare = host_of(host)
        found.append(Destination(pointer=None, value=host, host=bare, zone=zones.zone_of(bare)))
    for argument in entry.places:
        if ask.arguments:
            found += destinations_in(ask.arguments, argument.pointer, argument.type, zones)
    return tuple(found)


def _through(carrier: str, own: Destination, manifest: Manifest) -> tuple[Destination, ...]:
    """Where a call through a meta-tool reaches: the inner upstream, which may have no place of
    its own that is known here, and the one that carries it there."""
    bearer = manifest.own_of(carrier)
    inner = own if own.host is not None else replace(own, host=bearer.host)
    return (inner,) if inner == bearer else (inner, bearer)
