"""Settings of what the agent may reach, how it is spoken to, and what lets us in there."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from outrider.config.values import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class McpOptions:
    """Settings of an MCP upstream."""

    min_version: Literal["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] = "2025-03-26"
    """Oldest MCP version spoken with this upstream; older ones lack headers we judge by."""
    pinning: Literal["record", "enforce", "alert"] = "record"
    """`record`: trust a definition when first seen; `enforce`: only once accepted; `alert`: only
    tell of changes."""
    list_ttl_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 60_000
    """Milliseconds that a filtered listing may be kept by a client; policy may change sooner."""
    batch: Literal["refuse"] = "refuse"
    """JSON-RPC batches are refused: what is judged is one message."""
    list_pages: Annotated[int, Field(ge=1, le=100)] = 20
    """Pages of a listing read at most, so that an endless one ends."""
    list_items: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Items on one page of a listing at most; a longer page is refused, since all calls would wait
    while it is checked."""
    definition_bytes: Annotated[int, Field(ge=1024, le=400_000)] = 65_536
    """Largest definition of a tool, prompt or template, bytes; a larger one is left out of the
    listing."""
    structured_output: Literal["enforce", "alert", "off"] = "alert"
    """What is done with a result that breaks its output schema: refuse it, tell, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Settings of a plain HTTP upstream's routes."""

    body: Literal["judged", "opaque"] = "judged"
    """`judged`: bodies are read and policy sees them; `opaque`: streamed unread, and policy is
    told so."""
    encoded_slash: bool = False
    """Let `%2F` through in a path; many servers read it as a separator."""
    semicolon: bool = False
    """Let `;` through in a path; some servers cut parameters there."""
    case_insensitive: bool = False
    """The upstream does not tell upper from lower case in paths; operations then match either."""
    body_methods: tuple[str, ...] = ()
    """GET, HEAD, DELETE or OPTIONS where a body is let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiffePeer:
    expect: tuple[str, ...] = ()
    """SPIFFE IDs the upstream may prove: whole, or ending in `/*` for all below a path. At least
    one; the trust domain's bundle must have come from our source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    spiffe: SpiffePeer | None = None
    """Verify the upstream by its SPIFFE ID, and show it our own SVID. Default: by the host name of
    `url` and the CAs of `ca_file` or the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One upstream: where it is, how it is spoken to, and which requests go there."""

    url: str
    """`http://host:port/base` or `https://…`; http beyond loopback takes `allow_plain: true`."""
    protocol: Literal["mcp", "http", "connect"] = "http"
    """Which adapter reads its exchanges: `mcp` (Streamable HTTP), `http` (plain, REST), or
    `connect`: nobody reads them. A `connect` upstream is one host and port, `https://host[:port]`,
    that the agent may speak TLS to by itself, through a CONNECT or, where its connections are
    captured, as if we were not there; policy is asked for `<upstream>/<host>:<port>` as a whole."""
    prefix: str | None = None
    """Path prefix on its listener, such as `/mcp/crm`; stripped before the upstream. With direction
    `ingress` it may be `/`, for everything."""
    hosts: tuple[str, ...] = ()
    """Host names (with port where not default) routed here by Host or absolute-form target."""
    networks: tuple[str, ...] = ()
    """CIDRs this upstream may resolve into, beyond public addresses (loopback, RFC 1918, …)."""
    ca_file: str | None = None
    """PEM file of the CA certificates that are trusted here, for https; default: the system's."""
    credential: str | None = None
    """Name of the credential (under `credentials`) attached when policy asks for none itself."""
    set_cookie: bool = False
    """Let `Set-Cookie` of its answers reach the agent."""
    idle_s: Seconds = 4.0
    """Seconds an unused connection is kept; below the upstream's own, or requests meet a closing
    one."""
    first_byte_s: Seconds = 30.0
    """Seconds until its answer must begin; model APIs want more."""
    read_idle_s: Seconds = 60.0
    """Seconds between two pieces of an answer."""
    connections: Annotated[int, Field(ge=1, le=1024)] = 64
    """Connections to it at most, in use or idle."""
    direction: Literal["egress", "ingress"] = "egress"
    """`egress`: what the agent may reach. `ingress`: the local agent itself, for those who call in
    by the ingress listener; no one reaches the one by the other's listener."""
    tls: UpstreamTls = field(default_factory=UpstreamTls)
    """How an https upstream is verified."""
    mcp: McpOptions = field(default_factory=McpOptions)
    """Settings of an upstream that speaks MCP. What a caller's `_meta` asks for of its own stands
    as `params._meta` among the arguments that policy and grants judge."""
    http: HttpOptions = field(default_factory=HttpOptions)
    """Settings of an upstream that speaks plain HTTP. A header that could ask for something stands
    as `header.<name>` among the arguments that policy and grants judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCredential:
    """A credential read from a file; refused in production."""

    file: str
    """Path of the file that holds it, 0600; read again when it changes."""
    header: str = "authorization"
    """Request header that carries it."""
    scheme: str = "Bearer"
    """Word before it in the header; empty for none."""
    upstreams: tuple[str, ...] = ()
    """Upstreams it may go to; it is attached to no other."""
