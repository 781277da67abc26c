"""What must also be done for a decision to stand (CONTRACTS §2). Parsed, never guessed."""

from dataclasses import dataclass
from typing import TypeAlias

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Sensitivity


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalObligation:
    group: str
    quorum: int = 1
    four_eyes: bool = False
    expires_s: int = 900
    step_up: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialObligation:
    provider: str
    role: str | None = None
    scope: tuple[str, ...] = ()
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactObligation:
    """`pointer` is rooted at the answer: `/result/...` for JSON-RPC, `/...` for a JSON body."""

    pointer: str
    replacement: Json = "[redacted]"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitObligation:
    response_bytes: int | None = None
    records: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelObligation:
    sensitivity: Sensitivity | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderObligation:
    set: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowObligation:
    grant: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineObligation:
    scope: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyObligation:
    channel: str
    severity: str


Obligation: TypeAlias = (
    ApprovalObligation
    | CredentialObligation
    | RedactObligation
    | LimitObligation
    | LabelObligation
    | HeaderObligation
    | NarrowObligation
    | QuarantineObligation
    | NotifyObligation
)
