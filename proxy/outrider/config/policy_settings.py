"""Settings of what decides, and from which files."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from outrider.config.delivery_settings import BundleSignature, BundleSource


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
