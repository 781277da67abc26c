"""Capture and tunnels: how the agent is kept from going round, and what passes unread."""

from typing import Final

from outrider.telemetry.families.base import Families, closed, named

# `CaptureMode` and the server's `Way`, which the tests hold equal.
MODES: Final = ("transparent", "enforce-drop", "cooperative")
WAYS: Final = ("out", "in")


class CaptureFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        self._mode = self._level(
            "capture_mode_info",
            "1 for the way in which the agent is kept from going round",
            closed("mode", MODES),
        )
        self._verified = self._one(
            "capture_verified_timestamp_seconds", "Last probe that was redirected here; 0 for none"
        )
        self._failures = self._tally(
            "capture_failures_total", "Probes of a watched capture that did not arrive"
        ).labels()
        self._tunnels = self._one("tunnels", "Tunnels that stand")
        self._carried = self._tally(
            "tunnel_bytes_total",
            "Bytes that tunnels carried to upstreams (out) and from them (in)",
            named("upstream", "names under `upstreams` in the settings, or `other`"),
            closed("way", WAYS),
        )

    def capture_is(self, mode: str) -> None:
        """`mode` is one of `MODES`."""
        self._mode.labels(mode).set(1)

    def capture_verified(self, unix_s: float) -> None:
        self._verified.set(unix_s)

    def capture_failed(self) -> None:
        self._failures.inc()

    def tunnel(self, delta: int) -> None:
        self._tunnels.inc(delta)

    def tunnel_bytes(self, upstream: str, way: str, count: int) -> None:
        self._carried.labels(self._upstream(upstream), str(way)).inc(count)
