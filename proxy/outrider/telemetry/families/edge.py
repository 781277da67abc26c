"""The edge: connections, what is refused before any adapter, and how hard pressed we are."""

from typing import Final

from outrider.telemetry.families.base import FAST, Families, closed

LISTENERS: Final = ("egress", "ingress")

# What the server tells, which stands above telemetry: its enums are written out here, and the
# tests hold them equal.
EDGE_CAUSES: Final = (
    "version", "method", "trace", "connect", "asterisk", "target", "target_length", "path", "query",
    "field_count", "head_length", "field_name", "field_value", "alias", "duplicate", "reserved",
    "host", "unknown_host", "origin", "connection", "te", "range", "framing", "body_length", "body",
    "expect", "upgrade", "encoding", "syntax", "preface", "tls", "head_timeout", "no_peer",
    "peer_uid", "client_hello", "server_name", "encrypted_hello", "original",
)  # fmt: skip
TUNNEL_CAUSES: Final = ("client_hello", "server_name", "encrypted_hello", "original")
EGRESS_CAUSES: Final = (*TUNNEL_CAUSES, "unknown_host", "origin")
"""Ingress has no tunnels and captures nothing; it takes any Host, and asks for no Origin."""
SHED_CAUSES: Final = (
    "connections", "in_flight", "buffered_bytes", "memory", "fds", "loop_lag", "audit_queue",
)  # fmt: skip
THRESHOLDS: Final = ("soft", "hard")
PRESSED: Final = ("memory", "fds", "in_flight", "loop_lag", "audit_queue")


class EdgeFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        listener = closed("listener", LISTENERS)
        refusals = [
            (name, cause)
            for name in LISTENERS
            for cause in EDGE_CAUSES
            if name == "egress" or cause not in EGRESS_CAUSES
        ]
        self._refused = self._closed(
            "edge_refusals_total",
            "Requests and connections refused before any adapter, by the rule that refused",
            (listener, closed("cause", EDGE_CAUSES)),
            refusals,
            [
                (name, cause)
                for name, cause in refusals
                if (self._shape.ingress or name != "ingress")
                and (self._shape.tunnels or cause not in TUNNEL_CAUSES)
            ],
        )
        self._dropped = self._tally(
            "edge_headers_dropped_total", "Header fields dropped by the gate"
        ).labels()
        connections = self._level("connections", "Open connections", listener)
        self._connections = {name: connections.labels(name) for name in LISTENERS}
        self._shed = self._closed(
            "shed_total",
            "Load shed, by what was used up",
            (closed("cause", SHED_CAUSES), closed("threshold", THRESHOLDS)),
            [(cause, threshold) for cause in SHED_CAUSES for threshold in THRESHOLDS],
        )
        self._buffered = self._one(
            "buffered_bytes", "Bodies held in memory, against `limits.buffered_bytes`"
        )
        pressure = self._level(
            "pressure_ratio",
            "Use of a resource against its limit, 0 to 1",
            closed("resource", PRESSED),
        )
        self._pressure = {name: pressure.labels(name) for name in PRESSED}
        self._lag = self._spread(
            "event_loop_lag_seconds", "How late the event loop came to its probes", FAST
        ).labels()

    def edge_refused(self, listener: str, cause: str) -> None:
        self._move(self._refused, listener, cause, label="edge")

    def headers_dropped(self, listener: str, count: int) -> None:
        self._dropped.inc(count)

    def connection(self, listener: str, delta: int) -> None:
        level = self._connections.get(listener)
        if level is not None:
            level.inc(delta)
        else:
            self._overflows["edge"].inc()

    def shed(self, cause: str, threshold: str) -> None:
        self._move(self._shed, cause, threshold, label="edge")

    def buffered_bytes(self, held: int) -> None:
        self._buffered.count = held

    def pressure(self, resource: str, ratio: float) -> None:
        level = self._pressure.get(resource)
        if level is not None:
            level.set(ratio)
        else:
            self._overflows["edge"].inc()

    def loop_lag(self, lag_s: float) -> None:
        self._lag.observe(lag_s)
