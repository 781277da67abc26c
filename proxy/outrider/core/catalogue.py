"""What the manifest holds, as types; read and completed through `core.manifest`."""

from dataclasses import dataclass, field
from typing import Final

from outrider.core.action import Destination
from outrider.core.destinations import host_of
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import ActionEffect, FieldLabel, Impact, Role, Sensitivity
from outrider.core.zones import Zones

EACH_ITEM: Final = "/*/"
"""In an argument's pointer: what follows is said of each item of a list."""
_GUARDED: Final = frozenset({FieldLabel.SECRET, FieldLabel.PII})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentEntry:
    """One argument. In the pointer the token `*` stands for each item of a list."""

    pointer: str  # "/to": JSON pointer into the arguments
    role: Role
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultField:
    """What is said of one field of a result.

    `path` is the steps below `$`: a name, or `*` for each item of a list or each value of a map.
    `when` is an argument's pointer and the prefix its value must have; else nothing is said.
    """

    path: tuple[str, ...]
    label: FieldLabel | None = None
    exact: bool = False
    creates: bool = False
    when: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwrap:
    """Where a meta-tool's arguments say what is really called: pointers, and its upstream."""

    name: str
    arguments: str
    upstream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """Where a tool's result lists other tools: the steps to the list, those in an item to its
    name, and their upstream."""

    items: tuple[str, ...]
    name: tuple[str, ...]
    upstream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEntry:
    """One tool, operation or method. `declared` is False on an upstream's default entry.

    `roles` are those of its arguments, None where one stands for each item of a list and so
    depends on the call; `places` are the arguments that name destinations.
    """

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
    result: tuple[ResultField, ...] = ()
    records: tuple[str, ...] | None = None  # steps below `$` to what is counted
    unwrap: Unwrap | None = None
    offers: Offers | None = None
    roles: tuple[tuple[str, Role], ...] | None = field(init=False, repr=False, compare=False)
    places: tuple[ArgumentEntry, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        roles = tuple((argument.pointer, argument.role) for argument in self.arguments)
        fixed = not any(EACH_ITEM in pointer for pointer, _ in roles)
        object.__setattr__(self, "roles", roles if fixed else None)
        named = (argument for argument in self.arguments if argument.role is Role.DESTINATION)
        object.__setattr__(self, "places", tuple(named))

    @property
    def guarded(self) -> bool:
        """Whether its answer must be read by its fields: some are secret or personal, or count."""
        return self.records is not None or any(line.label in _GUARDED for line in self.result)


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
    """All upstreams of one policy revision, and the zones their destinations lie in.

    `own` is where each upstream itself lies.
    """

    upstreams: dict[str, UpstreamEntry]
    zones: Zones
    hosts: dict[str, str] = field(default_factory=dict)  # upstream -> host:port as configured
    document: JsonObject = field(default_factory=dict)
    own: dict[str, tuple[Destination]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {**self.upstreams, **self.hosts}
        object.__setattr__(self, "own", {name: (self.own_of(name),) for name in names})

    def own_of(self, name: str) -> Destination:
        """Where the upstream `name` lies, known or not."""
        host = host_of(self.hosts.get(name))
        entry = self.upstreams.get(name)
        zone = entry.zone if entry else self.zones.zone_of(host)
        return Destination(pointer=None, value=None, host=host, zone=zone)
