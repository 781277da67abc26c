"""An action: one thing asked for, protocol-free (ARCHITECTURE §1)."""

from dataclasses import dataclass, field

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
    `hosts` are destinations that stand in the message itself.
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

    @property
    def resource_id(self) -> str:
        """`<upstream>/<name>`, case-sensitive."""
        return f"{self.upstream}/{self.resource}"

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
