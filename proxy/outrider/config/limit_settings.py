"""Settings of the bounds on everything an exchange may take."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from outrider.config.values import Bytes, Seconds


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
