"""Settings of who the sidecar and its callers are, and what proves it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from outrider.config.values import Name, Seconds

DeniedGrace = Annotated[float, Field(ge=0, le=30)]


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
