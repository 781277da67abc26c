"""Header names as the gate knows them: what each field may do, read from one table.

Laws: a name is looked up whole and exactly; only a folded form that would alias a protected name
is refused. Adding a name here is the whole change (HARDENING §3).
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeAlias


class Kind(IntEnum):
    """What the gate does with a field."""

    KEEP = 0
    ONE = 1  # kept, at most once
    CHECK = 2  # at most once, judged by a rule of its own; whether it stays is that rule's
    HOP = 3  # belongs to this connection: removed
    DROP = 4  # would speak for someone else: removed and counted
    REFUSE = 5


# A header name in lower case, and the `Kind` of the field as a plain int: comparing enum members
# took a third of the gate's time.
Field: TypeAlias = tuple[str, int]


CHECKED: Final = (
    "host",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "connection",
    "te",
    "expect",
    "upgrade",
    "origin",
    "range",
    "traceparent",
    "tracestate",
)
_ONE: Final = (
    "content-type",
    "authorization",
    "proxy-authorization",
    "cookie",
    "accept",
    "referer",
    "user-agent",
    "outrider-task",
    "outrider-delegation",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "a2a-version",
    "a2a-extensions",
)
_HOP: Final = (
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "trailer",
    "http2-settings",
    "baggage",  # no baggage leaves the trust domain (OPERATIONS §8)
)
_DROP: Final = (
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-client-cert",
    "client-cert",
    "client-cert-chain",
    "x-apigateway-api-userinfo",
    "x-middleware-subrequest",
    "true-client-ip",
    "cf-connecting-ip",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "remote-user",
    "x-remote-user",
    "x-user-id",
    "x-agent-id",
    "x-spiffe-id",
    "x-approval-id",
    "x-task-id",
    "x-delegation",
    "txn-token",
    "x-request-id",
    "via",
)
_DROP_PREFIXES: Final = (
    "x-forwarded-",
    "x-original-",
    "x-envoy-",
    "x-auth-request-",
    "x-ssl-",
    "ssl-client-",
    "x-accel-",
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-goog-iap-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-ms-token-",
    "cf-access-",
    "tailscale-",
)
_ONE_PREFIXES: Final = ("mcp-", "a2a-")
INSTANCE: Final = "outrider-instance"
_COMMON: Final = ("accept-encoding", "accept-language", "cache-control", "last-event-id", "date")

_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^`|~-]+").fullmatch  # RFC 9110 token, no `_`
_PLAIN: Final = re.compile(r"[a-z0-9-]+").fullmatch
_FOLD: Final = re.compile(r"[^a-z0-9]").sub


def _rows() -> Iterable[Field]:
    table = {
        Kind.CHECK: CHECKED,
        Kind.ONE: _ONE,
        Kind.HOP: _HOP,
        Kind.DROP: _DROP,
        Kind.KEEP: _COMMON,
    }
    for kind, names in table.items():
        for name in names:
            yield name, int(kind)


_EXACT: Final = dict(_rows())
KNOWN: Final = {
    spelling.encode(): (name, kind)
    for name, kind in _EXACT.items()
    for spelling in (name, name.title(), name.upper())
}


def field_of(raw: bytes) -> Field | None:
    """The field called `raw`, or None where it is no token or holds `_`."""
    if _TOKEN(raw) is None:
        return None
    name = raw.decode("ascii").lower()
    if name in _EXACT:
        return name, _EXACT[name]
    if _PLAIN(name) is None:
        harmless = _kind(_FOLD("-", name)) in (Kind.KEEP, Kind.HOP)
        return name, int(Kind.KEEP if harmless else Kind.REFUSE)
    return name, int(_kind(name))


def _kind(name: str) -> int:
    if name in _EXACT:
        return _EXACT[name]
    if name.startswith("outrider-"):
        return Kind.CHECK if name == INSTANCE else Kind.REFUSE
    if name.startswith(_DROP_PREFIXES):
        return Kind.DROP
    if name.startswith("proxy-"):
        return Kind.HOP
    return Kind.ONE if name.startswith(_ONE_PREFIXES) else Kind.KEEP
