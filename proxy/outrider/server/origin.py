"""Where an upstream is and how it is spoken to, read once from the settings."""

import ipaddress
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import Upstream
from outrider.core.errors import ConfigError
from outrider.core.exchange import Headers
from outrider.protocols.gate_names import INSTANCE
from outrider.server.addresses import Network

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One upstream. `authority` is the Host it is sent; times are seconds.

    `revision` names the identity and trust the TLS context was made with: connections of another
    revision are not used again. With `spiffe` it proves itself by its SPIFFE ID, and we by ours;
    `own_headers` say of us what no certificate does.
    """

    name: str
    host: str
    port: int
    authority: str
    networks: tuple[Network, ...]
    tls: ssl.SSLContext | None
    revision: str
    set_cookie: bool
    idle_s: float
    first_byte_s: float
    read_idle_s: float
    connections: int
    spiffe: bool = False
    own_headers: Headers = ()


def origin_of(
    name: str,
    settings: Upstream,
    *,
    tls: ssl.SSLContext | None = None,
    revision: str = "",
    instance: str | None = None,
) -> Origin:
    """The origin of `settings.url`. Raises `ConfigError`; https without `tls` makes a context,
    for which `settings.ca_file` is read as it stands: relative to the working directory.

    An upstream that is verified by its SPIFFE ID takes `tls`, and is told our `instance`.
    """
    url = urlsplit(settings.url)
    if url.scheme not in _PORTS or not url.hostname or url.username is not None:
        raise ConfigError(
            f"upstreams.{name}.url is {settings.url}; give http://host or https://host"
        )
    port = url.port or _PORTS[url.scheme]
    host = url.hostname
    shown = f"[{host}]" if ":" in host else host
    spiffe = settings.tls.spiffe is not None
    if spiffe and (url.scheme != "https" or tls is None):
        raise ConfigError(
            f"upstreams.{name}.tls.spiffe takes an https url and an identity of ours: set "
            "identity.source to workload_api or files"
        )
    if url.scheme == "https" and tls is None:
        tls = _trusting(f"upstreams.{name}.ca_file", settings.ca_file)
    return Origin(
        name=name,
        host=host,
        port=port,
        authority=shown if port == _PORTS[url.scheme] else f"{shown}:{port}",
        networks=tuple(ipaddress.ip_network(text) for text in settings.networks),
        tls=tls if url.scheme == "https" else None,
        revision=revision,
        set_cookie=settings.set_cookie,
        idle_s=settings.idle_s,
        first_byte_s=settings.first_byte_s,
        read_idle_s=settings.read_idle_s,
        connections=settings.connections,
        spiffe=spiffe,
        own_headers=((INSTANCE, instance),) if spiffe and instance else (),
    )


def _trusting(key: str, ca_file: str | None) -> ssl.SSLContext:
    try:
        return client_context(ca_file)
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{key} is {ca_file!r}; give a PEM file of CA certificates") from fault


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """A verifying context, made once per upstream and revision; no session resumption.

    Bare, not the default one: that one writes the keys of its sessions to a file which the
    environment names, and what it asks of a chain changes with Python's version. Raises `OSError`
    or `ValueError` where `ca_file` holds no certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_file)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The bounds of `Limits` that the upstream side keeps."""

    connect_s: float
    tls_s: float
    sse_idle_s: float
    dns_ttl_s: float
    wait_s: float
    wait_queue: int
    age_s: float
    requests: int
    decoded_bytes: int
    breaker_failures: int
    breaker_open_s: float


def pool_limits(limits: Limits) -> PoolLimits:
    return PoolLimits(
        connect_s=limits.connect_s,
        tls_s=limits.tls_s,
        sse_idle_s=limits.sse_idle_s,
        dns_ttl_s=limits.dns_ttl_s,
        wait_s=limits.wait_s,
        wait_queue=limits.wait_queue,
        age_s=limits.connection_age_s,
        requests=limits.connection_requests,
        decoded_bytes=limits.opaque_body_bytes,
        breaker_failures=limits.breaker_failures,
        breaker_open_s=limits.breaker_open_s,
    )
