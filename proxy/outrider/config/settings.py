"""Every setting, its safe default, meaning, unit and range. Read by `config.load` alone.

Laws: add, never repurpose; a default is safe in production; the reason stands under the setting.
The metadata is the source of the reference page and of `outrider config schema`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from outrider.config.identity_settings import Identity
from outrider.config.limit_settings import Limits
from outrider.config.listener_settings import Listeners
from outrider.config.policy_settings import Policy
from outrider.config.store_settings import Stores
from outrider.config.telemetry_settings import Telemetry
from outrider.config.upstream_settings import FileCredential, Upstream
from outrider.config.values import Bytes, Name, Seconds

HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$")]


class Profile(StrEnum):
    DEMO = "demo"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


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


# It holds for every section too: unknown keys are faults, and the text under a setting is its
# description.
Settings.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
    extra="forbid", use_attribute_docstrings=True
)

LACKS_FOR_PRODUCTION: Final = (
    "approvals (a hold is refused with `obligation`)",
    "leases from a credential broker (only `file` credentials, which production refuses)",
)
"""What this version has not got yet; `profile: production` refuses to start without it."""
