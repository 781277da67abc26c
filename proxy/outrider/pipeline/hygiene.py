"""What an agent may not send onward (GOVERNANCE §7): its own credentials and its task names."""

from dataclasses import dataclass, replace
from typing import Final

from outrider.core.exchange import Headers, RequestHead
from outrider.core.vocabulary import Direction

CREDENTIAL_HEADERS: Final = frozenset(
    {
        "api-key", "authorization", "cookie", "dpop", "job-token", "private-token",
        "proxy-authorization", "x-access-token", "x-api-key", "x-auth-token", "x-consul-token",
        "x-github-token", "x-gitlab-token", "x-goog-api-key", "x-vault-token",
    }
)  # fmt: skip
_CREDENTIAL_PREFIX: Final = "x-amz-"
_OWN_PREFIX: Final = "outrider-"
_PREFIXES: Final = (_CREDENTIAL_PREFIX, _OWN_PREFIX)
# Where the caller's token for us travels (CONTRACTS §4): no credential of an upstream's.
_IDENTITY: Final = {Direction.EGRESS: "proxy-authorization", Direction.INGRESS: "authorization"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A head fit to leave, the task its header named, and how many credentials were taken out."""

    head: RequestHead
    task: str | None
    credentials: int


def strip(
    head: RequestHead,
    credentials_in: frozenset[str] = CREDENTIAL_HEADERS,
    direction: Direction = Direction.EGRESS,
) -> Stripped:
    """`head` without credentials and without our own headers, on every route. `credentials_in`
    are all names of headers that carry some."""
    identity = _IDENTITY.get(direction)
    kept: list[tuple[str, str]] = []
    task: str | None = None
    credentials = 0
    for field in head.headers:
        name = field[0]
        if name not in credentials_in and not name.startswith(_PREFIXES):
            kept.append(field)
        elif name.startswith(_OWN_PREFIX):
            task = field[1] if name == "outrider-task" else task
        else:
            credentials += name != identity
    if len(kept) == len(head.headers):
        return Stripped(head=head, task=task, credentials=0)
    return Stripped(head=replace(head, headers=tuple(kept)), task=task, credentials=credentials)


def may_set(name: str) -> bool:
    """Whether policy may set the request header `name` (lower case): none that frames, names the
    host, carries identity or a protocol's own routing."""
    return not (
        name in CREDENTIAL_HEADERS
        or name in _FRAMING
        or name.startswith((_CREDENTIAL_PREFIX, _OWN_PREFIX, "mcp-", "x-forwarded-"))
    )


_FRAMING: Final = frozenset(
    {
        "connection", "content-encoding", "content-length", "content-type", "accept", "expect",
        "host", "http2-settings", "keep-alive", "te", "trailer", "traceparent", "tracestate",
        "transfer-encoding", "upgrade", "last-event-id",
    }
)  # fmt: skip


def merged(headers: Headers, extra: Headers) -> Headers:
    """`headers` with every name in `extra` replaced by it."""
    if not extra:
        return headers
    names = {name for name, _ in extra}
    return (*(field for field in headers if field[0] not in names), *extra)
