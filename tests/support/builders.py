"""Valid objects with sensible defaults: a test names only what it is about.

Every builder takes `**changes`, the fields of what it builds.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from outrider.config.upstream_settings import HttpOptions
from outrider.core.action import Action, Ask, Destination
from outrider.core.answers import Refusal
from outrider.core.decision import Decision, Permit, grant_permit
from outrider.core.exchange import (
    Exchange,
    Headers,
    Peer,
    RequestHead,
    ResponseHead,
    TlsPeer,
    TraceContext,
)
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import JsonObject
from outrider.core.manifest import Manifest, ToolEntry, parse_manifest
from outrider.core.ports import Edits, Inbound, Route
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import (
    ActionEffect,
    Credential,
    Direction,
    Effect,
    Impact,
    ProtocolName,
    Reason,
    ResourceType,
    Sensitivity,
)

AGENT = "spiffe://acme.test/ns/support/sa/triage"
NOW_UNIX_S = 1_795_426_200.0  # 2026-11-23T09:30:00Z, a Monday


@dataclass(slots=True)
class FixedClock:
    """A clock that stands where it was put; `pass_s` moves both its hands."""

    now_unix_s: float = NOW_UNIX_S
    now_monotonic_s: float = 1000.0

    def monotonic_s(self) -> float:
        return self.now_monotonic_s

    def unix_s(self) -> float:
        return self.now_unix_s

    def pass_s(self, seconds: float) -> None:
        self.now_unix_s += seconds
        self.now_monotonic_s += seconds


@dataclass(slots=True)
class FixedBody:
    """A request's body that is all there; counts how often it was given back."""

    data: bytes = b""
    released: int = 0
    reads: list[int] = field(default_factory=list)

    async def read(self, limit_bytes: int) -> bytes:
        self.reads.append(limit_bytes)
        return self.data

    async def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        self.reads.append(limit_bytes)
        yield self.data

    def release(self) -> None:
        self.released += 1


def a_head(**changes: Any) -> RequestHead:
    fields: dict[str, Any] = {
        "method": "POST",
        "scheme": "http",
        "host": "127.0.0.1:15001",
        "path": "/mcp/crm",
        "query": "",
        "headers": (("content-type", "application/json"),),
        "has_body": True,
    }
    return RequestHead(**fields | changes)


def a_get(path: str, query: str = "", headers: Headers = ()) -> RequestHead:
    return a_head(method="GET", path=path, query=query, headers=headers, has_body=False)


def a_response_head(status: int = 200, **changes: Any) -> ResponseHead:
    fields: dict[str, Any] = {"headers": (("content-type", "application/json"),)}
    return ResponseHead(status=status, **fields | changes)


def a_peer(**changes: Any) -> Peer:
    fields: dict[str, Any] = {"transport": "tcp", "address": "127.0.0.1:50000", "loopback": True}
    return Peer(**fields | changes)


def a_tls_peer(spiffe_id: str = "spiffe://acme.test/ns/desk/sa/planner", **changes: Any) -> TlsPeer:
    fields: dict[str, Any] = {
        "spiffe_id": spiffe_id,
        "trust_domain": spiffe_id.removeprefix("spiffe://").partition("/")[0],
        "expires_unix_s": 4_000_000_000.0,
        "leaf_sha256": "1f" * 32,
        "anchor_sha256": "ca" * 32,
    }
    return TlsPeer(**fields | changes)


def a_trace(**changes: Any) -> TraceContext:
    fields: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "parent_id": None,
        "sampled": True,
    }
    return TraceContext(**fields | changes)


def an_exchange(body: bytes = b"{}", **changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "id": "01939b2e-6c1a-7f00-8000-000000000001",
        "direction": Direction.EGRESS,
        "listener": "egress",
        "head": a_head(),
        "peer": a_peer(),
        "body": FixedBody(body),
        "trace": a_trace(),
        "started_s": 1000.0,
    }
    return Exchange(**fields | changes)


def a_subject(**changes: Any) -> Subject:
    fields: dict[str, Any] = {
        "id": AGENT,
        "type": "agent",
        "trust_domain": "acme.test",
        "credential": Credential.ATTESTED_LOCAL,
        "expires_unix_s": None,
        "instance": "host:7f3c2a10",
    }
    return Subject(**fields | changes)


def an_ask(**changes: Any) -> Ask:
    fields: dict[str, Any] = {
        "protocol": ProtocolName.MCP,
        "name": "tools/call",
        "resource_type": ResourceType.TOOL,
        "upstream": "crm",
        "resource": "get_ticket",
        "arguments": {"ticket_id": "t-17"},
    }
    return Ask(**fields | changes)


def a_destination(host: str | None = "crm.internal", **changes: Any) -> Destination:
    fields: dict[str, Any] = {"pointer": None, "value": None, "zone": "internal"}
    return Destination(host=host, **fields | changes)


