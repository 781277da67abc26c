"""What the edge counts. Telemetry implements it; without one nothing is counted.

Laws: every label is an enum member or a name from the settings, never the caller's text.
"""

from enum import StrEnum
from typing import Protocol


class UpstreamFault(StrEnum):
    """`type` of `upstream_errors_total`."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    IDENTITY = "identity"
    RESET = "reset"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    PROTOCOL = "protocol"
    UNSOLICITED = "unsolicited"


class ShedCause(StrEnum):
    """`cause` of `shed_total`."""

    CONNECTIONS = "connections"
    IN_FLIGHT = "in_flight"
    BUFFERED_BYTES = "buffered_bytes"
    MEMORY = "memory"
    FDS = "fds"
    LOOP_LAG = "loop_lag"
    AUDIT_QUEUE = "audit_queue"


class Threshold(StrEnum):
    SOFT = "soft"
    HARD = "hard"


class Way(StrEnum):
    """`way` of `tunnel_bytes_total`: `out` went to the upstream, `in` came from it."""

    OUT = "out"
    IN = "in"


class EdgeEvents(Protocol):
    """Called on the path of every request: each does little and raises nothing."""

    def edge_refused(self, listener: str, cause: str) -> None: ...

    def headers_dropped(self, listener: str, count: int) -> None: ...

    def connection(self, listener: str, delta: int) -> None: ...

    def shed(self, cause: ShedCause, threshold: Threshold) -> None: ...

    def buffered_bytes(self, held: int) -> None: ...

    def pressure(self, resource: str, ratio: float) -> None: ...

    def loop_lag(self, lag_s: float) -> None: ...

    def upstream_request(self, upstream: str, code_class: str) -> None: ...

    def upstream_error(self, upstream: str, fault: UpstreamFault) -> None: ...

    def upstream_connected(self, upstream: str, tls: bool, took_s: float) -> None: ...

    def breaker(self, upstream: str, is_open: bool) -> None: ...

    def tunnel(self, delta: int) -> None: ...

    def tunnel_bytes(self, upstream: str, way: Way, count: int) -> None: ...


class NoEvents:
    """Counts nothing."""

    def edge_refused(self, listener: str, cause: str) -> None:
        pass

    def headers_dropped(self, listener: str, count: int) -> None:
        pass

    def connection(self, listener: str, delta: int) -> None:
        pass

    def shed(self, cause: ShedCause, threshold: Threshold) -> None:
        pass

    def buffered_bytes(self, held: int) -> None:
        pass

    def pressure(self, resource: str, ratio: float) -> None:
        pass

    def loop_lag(self, lag_s: float) -> None:
        pass

    def upstream_request(self, upstream: str, code_class: str) -> None:
        pass

    def upstream_error(self, upstream: str, fault: UpstreamFault) -> None:
        pass

    def upstream_connected(self, upstream: str, tls: bool, took_s: float) -> None:
        pass

    def breaker(self, upstream: str, is_open: bool) -> None:
        pass

    def tunnel(self, delta: int) -> None:
        pass

    def tunnel_bytes(self, upstream: str, way: Way, count: int) -> None:
        pass
