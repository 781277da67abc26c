"""Settings of where it listens, and who counts there."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

Uid = Annotated[int, Field(ge=0, le=0xFFFFFFFE)]


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
