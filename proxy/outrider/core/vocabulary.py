"""The closed sets of ARCHITECTURE §1 and CONTRACTS: every word that crosses a module border.

Add, never repurpose: the values are metric labels, audit fields and policy input.
"""

from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """What a decision says. Compare it; it is never a truth value."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


class ActionEffect(StrEnum):
    """What an action does to the world, as the manifest says (undeclared: execute)."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    SHARE = "share"
    PAY = "pay"
    DELETE = "delete"
    ADMIN = "admin"
    EXECUTE = "execute"


class EffectClass(StrEnum):
    """The three classes the eight effects fold into (GOVERNANCE §3)."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"


CLASS_OF: Final = {
    ActionEffect.READ: EffectClass.READ,
    ActionEffect.WRITE: EffectClass.WRITE,
    ActionEffect.SEND: EffectClass.WRITE,
    ActionEffect.SHARE: EffectClass.WRITE,
    ActionEffect.PAY: EffectClass.WRITE,
    ActionEffect.DELETE: EffectClass.WRITE,
    ActionEffect.ADMIN: EffectClass.EXECUTE,
    ActionEffect.EXECUTE: EffectClass.EXECUTE,
}


class Reason(StrEnum):
    """Why the proxy refused (CONTRACTS §2): metric label, audit field, key of the answers."""

    UNAUTHENTICATED = "unauthenticated"
    QUARANTINED = "quarantined"
    NO_TASK = "no_task"
    TASK_ENDED = "task_ended"
    GRANT = "grant"
    DELEGATION = "delegation"
    UNRECOGNISED = "unrecognised"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    POLICY = "policy"
    POLICY_UNDEFINED = "policy_undefined"
    POLICY_MALFORMED = "policy_malformed"
    POLICY_ERROR = "policy_error"
    POLICY_TIMEOUT = "policy_timeout"
    POLICY_UNAVAILABLE = "policy_unavailable"
    POLICY_STALE = "policy_stale"
    OBLIGATION = "obligation"
    HELD = "held"
    APPROVAL_REJECTED = "approval_rejected"
    APPROVAL_EXPIRED = "approval_expired"
    BUDGET = "budget"
    OVERLOAD = "overload"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    UPSTREAM_IDENTITY = "upstream_identity"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_ERROR = "upstream_error"
    STORE_UNAVAILABLE = "store_unavailable"
    DEFINITION_CHANGED = "definition_changed"
    SLOW_CLIENT = "slow_client"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How an exchange ended, for metrics (OPERATIONS §3)."""

    ALLOWED = "allowed"
    ABORTED = "aborted"
    UPSTREAM_ERROR = "upstream_error"
    HELD = "held"
    DENIED = "denied"
    INVALID = "invalid"
    SHED = "shed"
    FAULT = "fault"


class OutcomeStatus(StrEnum):
    """What became of the action, for the outcome record (CONTRACTS §7)."""

    EXECUTED = "executed"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"
    LIST = "list"


class ProtocolName(StrEnum):
    MCP = "mcp"
    A2A = "a2a"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    HTTP = "http"
    GRAPHQL = "graphql"
    GRPC = "grpc"
    WEBSOCKET = "websocket"
    CONNECT = "connect"
    UNKNOWN = "unknown"


class ResourceType(StrEnum):
    TOOL = "tool"
    RESOURCE = "resource"
    PROMPT = "prompt"
    API = "api"
    MODEL = "model"
    AGENT = "agent"
    HOST = "host"


class Sensitivity(StrEnum):
    """Ordered: public < internal < confidential < secret. Compare with `rank`."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    SECRET = "secret"  # noqa: S105 - a sensitivity, not a password

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK: Final = {member: rank for rank, member in enumerate(Sensitivity)}


class Role(StrEnum):
    """What an argument is for (CONTRACTS §3)."""

    DESTINATION = "destination"
    TARGET = "target"
    SELECTOR = "selector"
    CREDENTIAL = "credential"
    COMMAND = "command"
    AMOUNT = "amount"
    CONTENT = "content"
    CONTROL = "control"


class Credential(StrEnum):
    """How a subject proved who it is (CONTRACTS §1)."""

    X509_SVID = "x509-svid"
    JWT_SVID = "jwt-svid"
    OIDC = "oidc"
    ASSERTED = "asserted"
    ATTESTED_LOCAL = "attested-local"


class Direction(StrEnum):
    EGRESS = "egress"
    INGRESS = "ingress"
    AUTHZ = "authz"


class BodyKind(StrEnum):
    """What policy is told of the body: judged whole, passed opaque by the route's word, or none."""

    JUDGED = "judged"
    OPAQUE = "opaque"
    NONE = "none"


