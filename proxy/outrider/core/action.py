"""An action: one thing asked for, protocol-free (ARCHITECTURE §1)."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import (
    CLASS_OF,
    ActionEffect,
    BodyKind,
    EffectClass,
    Impact,
    Phase,
    ProtocolName,
    ResourceType,
    Role,
    Sensitivity,
)

_DIGEST_CHARS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The pinned definition an action is judged under: its digest, and whether it is pinned."""

    digest: str
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an adapter read from the wire, before the manifest completes it.

    `effect` is given for a protocol's own operations, whose effect its specification settles
    (PROTOCOLS §4.3); None leaves it to the manifest. `plumbing` marks those of them that every
    caller of an upstream needs (handshake, ping, listing): a grant on anything of the upstream
    covers them. `arguments` is None where the body is opaque or there is none, and while listing.
    `hosts` are destinations that stand in the message itself. `answers` is what was asked before
    where this only fetches its answer (a stream that is resumed, a task's result), without its
    arguments: what the answer holds is as sensitive, and labelled, as that one's.
    """

    protocol: ProtocolName
    name: str
    phase: Phase = Phase.REQUEST
    resource_type: ResourceType
    upstream: str
    resource: str
    arguments: JsonObject | None
    body: BodyKind = BodyKind.JUDGED
    effect: ActionEffect | None = None
    plumbing: bool = False
    schema_valid: bool | None = None
    definition: Definition | None = None
    hosts: tuple[str, ...] = ()
    operation: str | None = None  # manifest key where it differs from `resource`
    via: str | None = None  # the meta-tool it came through, as `<upstream>/<name>`
    answers: "Ask | None" = None

    @property
    def resource_id(self) -> str:
        """`<upstream>/<name>`, case-sensitive."""
        return f"{self.upstream}/{self.resource}"

    @property
    def shown_id(self) -> str:
        """`resource_id` for whoever keeps it: of a URI, which may carry anything out in its path or
        query, no more than where it points and a digest."""
        if self.resource_type is not ResourceType.RESOURCE:
            return self.resource_id
        scheme = self.resource.partition(":")[0]
        origin = f"{scheme}://{self.hosts[0]}" if self.hosts else f"{scheme}:"
        data = self.resource.encode("utf-8", "surrogatepass")
        return f"{self.upstream}/{origin}#{hashlib.sha256(data).hexdigest()[:_DIGEST_CHARS]}"

    @property
    def carrier(self) -> str:
        """The upstream it is sent to: that of the meta-tool it came through, where it did."""
        return self.upstream if self.via is None else self.via.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an action reaches: the upstream itself (`pointer` None) or an argument's host."""

    pointer: str | None
    value: str | None
    host: str | None
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An ask completed by the manifest: everything a grant and a policy judge."""

    ask: Ask
    effect: ActionEffect
    reversible: bool
    impact: Impact
    sensitivity: Sensitivity
    owner: str | None
    declared: bool
    tags: tuple[str, ...]
    roles: tuple[tuple[str, Role], ...]  # (JSON pointer into the arguments, role)
    destinations: tuple[Destination, ...]
    tenant: str | None = None
    _class: EffectClass = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_class", CLASS_OF[self.effect])

    @property
    def effect_class(self) -> EffectClass:
        return self._class

    @property
    def resource_id(self) -> str:
        return self.ask.resource_id
