"""What is known of one exchange while it lasts, and the tables the adapter works with."""

from dataclasses import dataclass, field
from typing import Final

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import McpOptions
from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import JsonObject
from outrider.core.manifest import Manifest
from outrider.core.ports import Clock, Route
from outrider.core.strict_json import JsonLimits
from outrider.protocols.adapters.mcp.schemas import Schemas
from outrider.protocols.adapters.mcp.seal import Seals
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import Scope, ScopeKey, Seen, Session, SessionTable
from outrider.protocols.wire.jsonrpc import Kind, RpcId

# Members of enums are looked up on every access (Python 3.11), so hot ones are bound once.
_MODERN: Final = Era.MODERN


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The adapter's collaborators and bounds, the same for every exchange."""

    limits: Limits
    request_json: JsonLimits
    response_json: JsonLimits
    pins: PinTable
    sessions: SessionTable
    schemas: Schemas
    seals: Seals
    clock: Clock


class Heard:
    """What a traced call's span tells of the answer: the code of an error, or a tool's failure."""

    __slots__ = ("code", "tool_failed")

    def __init__(self) -> None:
        self.code: int | None = None
        self.tool_failed = False


@dataclass(slots=True, kw_only=True)
class Turn:
    """One exchange as read: `value` is the whole message, `params` its params.

    `answers` is the method of the server's request that a posted response answers; `own` marks
    what the sidecar asks for itself, `begun` what it has read of a list so far; `lifetime_s` is
    how long what the answer shows stays granted; `heard` is there where its spans are kept.
    """

    era: Era
    version: str
    kind: Kind
    id: RpcId | None
    method: str
    params: JsonObject
    value: JsonObject
    fields: dict[str, str]
    route: Route
    options: McpOptions
    subject: str
    manifest: Manifest
    scope: Scope
    session: Session | None = None
    answers: str | None = None
    own: bool = False
    begun: Seen | None = None
    lifetime_s: float | None = None
    heard: Heard | None = None

    is_modern: bool = field(init=False)
    upstream: str = field(init=False)

    def __post_init__(self) -> None:
        self.is_modern = self.era is _MODERN
        self.upstream = self.route.upstream

    @property
    def scope_key(self) -> ScopeKey:
        return scope_key(self.route, self.subject, self.session)


def scope_key(route: Route, subject: str, session: Session | None) -> ScopeKey:
    """A session's own scope, or that of a caller that speaks without one."""
    return session.key if session is not None else (route.upstream, route.name, subject)


class ConversationError(EnforcementError):
    """A fault found after the message's id was known; `conversation` is what `refuse` needs."""

    def __init__(self, fault: EnforcementError, conversation: "Faulted") -> None:
        super().__init__(
            fault.detail,
            reason=fault.reason,
            code=fault.code,
            status=fault.status,
            cause=fault.cause,
            pointer=fault.pointer,
            allow_methods=fault.allow_methods,
            close=fault.close,
            resource=fault.resource,
        )
        self.conversation = conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The parts of a message that shape its refusal.

    `mild`: the message was read, so that what is refused is only what it says, and its session
    goes on (legacy: a client that meets a status of 4xx sends nothing more). `shown`: a refused
    call is then a result that its model reads; else an error. `unsent`: what is refused has not
    left, whatever its upstream did with the list that was read for it.
    """

    era: Era
    kind: Kind
    id: RpcId | None
    method: str
    mild: bool = False
    shown: bool = False
    unsent: bool = False


class Faulted:
    """A conversation that never was: it only addresses a refusal."""

    __slots__ = ("envelope",)

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
