"""Upstreams: their answers, their faults, and what it takes to reach them."""

from collections.abc import Iterable
from typing import Final

from outrider.telemetry.families.base import REQUEST, UPSTREAMS, Children, Families, closed, named

CODE_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
# `UpstreamFault` of the server, which stands above telemetry; the tests hold them equal.
FAULTS: Final = (
    "dns", "connect", "tls", "identity", "reset", "timeout", "truncated", "protocol", "unsolicited",
)  # fmt: skip


class UpstreamFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        upstream = named("upstream", "names under `upstreams` in the settings, or `other`")
        self._requests = self._tally(
            "upstream_requests_total",
            "Requests to upstreams by how they answered",
            upstream,
            closed("code_class", CODE_CLASSES),
        )
        self._errors = self._tally(
            "upstream_errors_total", "Faults of upstreams", upstream, closed("type", FAULTS)
        )
        connects = self._spread(
            "upstream_connect_duration_seconds",
            "Time to connect, with the handshake where there is one",
            REQUEST,
            closed("tls", ("true", "false")),
        )
        self._connects = Children(
            connects, [("true",), ("false",)], [(tls,) for tls in sorted(self._shape.tls)]
        )
        self._breakers = self._level("upstream_breaker_open", "1 while cut out", upstream)
        self._bind_upstreams()

    def _bind_upstreams(self) -> None:
        for name in sorted(self._upstreams):
            self._breakers.labels(name)
            for code in ("2xx", "4xx", "5xx", "none"):
                self._requests.labels(name, code)

    def upstreams_are(self, names: Iterable[str]) -> None:
        """The upstreams from now on; series of those gone are removed."""
        before, self._upstreams = self._upstreams, frozenset(sorted(names)[:UPSTREAMS])
        for family in self._by_upstream:
            family.forget(before - self._upstreams)
        self._bind_upstreams()

    def upstream_request(self, upstream: str, code_class: str) -> None:
        self._requests.labels(self._upstream(upstream), code_class).inc()

    def upstream_error(self, upstream: str, fault: str) -> None:
        self._errors.labels(self._upstream(upstream), str(fault)).inc()

    def upstream_connected(self, upstream: str, tls: bool, took_s: float) -> None:
        self._connects["true" if tls else "false",].observe(took_s)

    def breaker(self, upstream: str, is_open: bool) -> None:
        self._breakers.labels(self._upstream(upstream)).set(is_open)