def an_action(**changes: Any) -> Action:
    """A declared read of `crm/get_ticket` inside `a_grant()`."""
    fields: dict[str, Any] = {
        "ask": an_ask(),
        "effect": ActionEffect.READ,
        "reversible": True,
        "impact": Impact.LOW,
        "sensitivity": Sensitivity.INTERNAL,
        "owner": "team-crm",
        "declared": True,
        "tags": (),
        "roles": (),
        "destinations": (a_destination(),),
    }
    return Action(**fields | changes)


def a_decision(
    effect: Effect = Effect.ALLOW, reason: Reason | None = None, **changes: Any
) -> Decision:
    """A decision; a deny or hold without a reason gets the usual one."""
    usual = {Effect.ALLOW: None, Effect.HOLD: Reason.HELD, Effect.DENY: Reason.POLICY}
    fields: dict[str, Any] = {"id": "dec_1", "revision": "2026-11-23.1", "engine": "embedded"}
    return Decision(effect=effect, reason=reason or usual[effect], **fields | changes)


def a_permit(*actions: Action) -> Permit:
    chosen = actions or (an_action(),)
    permit = grant_permit(tuple(a_decision() for _ in chosen), chosen)
    assert permit is not None
    return permit


def a_refusal(reason: Reason = Reason.POLICY, **changes: Any) -> Refusal:
    return Refusal(reason=reason, decision_id=changes.pop("decision_id", "dec_1"), **changes)


def a_grant(**changes: Any) -> Grant:
    """`crm/*`, reads and sends, to crm.internal, up to confidential; `None` drops a key."""
    document: dict[str, Any] = {
        "tools": ["crm/*"],
        "effects": ["read", "send"],
        "destinations": ["crm.internal"],
        "sensitivity": "confidential",
    } | changes
    kept = {key: value for key, value in document.items() if value is not None}
    return parse_grant(kept, "grant")


def a_task(**changes: Any) -> BoundTask:
    fields: dict[str, Any] = {
        "id": "standing:triage",
        "purpose": "read and answer support tickets",
        "purpose_digest": "sha256:148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",
        "grant": a_grant(),
        "grant_revision": 1,
        "standing": True,
    }
    return BoundTask(**fields | changes)


def an_entry(**changes: Any) -> ToolEntry:
    fields: dict[str, Any] = {
        "effect": ActionEffect.READ,
        "reversible": True,
        "impact": Impact.LOW,
        "sensitivity": Sensitivity.INTERNAL,
    }
    return ToolEntry(**fields | changes)


CRM: JsonObject = {
    "owner": "team-crm",
    "destination": {"zone": "internal"},
    "default": {"effect": "execute", "sensitivity": "confidential"},
    "tools": {
        "get_ticket": {
            "effect": "read",
            "sensitivity": "internal",
            "arguments": {"ticket_id": {"role": "target", "type": "id"}},
        },
        "send_email": {
            "effect": "send",
            "reversible": False,
            "impact": "low",
            "sensitivity": "confidential",
            "arguments": {
                "to": {"role": "destination", "type": "email"},
                "body": {"role": "content"},
            },
        },
    },
}
PEOPLE: JsonObject = {
    "owner": "team-people",
    "destination": {"zone": "internal"},
    "operations": {
        "GET /people": {"effect": "read", "sensitivity": "internal"},
        "GET /people/{id}": {
            "effect": "read",
            "sensitivity": "internal",
            "operation_id": "getPerson",
            "arguments": {"id": {"role": "target", "type": "id"}},
        },
        "POST /people": {"effect": "write", "sensitivity": "internal"},
        "DELETE /people/{id}": {"effect": "delete", "sensitivity": "internal"},
    },
}
HOSTS = {"crm": "crm.internal:443", "people": "people.internal:443"}


def a_manifest(**upstreams: JsonObject) -> Manifest:
    """The samples `crm` (tools) and `people` (operations), what is given laid over them."""
    zones: JsonObject = {
        "domains": {"*.internal": "internal", "*.acme.test": "internal"},
        "cidrs": {"10.0.0.0/8": "internal"},
    }
    data: dict[str, Any] = {"crm": CRM, "people": PEOPLE} | upstreams
    hosts = {name: HOSTS.get(name, f"{name}.internal:443") for name in data}
    return parse_manifest(data, zones, hosts=hosts)


def a_route(**changes: Any) -> Route:
    fields: dict[str, Any] = {
        "name": "people",
        "upstream": "people",
        "protocol": ProtocolName.HTTP,
        "prefix": "/api",
        "host": None,
        "base_path": "",
        "options": HttpOptions(),
    }
    return Route(**fields | changes)


def an_inbound(head: RequestHead, body: bytes | None = None, **changes: Any) -> Inbound:
    fields: dict[str, Any] = {
        "route": a_route(),
        "subject": a_subject(),
        "manifest": a_manifest(),
        "source": FixedBody(body or b""),
        "trace": a_trace(),
    }
    return Inbound(head=head, body=body, **fields | changes)


def an_edits(**changes: Any) -> Edits:
    return Edits(**changes)
