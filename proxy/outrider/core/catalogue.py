"""What the manifest holds, as types; read and completed through `core.manifest`."""

from dataclasses import dataclass, field
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import ActionEffect, Impact, Role, Sensitivity
from outrider.core.zones import Zones


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentEntry:
    """One argument. In the pointer the token `*` stands for each item of a list."""

    pointer: str  # "/to": JSON pointer into the arguments
    role: Role
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEntry:
    """One tool, operation or method. `declared` is False on an upstream's default entry."""

    effect: ActionEffect
    reversible: bool
    impact: Impact
    sensitivity: Sensitivity
    arguments: tuple[ArgumentEntry, ...] = ()
    tags: tuple[str, ...] = ()
    declared: bool = True
    opaque: bool = False
    operation_id: str | None = None
    array_fields: frozenset[str] = frozenset()


UNDECLARED: Final = ToolEntry(
    effect=ActionEffect.EXECUTE,
    reversible=False,
    impact=Impact.HIGH,
    sensitivity=Sensitivity.CONFIDENTIAL,
    declared=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamEntry:
    """One upstream. `tools` by literal name; `operations` by "METHOD /template"."""

    name: str
    owner: str | None
    zone: str
    takes_credential: bool
    tenant: str | None
    default: ToolEntry
    tools: dict[str, ToolEntry] = field(default_factory=dict)
    operations: dict[str, ToolEntry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All upstreams of one policy revision, and the zones their destinations lie in."""

    upstreams: dict[str, UpstreamEntry]
    zones: Zones
    hosts: dict[str, str] = field(default_factory=dict)  # upstream -> host:port as configured
    document: JsonObject = field(default_factory=dict)
