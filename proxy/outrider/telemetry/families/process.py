"""The process: its build, settings, stores, control requests, clock and logs."""

from collections.abc import Mapping
from typing import Final

from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from outrider.telemetry.families.base import Families, closed, named

STORES: Final = ("memory", "sqlite", "redis")
STORE_RESULTS: Final = ("ok", "error", "unknown")
CONTROL_RESULTS: Final = ("ok", "refused", "error")


class ProcessFamilies(Families):
    """What every process of ours has, a sidecar or not."""

    def _declare(self) -> None:
        super()._declare()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._logs_dropped = self._counter(
            "log_records_dropped_total", "Log lines dropped since their queue was full"
        )
        self._build = self._level(
            "build_info",
            "1 for what is running",
            named("version", "of the package"),
            named("revision", "of the source"),
            named("python", "of the interpreter"),
        )

    def log_dropped(self) -> None:
        self._logs_dropped.inc()

    def built(self, facts: Mapping[str, str]) -> None:
        self._build.labels(facts["version"], facts["revision"], facts["python"]).set(1)


class SidecarFamilies(ProcessFamilies):
    """What a sidecar's process has besides."""

    def _declare(self) -> None:
        super()._declare()
        store = closed("store", STORES)
        self._store_up = self._level("store_up", "1 while the store answers", store)
        self._store_ops = self._tally(
            "store_operations_total",
            "Store operations; of an `unknown` one nobody can say whether it was carried out",
            store,
            closed("result", STORE_RESULTS),
        )
        self._reload_ok = self._one("config_last_reload_successful", "1 after a good reload")
        self._reload_s = self._one(
            "config_last_reload_success_timestamp_seconds", "When the last good reload was"
        )
        self._config = self._level(
            "config_info",
            "1 for the settings in force",
            named("hash", "start of the settings' digest"),
            named("environment", "`environment` in the settings"),
        )
        control = self._tally(
            "control_requests_total",
            "Requests on the control listener",
            closed("result", CONTROL_RESULTS),
        )
        self._control = {each: control.labels(each) for each in CONTROL_RESULTS}
        self._draining = self._one("draining", "1 while draining")
        self._skew = self._one(
            "clock_skew_seconds", "How far the wall clock went from the monotonic one since start"
        )

    def store_opened(self, kind: str) -> None:
        """Which store this sidecar has: its series exist from now on."""
        self._store_up.labels(kind)
        for result in STORE_RESULTS:
            self._store_ops.labels(kind, result)

    def store(self, kind: str, *, ok: bool) -> None:
        self._store_up.labels(kind).set(ok)

    def store_operation(self, kind: str, result: str) -> None:
        """`result` is one of `STORE_RESULTS`."""
        self._store_ops.labels(kind, result).inc()

    def reloaded(self, *, ok: bool, unix_s: float) -> None:
        self._reload_ok.set(ok)
        if ok:
            self._reload_s.set(unix_s)

    def configured(self, digest: str, environment: str) -> None:
        self._config.clear()
        self._config.labels(digest[:16], environment).set(1)

    def control_request(self, result: str) -> None:
        """`result` is one of `CONTROL_RESULTS`."""
        self._control[result].inc()

    def draining(self, *, on: bool) -> None:
        self._draining.set(on)

    def clock_skew(self, seconds: float) -> None:
        self._skew.set(seconds)
