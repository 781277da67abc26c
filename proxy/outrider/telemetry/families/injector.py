"""The injector: what pods were answered, and the certificate it answers under."""

from typing import Final

from outrider.telemetry.families.base import WEBHOOK, closed
from outrider.telemetry.families.process import ProcessFamilies

# The injector stands above telemetry, so its enums are written out here; the tests hold them equal.
VERDICTS: Final = ("injected", "unchanged", "skipped", "denied", "error")
REASONS: Final = (
    "ok", "opted_out", "opt_out_not_accepted", "invalid_value", "bad_annotation",
    "guarded_annotation", "host_namespace", "unsupported_os", "reserved_name", "reserved_uid",
    "capability", "reserved_mount", "agent_secret", "port_conflict", "proxy_env_conflict",
    "dns_unknown", "malformed", "internal",
)  # fmt: skip
OCCURRING: Final = (
    ("injected", "ok"),
    ("unchanged", "ok"),
    ("skipped", "opted_out"),
    *(("denied", reason) for reason in REASONS[2:-2]),
    ("error", "malformed"),
    ("error", "internal"),
)
"""The pairs that can occur; any other is folded and counted as overflow."""


class InjectorMetrics(ProcessFamilies):
    """The registry of the injector's process, and the methods named for its events."""

    def _declare(self) -> None:
        super()._declare()
        self._admitted = self._closed(
            "injector_admissions_total",
            "Admission reviews by what they were answered",
            (closed("verdict", VERDICTS), closed("reason", REASONS)),
            OCCURRING,
        )
        self._took = self._spread(
            "injector_admission_duration_seconds",
            "From the last byte of a review to its answer",
            WEBHOOK,
        ).labels()
        self._until = self._one(
            "injector_certificate_not_after_timestamp_seconds",
            "When the webhook's certificate ends; 0 without one",
        )
        self._life = self._one(
            "injector_certificate_lifetime_seconds",
            "Whole life of the webhook's certificate; 0 without one",
        )
        # No child before the first look, so that nothing alerts where nobody may look.
        self._in_sync = self._level(
            "injector_ca_bundle_in_sync",
            "1 while every webhook entry trusts the CA in use; only with certificates of our own",
        )

    def admitted(self, outcome: str, reason: str, seconds: float) -> None:
        """One review was answered, in `seconds`."""
        self._move(self._admitted, outcome, reason, label="edge")
        self._took.observe(seconds)

    def certificate(self, *, until_unix_s: float, life_s: float) -> None:
        """Another certificate is shown from now on."""
        self._until.set(until_unix_s)
        self._life.set(life_s)

    def ca_bundle(self, *, in_sync: bool) -> None:
        """The configuration was looked at."""
        self._in_sync.labels().set(in_sync)