class Impact(StrEnum):
    LOW = "low"
    HIGH = "high"


class RecordKind(StrEnum):
    """Kinds of audit record (CONTRACTS §7)."""

    BOOT = "boot"
    DECISION = "decision"
    OUTCOME = "outcome"
    TASK = "task"
    LEASE = "lease"
    APPROVAL = "approval"
    DELEGATION = "delegation"
    QUARANTINE = "quarantine"
    DEFINITION = "definition"
    POLICY = "policy"
    CONFIG = "config"
    ADMIN = "admin"
    CHECKPOINT = "checkpoint"
    GAP = "gap"
    REPEAT = "repeat"


class TaskState(StrEnum):
    """Where a task is in its life; only an active one serves (GOVERNANCE §2)."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


class TaskEnd(StrEnum):
    """Why a task ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    BUDGET = "budget"
    QUARANTINED = "quarantined"
    PARENT_ENDED = "parent_ended"


class Budget(StrEnum):
    """What of a task is limited by number."""

    CALLS = "calls"
    SPEND = "spend"
    TOKENS = "tokens"
    RECORDS = "records"
    BYTES = "bytes"


class Label(StrEnum):
    """Where an argument's value was seen, most trusted first; compare with `rank`."""

    USER = "user"
    RECORD = "record"
    SESSION = "session"
    PLATFORM = "platform"
    UNTRUSTED = "untrusted"
    MODEL = "model"

    @property
    def rank(self) -> int:
        return _LABEL_RANK[self]


_LABEL_RANK: Final = {member: rank for rank, member in enumerate(Label)}


class FieldLabel(StrEnum):
    """What the manifest says of a field of a result."""

    PLATFORM = "platform"
    RECORD = "record"
    UNTRUSTED = "untrusted"
    SECRET = "secret"  # noqa: S105 - a label, not a password
    PII = "pii"


OUTCOME_OF: Final = {
    Reason.UPSTREAM_ERROR: Outcome.UPSTREAM_ERROR,
    Reason.UPSTREAM_UNAVAILABLE: Outcome.UPSTREAM_ERROR,
    Reason.HELD: Outcome.HELD,
    Reason.UNAUTHENTICATED: Outcome.DENIED,
    Reason.QUARANTINED: Outcome.DENIED,
    Reason.NO_TASK: Outcome.DENIED,
    Reason.TASK_ENDED: Outcome.DENIED,
    Reason.GRANT: Outcome.DENIED,
    Reason.DELEGATION: Outcome.DENIED,
    Reason.UNRECOGNISED: Outcome.DENIED,
    Reason.POLICY: Outcome.DENIED,
    Reason.OBLIGATION: Outcome.DENIED,
    Reason.APPROVAL_REJECTED: Outcome.DENIED,
    Reason.APPROVAL_EXPIRED: Outcome.DENIED,
    Reason.BUDGET: Outcome.DENIED,
    Reason.UPSTREAM_IDENTITY: Outcome.DENIED,
    Reason.DEFINITION_CHANGED: Outcome.DENIED,
    Reason.MALFORMED: Outcome.INVALID,
    Reason.TOO_LARGE: Outcome.INVALID,
    Reason.SLOW_CLIENT: Outcome.INVALID,
    Reason.OVERLOAD: Outcome.SHED,
    Reason.POLICY_UNDEFINED: Outcome.FAULT,
    Reason.POLICY_MALFORMED: Outcome.FAULT,
    Reason.POLICY_ERROR: Outcome.FAULT,
    Reason.POLICY_TIMEOUT: Outcome.FAULT,
    Reason.POLICY_UNAVAILABLE: Outcome.FAULT,
    Reason.POLICY_STALE: Outcome.FAULT,
    Reason.AUDIT_UNAVAILABLE: Outcome.FAULT,
    Reason.CREDENTIAL_UNAVAILABLE: Outcome.FAULT,
    Reason.STORE_UNAVAILABLE: Outcome.FAULT,
    Reason.INTERNAL: Outcome.FAULT,
}
