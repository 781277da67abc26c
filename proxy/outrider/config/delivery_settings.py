"""Settings of how policy is delivered: where a bundle is fetched, and whose signature counts."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
PollSeconds = Annotated[float, Field(ge=1, le=86_400)]
AttemptSeconds = Annotated[float, Field(ge=0.1, le=600)]
BundleBytes = Annotated[int, Field(ge=1024, le=32 << 20)]
Sequence = Annotated[int, Field(ge=0, le=2**53 - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSource:
    """Where a signed bundle is fetched from."""

    url: str | None = None
    """`https://host/path` of an OPA bundle, or `oci://registry/repository:tag` (or `@sha256:…`) of
    one in a registry. It takes the place of `policy.path`, and must be signed by one of
    `policy.signature.keys`."""
    token_file: str | None = None
    """File (0600) of a bearer token to show there; read again for each attempt."""
    username: str | None = None
    """User at an OCI registry that asks for one, or for whom it gives tokens."""
    password_file: str | None = None
    """File (0600) of that user's password; read again for each attempt."""
    ca_file: str | None = None
    """PEM file of the CAs its server is verified by. Default: the system's."""
    expect: tuple[str, ...] = ()
    """SPIFFE IDs the server may prove, as in `upstreams.*.tls.spiffe.expect`; it is shown our own
    SVID. Default: it is verified by its host name."""
    poll_s: PollSeconds = 60.0
    """Seconds between two looks for a newer bundle, up to a quarter more or less so that sidecars
    spread. After a failure the next is sooner, then ever less soon up to this."""
    timeout_s: AttemptSeconds = 30.0
    """Seconds one attempt may take, all its requests together."""
    size_bytes: BundleBytes = 32 << 20
    """Largest bundle that is fetched, bytes, packed; unpacked it is at most 32 MiB anyway."""
    redirect_hosts: tuple[str, ...] = ()
    """Hosts (`name` or `name:port`) that an OCI registry may send us to for a blob, over https and
    without our credentials. No other redirect is followed."""
    allow_plain: bool = False
    """True lets `http://` and `oci+http://` leave loopback. What comes is signed all the same, but
    who sits between reads it, and may hold back what is newer. Refused in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleKey:
    """A public key whose signature on a bundle counts."""

    file: str
    """PEM file of the public key."""
    algorithm: Literal[
        "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"
    ] = "ES256"
    """The one algorithm it signs with. OPA itself knows no EdDSA: with such a key only the sidecar
    verifies, not the OPA it feeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSignature:
    """Whose signatures on policy count, and what must have one."""

    keys: dict[KeyId, BundleKey] = field(default_factory=dict)
    """Keys by their id, which a signature names (`kid`, `keyid`). Give the new one beside the old
    before signing with it; files are read again for each bundle."""
    scope: Annotated[str, Field(pattern=r"^[ -~]{0,128}$")] = "outrider"
    """The `scope` a signature must have, so that a key used for other bundles too cannot lend them
    to us. Empty: none."""
    local: Literal["required", "unsigned"] | None = None
    """Whether directories and files named in `policy.path` and `policy.overlay` must be signed too.
    Default: `required` for profile production, else `unsigned`. A bundle file that carries a
    signature must verify in any case; the library that ships is part of the installed package."""
    least_sequence: Sequence = 0
    """Bundles with a lower `metadata.sequence` are refused, whatever this sidecar remembers: it is
    the protection against old ones for sidecars that start with an empty `data_dir`."""
