"""Every setting, its safe default, meaning, unit and range. Read by `config.load` alone.

Laws: add, never repurpose; a default is safe in production; the reason stands under the setting.
The metadata is the source of the reference page and of `outrider config schema`.
"""

from dataclasses import dataclass, field, is_dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65535)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]
Seconds = Annotated[float, Field(ge=0.01, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Profile(StrEnum):
    DEMO = "demo"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One place to listen: TCP addresses `host:port`, or a Unix socket path."""

    addresses: tuple[str, ...] = ()
    unix: str | None = None
    unix_mode: Annotated[int, Field(ge=0, le=0o777)] = 0o660
    uids: tuple[int, ...] = ()
    """Peer uids accepted on the Unix socket; empty accepts our own uid alone."""
    bearer: bool = False
    """True lets a JWT-SVID in `Proxy-Authorization` count without mTLS (loopback or Unix only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    egress: Listener = field(
        default_factory=lambda: Listener(addresses=("127.0.0.1:15001", "[::1]:15001"))
    )
    control: Listener = field(default_factory=lambda: Listener(addresses=("127.0.0.1:15000",)))
    telemetry: Listener = field(default_factory=lambda: Listener(addresses=("0.0.0.0:15020",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    spiffe_id: str | None = None
    """The sidecar's and its local agent's SPIFFE ID, until the Workload API gives it."""
    trust_domains: tuple[str, ...] = ()
    """Trust domains whose subjects are accepted besides our own."""
    trust_bundles: dict[str, str] = field(default_factory=dict)
    """Trust domain -> path of its SPIFFE bundle document (JWKS) for JWT-SVIDs."""
    audience: str | None = None
    """The one audience a JWT-SVID for this sidecar must name. Default: the SPIFFE ID."""
    attested_local: bool = True
    """Accept the local agent by loopback or Unix socket under `spiffe_id`."""
    jwt_leeway_s: Annotated[int, Field(ge=0, le=30)] = 5
    jwt_max_life_s: Annotated[int, Field(ge=1, le=86_400)] = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaSettings:
    mode: Literal["child", "socket"] = "child"
    binary: str | None = None
    sha256: str | None = None
    socket: str | None = None
    """Path of OPA's Unix socket in mode `socket`."""
    connections: Annotated[int, Field(ge=1, le=64)] = 8
    decision_logs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    engine: Literal["embedded", "opa"] = "embedded"
    path: str | None = None
    """Directory or bundle (.tar.gz) of Rego and data. Default: the library that ships."""
    overlay: tuple[str, ...] = ()
    """Further directories of data or Rego laid over `path`, in order."""
    entrypoint: Annotated[str, Field(pattern=r"^data(\.[a-z_][a-z0-9_]*)+$")] = (
        "data.outrider.decision"
    )
    timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 250
    list_timeout_ms: Annotated[int, Field(ge=1, le=30_000)] = 1000
    query_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 32_768
    max_staleness_s: Annotated[int, Field(ge=0, le=604_800)] = 0
    """0: off (local directory)."""
    watch: bool = True
    """Reload when files change (polled once a second) and on SIGHUP."""
    opa: OpaSettings = field(default_factory=OpaSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpOptions:
    """Settings of an MCP upstream."""

    min_version: Literal["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] = "2025-03-26"
    pinning: Literal["record", "enforce", "alert"] = "record"
    list_ttl_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 60_000
    batch: Literal["refuse"] = "refuse"
    list_pages: Annotated[int, Field(ge=1, le=100)] = 20
    structured_output: Literal["enforce", "alert", "off"] = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Settings of a plain HTTP upstream's routes."""

    body: Literal["judged", "opaque"] = "judged"
    encoded_slash: bool = False
    semicolon: bool = False
    case_insensitive: bool = False
    body_methods: tuple[str, ...] = ()
    """GET, HEAD, DELETE or OPTIONS where a body is let through."""
    keep_cookies: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One upstream: where it is, how it is spoken to, and which requests go there."""

    url: str
    """`http://host:port/base` or `https://…`; http only where listed in `allow_plain`."""
    protocol: Literal["mcp", "http"] = "http"
    prefix: str | None = None
    """Path prefix on the egress listener, such as `/mcp/crm`; stripped before the upstream."""
    hosts: tuple[str, ...] = ()
    """Host names (with port where not default) routed here by Host or absolute-form target."""
    networks: tuple[str, ...] = ()
    """CIDRs this upstream may resolve into, beyond public addresses (loopback, RFC 1918, …)."""
    ca_file: str | None = None
    """PEM bundle of CAs for https; default: the system's."""
    credential: str | None = None
    """Name of the credential (under `credentials`) attached when policy asks for none itself."""
    set_cookie: bool = False
    idle_s: Seconds = 4.0
    first_byte_s: Seconds = 30.0
    read_idle_s: Seconds = 60.0
    connections: Annotated[int, Field(ge=1, le=1024)] = 64
    mcp: McpOptions = field(default_factory=McpOptions)
    http: HttpOptions = field(default_factory=HttpOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCredential:
    """A credential read from a file; refused in production."""

    file: str
    header: str = "authorization"
    scheme: str = "Bearer"
    upstreams: tuple[str, ...] = ()
    """Upstreams it may go to; it is attached to no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """HARDENING §6. Bytes, seconds and counts; each with its range."""

    connections: Annotated[int, Field(ge=1, le=65_536)] = 1024
    agent_connections: Annotated[int, Field(ge=1, le=65_536)] = 512
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 256
    agent_in_flight: Annotated[int, Field(ge=1, le=65_536)] = 128
    upstream_in_flight: Annotated[int, Field(ge=1, le=65_536)] = 64
    wait_queue: Annotated[int, Field(ge=0, le=65_536)] = 64
    wait_s: Seconds = 1.0
    head_s: Seconds = 10.0
    keepalive_s: Seconds = 75.0
    connection_age_s: Seconds = 3600.0
    connection_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    head_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 32_768
    head_fields: Annotated[int, Field(ge=10, le=1000)] = 100
    path_bytes: Annotated[int, Field(ge=256, le=65_536)] = 4096
    query_string_bytes: Annotated[int, Field(ge=256, le=65_536)] = 8192
    body_bytes: Bytes = 1 << 20
    opaque_body_bytes: Bytes = 64 << 20
    buffered_bytes: Bytes = 96 << 20
    response_bytes: Bytes = 8 << 20
    sse_event_bytes: Bytes = 1 << 20
    policy_arguments_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 8192
    json_depth: Annotated[int, Field(ge=4, le=100)] = 64
    json_nodes: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    response_nodes: Annotated[int, Field(ge=100, le=10_000_000)] = 200_000
    body_idle_s: Seconds = 15.0
    body_total_s: Seconds = 300.0
    body_rate_bytes_s: Annotated[int, Field(ge=0, le=1 << 20)] = 1024
    connect_s: Seconds = 2.0
    tls_s: Seconds = 3.0
    sse_idle_s: Seconds = 300.0
    dns_ttl_s: Seconds = 60.0
    audit_queue: Annotated[int, Field(ge=64, le=1_000_000)] = 4096
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    breaker_open_s: Seconds = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    path: str = "audit"
    """Directory of the chain's files (created 0700), under `data_dir` if relative."""
    inputs: Literal["store", "digest"] = "digest"
    """`store` keeps each query beside the chain, so that `outrider explain` can replay it."""
    file_bytes: Bytes = 256 << 20
    inputs_bytes: Bytes = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    kind: Literal["memory", "sqlite"] = "sqlite"
    path: str = "outrider.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    token_file: str | None = None
    """File of the operator's bearer token (0600, at least 32 bytes); default: made under
    `data_dir`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    delay_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    max_series: Annotated[int, Field(ge=500, le=100_000)] = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration: one YAML file, `OUTRIDER_…` environment overrides."""

    profile: Profile = Profile.DEVELOPMENT
    environment: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] = "dev"
    """Told to policy as `context.environment`: prod, staging, dev, …"""
    data_dir: str = "."
    """Where state lives: store, audit chain, tokens; relative to the settings file."""
    listeners: Listeners = field(default_factory=Listeners)
    identity: Identity = field(default_factory=Identity)
    policy: Policy = field(default_factory=Policy)
    upstreams: dict[Name, Upstream] = field(default_factory=dict)
    credentials: dict[Name, FileCredential] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    audit: Audit = field(default_factory=Audit)
    stores: Stores = field(default_factory=Stores)
    control: Control = field(default_factory=Control)
    tasks: Tasks = field(default_factory=Tasks)
    drain: Drain = field(default_factory=Drain)
    telemetry: Telemetry = field(default_factory=Telemetry)
    startup_timeout_s: Seconds = 30.0
    allow_plain: bool = True
    """Let http upstreams outside loopback be used; production wants https."""


for _class in list(vars().values()):
    if isinstance(_class, type) and is_dataclass(_class):
        # Unknown keys are faults, and the text under a setting is its description.
        _class.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
            extra="forbid", use_attribute_docstrings=True
        )

LACKS_FOR_PRODUCTION: Final = (
    "mutual TLS by the SPIFFE Workload API (identity is attested-local or a trust-bundle file)",
    "the task API (only standing grants bind a task)",
    "approvals (a hold is refused with `obligation`)",
    "leases from a credential broker (only `file` credentials, which production refuses)",
)
"""What this version has not got yet; `profile: production` refuses to start without it."""
