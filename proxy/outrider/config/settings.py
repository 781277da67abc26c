"""Every setting, its safe default, meaning, unit and range. Read by `config.load` alone.

Laws: add, never repurpose; a default is safe in production; the reason stands under the setting.
The metadata is the source of the reference page and of `outrider config schema`.
"""

from dataclasses import dataclass, field, is_dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from outrider.config.delivery_settings import BundleSignature, BundleSource

Uid = Annotated[int, Field(ge=0, le=0xFFFFFFFE)]
Port = Annotated[int, Field(ge=0, le=65535)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]
Seconds = Annotated[float, Field(ge=0.01, le=86_400)]
DeniedGrace = Annotated[float, Field(ge=0, le=30)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]

HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$")]


class Profile(StrEnum):
    DEMO = "demo"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to listen: TCP addresses `host:port`, or a Unix socket path."""

    addresses: tuple[str, ...] = ()
    """TCP addresses `host:port`, host an IP address; port 0 takes a free one."""
    unix: str | None = None
    """Path of a Unix socket, relative to the settings file; peers are known by their uid."""
    unix_mode: Annotated[int, Field(ge=0, le=0o777)] = 0o660
    """Mode of the Unix socket file; who may write to it may connect."""
    uids: tuple[Uid, ...] = ()
    """Peer uids accepted on the Unix socket; empty accepts our own uid alone. Others must be able
    to write to the socket file besides: it is our user's and group's with `unix_mode` 0660, so put
    them in that group, or give `unix_mode: 0666` in a folder that only they can enter."""
    bearer: bool = False
    """True lets a bearer (JWT-SVID, or token of an issuer in `identity.oidc`) count without mutual
    TLS, from loopback or the Unix socket alone. It travels in `Proxy-Authorization` on egress, in
    `Authorization` on ingress, and never further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    egress: Listener = field(
        default_factory=lambda: Listener(addresses=("127.0.0.1:15001", "[::1]:15001"))
    )
    """Where the local agent's calls come in."""
    ingress: Listener = field(default_factory=lambda: Listener(addresses=("0.0.0.0:15006",)))
    """Where other agents call this one, over mutual TLS alone. It is opened where an upstream has
    `direction: ingress`; that takes an `identity.source`."""
    control: Listener = field(default_factory=lambda: Listener(addresses=("127.0.0.1:15000",)))
    """Where operators look and change; behind a token, loopback or Unix socket alone."""
    telemetry: Listener = field(default_factory=lambda: Listener(addresses=("0.0.0.0:15020",)))
    """Where `/metrics`, `/livez` and `/readyz` are served; it holds no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadApi:
    address: str | None = None
    """`unix:///absolute/path` or `tcp://<IP address>:<port>` of the SPIFFE Workload API. Default:
    what `SPIFFE_ENDPOINT_SOCKET` says."""
    hint: str | None = None
    """Take the SVID that carries this hint, and none where no one does."""
    first_message_s: Seconds = 30.0
    """Seconds to wait for the first message of a stream; then it is opened anew."""
    denied_grace_s: DeniedGrace = 0.0
    """Seconds, at most 30, for which what the agent said before an outage of its own outlives its
    denial after it. SPIRE's agent denies everybody for some seconds after its start; without a
    grace that is an outage here too. The price: an identity that was taken away while the agent was
    down lives so much longer. A denial by an agent that has not been down counts at once always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SvidFiles:
    """An SVID in PEM files, as spiffe-helper writes them; read again when they change."""

    directory: str | None = None
    """Directory of the files, relative to the settings file."""
    certificate: str = "svid.pem"
    """The leaf certificate, then its intermediates."""
    key: str = "svid_key.pem"
    """The private key, unencrypted, for nobody else to read (0600)."""
    bundle: str = "svid_bundle.pem"
    """The authorities of our own trust domain alone: a file that pools several domains lets each
    speak for the other."""
    federated: dict[str, str] = field(default_factory=dict)
    """Trust domain -> PEM file of its authorities, in the same directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIssuer:
    """An OpenID Connect issuer whose tokens name callers, as `oidc:<sub>@<name of this issuer>`."""

    issuer: str
    """The issuer's URL, https, exactly as in `iss`."""
    audience: str
    """What `aud` must hold."""
    clients: tuple[str, ...] = ()
    """Clients (`azp` or `client_id`) whose tokens are taken; empty takes any."""
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"],
        ...,
    ] = ("RS256", "ES256")
    """Signature algorithms that are taken."""
    token: Literal["access", "kubernetes"] = "access"  # noqa: S105 - a kind of token
    """`access`: OAuth access tokens (`typ: at+jwt`); `kubernetes`: projected service account
    tokens, whose pod becomes the caller's instance. An ID token is neither."""
    subject_type: Literal["agent", "service", "person"] = "service"
    """What its subjects are, as policy is told."""
    jwks_url: str | None = None
    """Where its keys are, https. Default: what its discovery document says, on the same origin."""
    ca_file: str | None = None
    """PEM file of the CAs its server is verified by. Default: the system's."""
    max_life_s: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """Longest life of a token that is accepted, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    source: Literal["none", "workload_api", "files"] = "none"
    """Where our SVID and the trust bundles come from. `none`: this sidecar holds no SVID, so that
    no mutual TLS can be spoken and `spiffe_id` is taken on trust (laptop, demo)."""
    workload_api: WorkloadApi = field(default_factory=WorkloadApi)
    """With source `workload_api`."""
    files: SvidFiles = field(default_factory=SvidFiles)
    """With source `files`."""
    oidc: dict[Name, OidcIssuer] = field(default_factory=dict)
    """Issuers whose tokens are taken as proof of identity, by a name of your own: on a listener
    with `bearer`, and over mutual TLS where the token is bound to the caller's certificate
    (`cnf.x5t#S256`). A caller that is attested too must be the same, so take them with
    `attested_local: false`. Keys are fetched every five minutes; those of an issuer that is silent
    serve on for an hour."""
    spiffe_id: str | None = None
    """The sidecar's and its local agent's SPIFFE ID. With a source it picks the SVID of this ID,
    and none where no one has it; default: the first SVID."""
    trust_domains: tuple[str, ...] = ()
    """Trust domains whose JWT-SVIDs are accepted besides our own. Callers over mutual TLS are of
    any domain whose bundle the source gave; who may do what is for policy to say."""
    trust_bundles: dict[str, str] = field(default_factory=dict)
    """Trust domain -> path of its SPIFFE bundle document (JWKS) for JWT-SVIDs."""
    audience: str | None = None
    """The one audience a JWT-SVID for this sidecar must name. Default: the SPIFFE ID."""
    attested_local: bool = True
    """Accept the local agent on egress by loopback or Unix socket, under our own SPIFFE ID. Proven
    is that it shares our network namespace (loopback), or runs under an accepted uid (Unix socket);
    not which program it is: whoever else is there speaks as the agent. With a `source` it counts
    only while we hold a valid SVID of that ID."""
    jwt_leeway_s: Annotated[int, Field(ge=0, le=30)] = 5
    """Seconds of clock difference forgiven in the times of a JWT-SVID."""
    jwt_max_life_s: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """Longest life of a JWT-SVID that is accepted, seconds: a stolen one works as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaSettings:
    mode: Literal["child", "socket", "remote"] = "child"
    """`child`: we start, feed and supervise an OPA; `socket`: one beside us listens on a Unix
    socket; `remote`: one elsewhere, over mutual TLS under our SVID."""
    url: str | None = None
    """`https://host:port` of OPA in mode `remote`."""
    expect: tuple[str, ...] = ()
    """SPIFFE IDs that OPA may prove in mode `remote`, as in `upstreams.*.tls.spiffe.expect`."""
    binary: str | None = None
    """Path of the OPA to run. Default: the one on PATH, else the one installed by `outrider opa
    install`."""
    sha256: str | None = None
    """SHA-256 that the OPA binary must have, in hexadecimal; pins what runs."""
    socket: str | None = None
    """Path of OPA's Unix socket in mode `socket`."""
    connections: Annotated[int, Field(ge=1, le=64)] = 8
    """Connections to OPA kept open; also how many questions are under way at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    engine: Literal["embedded", "opa"] = "embedded"
    """`embedded`: Rego in this process, nothing to install; `opa`: an Open Policy Agent."""
    path: str | None = None
    """Directory or bundle (.tar.gz) of Rego and data. Default: the library that ships."""
    overlay: tuple[str, ...] = ()
    """Further directories of data or Rego laid over `path`, in order."""
    bundle: BundleSource = field(default_factory=BundleSource)
    """Where a signed bundle is fetched from, in place of `path`."""
    signature: BundleSignature = field(default_factory=BundleSignature)
    """Whose signature on policy counts."""
    entrypoint: Annotated[str, Field(pattern=r"^data(\.[a-z_][a-z0-9_]*)+$")] = (
        "data.outrider.decision"
    )
    """The rule that is asked for a decision."""
    timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 250
    """Milliseconds a decision may take, all actions of an exchange together; then it is a deny."""
    list_timeout_ms: Annotated[int, Field(ge=1, le=30_000)] = 1000
    """Milliseconds the verdicts of one listing may take; what has none by then is hidden."""
    query_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 32_768
    """Largest query policy is asked with, bytes; a larger one is refused, never cut."""
    max_staleness_s: Annotated[int, Field(ge=0, le=604_800)] | None = None
    """Seconds policy counts after it was last confirmed: fetched, told unchanged, or found in its
    files without a fault. Past it everything is refused (`policy_stale`); past half of it `/readyz`
    says degraded. 0: without end. Default: 3600 with `policy.bundle.url`, else 0."""
    watch: bool = True
    """Reload when files change (polled once a second) and on SIGHUP."""
    opa: OpaSettings = field(default_factory=OpaSettings)
    """How OPA is run or reached, with engine `opa`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """HARDENING §6. Bytes, seconds and counts; each with its range."""

    connections: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Connections to one listener at most; more are not accepted."""
    agent_connections: Annotated[int, Field(ge=1, le=65_536)] = 512
    """Connections of the local agent at most."""
    peer_connections: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Connections of one SPIFFE ID to the ingress listener at most, so that no peer takes all."""
    domain_connections: Annotated[int, Field(ge=1, le=65_536)] = 512
    """Connections of one trust domain to the ingress listener at most; our own takes what is there.
    """
    handshakes: Annotated[int, Field(ge=2, le=65_536)] = 256
    """TLS handshakes under way at the ingress listener at most, of one address half as many; one
    more makes the oldest end."""
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Exchanges under way at once in this sidecar."""
    agent_in_flight: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Exchanges under way at once for one agent."""
    upstream_in_flight: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Exchanges under way at once to one upstream, so that a slow one does not take all."""
    wait_queue: Annotated[int, Field(ge=0, le=65_536)] = 64
    """Exchanges that may wait for a place; beyond it `overload` at once."""
    wait_s: Seconds = 1.0
    """Seconds an exchange waits for a place before `overload`."""
    head_s: Seconds = 10.0
    """Seconds from the first byte of a request head to its last."""
    keepalive_s: Seconds = 75.0
    """Seconds an idle connection of the agent stays open."""
    connection_age_s: Seconds = 3600.0
    """Seconds a connection lives at most, so that identity is proved anew."""
    connection_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Requests on one connection at most."""
    head_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 32_768
    """Largest request head, bytes."""
    head_fields: Annotated[int, Field(ge=10, le=1000)] = 100
    """Header fields of a request at most."""
    path_bytes: Annotated[int, Field(ge=256, le=65_536)] = 4096
    """Longest path, bytes."""
    query_string_bytes: Annotated[int, Field(ge=256, le=65_536)] = 8192
    """Longest query string, bytes."""
    body_bytes: Bytes = 1 << 20
    """Largest body that is judged, bytes, decoded; it is read whole before policy is asked."""
    opaque_body_bytes: Bytes = 64 << 20
    """Largest body that is streamed unread, bytes."""
    buffered_bytes: Bytes = 96 << 20
    """All bodies held in memory together, bytes; beyond it `overload` before more is read."""
    response_bytes: Bytes = 8 << 20
    """Largest answer that is judged, bytes; a larger one is cut off and recorded."""
    sse_event_bytes: Bytes = 1 << 20
    """Largest server-sent event, bytes."""
    policy_arguments_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 8192
    """Most that arguments take in a query, bytes, long content as digests; else `too_large`."""
    json_depth: Annotated[int, Field(ge=4, le=100)] = 64
    """How deeply JSON may nest."""
    json_nodes: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    """Values in a JSON request at most."""
    response_nodes: Annotated[int, Field(ge=100, le=10_000_000)] = 200_000
    """Values in a JSON answer at most."""
    tunnel_bytes: Bytes = 1 << 30
    """Bytes that one tunnel (CONNECT, captured TLS) may carry, both ways together; then it is cut.
    """
    tunnel_idle_s: Seconds = 300.0
    """Seconds a tunnel may be silent both ways; then it is cut."""
    tunnel_s: Seconds = 3600.0
    """Seconds a tunnel lives at most: nobody looks again at what it may reach while it stands."""
    body_idle_s: Seconds = 15.0
    """Seconds between two pieces of a request body; then `slow_client`."""
    body_total_s: Seconds = 300.0
    """Seconds a request body may take in all."""
    body_rate_bytes_s: Annotated[int, Field(ge=0, le=1 << 20)] = 1024
    """Slowest average rate of a request body after 10 s, bytes a second; 0: any."""
    handshake_s: Seconds = 5.0
    """Seconds of a TLS handshake with a caller."""
    shutdown_s: Seconds = 2.0
    """Seconds of a TLS connection's orderly end."""
    connect_s: Seconds = 2.0
    """Seconds to connect to an upstream."""
    tls_s: Seconds = 3.0
    """Seconds of a TLS handshake with an upstream."""
    sse_idle_s: Seconds = 300.0
    """Seconds an event stream may be silent."""
    dns_ttl_s: Seconds = 60.0
    """Seconds an address of an upstream is kept at most."""
    audit_queue: Annotated[int, Field(ge=64, le=1_000_000)] = 4096
    """Audit records waiting to be written; when full, exchanges are refused."""
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failed connections in a row after which an upstream is left alone for a while."""
    breaker_open_s: Seconds = 5.0
    """Seconds an upstream is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """How the agent's connections are kept from going round; in a pod the injector says it."""

    mode: Literal["transparent", "enforce-drop", "cooperative"] = "cooperative"
    """`transparent`: its connections are redirected to `listeners.egress`, and the kernel is asked
    where each was going; `enforce-drop`: what does not go by us is refused; `cooperative`: nothing
    holds it but that it has no credentials."""
    watch: bool = False
    """True with a watching `outrider capture verify` beside it, in mode `transparent`: it is not
    ready while three of its probes, one every ten seconds, are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    path: str = "audit"
    """Directory of the chain's files (created 0700), under `data_dir` if relative."""
    inputs: Literal["store", "digest"] | None = None
    """`store` keeps each query beside the chain, so that `outrider explain` can replay it; `digest`
    keeps none. Default: `store` for profile demo and development, `digest` for production."""
    file_bytes: Bytes = 256 << 20
    """Size at which the chain goes on in a new file, bytes."""
    inputs_bytes: Bytes = 256 << 20
    """Space for kept queries, bytes; the oldest eighth makes room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """A Redis or Valkey server that several sidecars share."""

    url: str | None = None
    """`rediss://host:port/0` (TLS), `redis://host:port/0`, or `unix:///path`. Without userinfo: a
    URL is shown and logged."""
    ca_file: str | None = None
    """PEM file of the CA certificates that are trusted for it, with rediss; default: the system's.
    """
    allow_plain: bool = False
    """Let redis without TLS be used beyond loopback: whoever is on the way reads and writes what
    tasks did, and the password."""
    username: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    """The server's user (ACL); default: its default user. It needs GET, SET, HGET, HSET, DEL,
    PERSIST, PEXPIRE, ZADD, ZREM, ZCOUNT, ZRANGE, ZREMRANGEBYSCORE, TIME, EVAL, EVALSHA, PING,
    and with `replicas` WAIT, on keys that begin with `prefix`."""
    password_file: str | None = None
    """File of its password (0600)."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "outrider"
    """What its keys begin with. Sidecars that name the same server and prefix share their tasks,
    budgets and quarantine: keep apart what must not meet."""
    timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Within which it must answer; else the exchange is refused with `store_unavailable`."""
    replicas: Annotated[int, Field(ge=0, le=16)] = 0
    """So many replicas must have what must not be lost (tasks, quarantine) before it counts as
    written. What survives a crash of the server itself is what it was set to keep: give it
    `appendonly yes`, and `appendfsync always` where no second may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    kind: Literal["memory", "sqlite", "redis"] = "sqlite"
    """Where tasks, their budgets and what they did are kept. `sqlite`: in `path`, for this sidecar
    alone; `redis`: shared by all sidecars that name the same server; `memory`: lost with the
    process. Pins and sessions are in `path` unless it is `memory`."""
    path: str = "outrider.db"
    """File of the store, under `data_dir` if relative. No two sidecars may share one."""
    redis: Redis = field(default_factory=Redis)
    """The server, for kind `redis`."""
    rows: Annotated[int, Field(ge=100, le=16_000)] = 10_000
    """Documents that each table may hold: tasks under way, agents that are remembered. A full one
    refuses further ones with `store_unavailable`. Sidecars that share a store give the same."""
    on_loss: Literal["refuse", "read"] = "refuse"
    """While the store cannot be asked: `refuse` every call, or let those of class `read` go on by
    what was last known. Never more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    token_file: str | None = None
    """File of the operator's bearer token (0600, at least 32 bytes); default: made under
    `data_dir`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    required: bool | None = None
    """Refuse calls that no task is named for, standing grants or not. Default: true in profile
    `production`, where a standing grant would outlive every purpose, else false."""
    entrypoint: Annotated[str, Field(pattern=r"^data(\.[a-z_][a-z0-9_]*)+$")] = "data.outrider.task"
    """The rule that is asked whether a task may be registered, and under which grant."""
    life_s: Annotated[int, Field(ge=1, le=2_592_000)] = 3600
    """Seconds a task lives where its registration gives no deadline."""
    max_life_s: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    """Seconds a task may live at most; a later deadline is refused."""
    anchors_bytes: Annotated[int, Field(ge=0, le=65_536)] = 65_536
    """Bytes of the principal's own texts that a registration may bring."""
    active: Annotated[int, Field(ge=1, le=1000)] = 100
    """Tasks an agent may have under way at once; further registrations are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    delay_s: Annotated[float, Field(ge=0, le=600)] | None = None
    """Seconds between "not ready" and the closing of the listeners, for load balancers to notice.
    Default: 5 where ingress is open, else 0."""
    classic: bool = False
    """True where the agent is told to leave at the same time as the sidecar (a container that is no
    native sidecar): egress then stays open until the agent was silent for 5 s, or the grace is
    spent."""
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Seconds that exchanges under way get to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Traces by OpenTelemetry; off without an endpoint. Takes the extra `outrider[otel]`."""

    endpoint: str | None = None
    """`https://host:port` of a collector that takes OTLP over gRPC; http to loopback, or with
    `allow_plain`. Spans hold names of tools and upstreams, where these are, and 64 characters of a
    request's id, never arguments, bodies or secrets."""
    ca_file: str | None = None
    """PEM file of the CA certificates that it is verified by, with https; default: the system's."""
    allow_plain: bool = False
    """Let http be used beyond loopback: whoever is on the way sees which tools are called."""
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the exchanges sampled that come without a trace of their own."""
    callers_per_s: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Exchanges a second at most that are sampled since their callers ask for it."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Traced exchanges that may wait to be sent; further ones are dropped and counted."""
    timeout_s: Annotated[int, Field(ge=1, le=60)] = 5
    """Seconds that the collector may take; no exchange ever waits for it."""
    service_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,64}$")] = "outrider"
    """`service.name` of the spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least grave log lines written; can be changed on the control listener."""
    log_sample: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of exchanges that get a log line when they end, 0 to 1; metrics and audit have all."""
    max_series: Annotated[int, Field(ge=1000, le=50_000)] = 5000
    """Most lines of the metrics page; past it, names are folded into `other`."""
    tracing: Tracing = field(default_factory=Tracing)
    """Which exchanges are traced, and where their spans go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration: one YAML file, `OUTRIDER_…` environment overrides."""

    profile: Profile = Profile.DEVELOPMENT
    """`demo`, `development` or `production`; production refuses what this version lacks."""
    environment: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] = "dev"
    """What policy is told as `context.environment`, such as prod, staging or dev."""
    data_dir: str = "."
    """Where state lives: store, audit chain, tokens; relative to the settings file."""
    listeners: Listeners = field(default_factory=Listeners)
    """Where it listens."""
    identity: Identity = field(default_factory=Identity)
    """Who the sidecar and its callers are."""
    policy: Policy = field(default_factory=Policy)
    """What decides, and from which files."""
    upstreams: dict[Name, Upstream] = field(default_factory=dict)
    """What the agent may reach, by a name of your own; policy knows it under that name."""
    credentials: dict[Name, FileCredential] = field(default_factory=dict)
    """What upstreams need to let us in, by name; the agent never sees them."""
    agent_credentials: tuple[HeaderName, ...] = ()
    """Headers, in lower case, in which agents bring credentials of their own. They are taken out
    and counted, as `authorization`, `cookie`, `x-api-key`, `x-amz-*` and the headers of
    `credentials` always are."""
    limits: Limits = field(default_factory=Limits)
    """Bounds on everything an exchange may take."""
    capture: Capture = field(default_factory=Capture)
    """How the agent is kept from going round."""
    audit: Audit = field(default_factory=Audit)
    """The chain of evidence."""
    stores: Stores = field(default_factory=Stores)
    """State that outlives a request."""
    control: Control = field(default_factory=Control)
    """Who may control this sidecar."""
    tasks: Tasks = field(default_factory=Tasks)
    """How calls are bound to tasks."""
    drain: Drain = field(default_factory=Drain)
    """How it leaves when told to."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    """Logs and metrics."""
    startup_timeout_s: Seconds = 90.0
    """Seconds it may take to be ready for the first time; then it ends, naming what is missing."""
    allow_plain: bool = True
    """Let http upstreams outside loopback be used; production wants https."""


for _class in list(vars().values()):
    if isinstance(_class, type) and is_dataclass(_class):
        # Unknown keys are faults, and the text under a setting is its description.
        _class.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
            extra="forbid", use_attribute_docstrings=True
        )

LACKS_FOR_PRODUCTION: Final = (
    "approvals (a hold is refused with `obligation`)",
    "leases from a credential broker (only `file` credentials, which production refuses)",
)
"""What this version has not got yet; `profile: production` refuses to start without it."""
