"""Policy bundles: which revision is in force, when it was last confirmed, what was refused."""

from typing import Final

from outrider.telemetry.families.base import Families, closed, named

BUNDLE: Final = "outrider"
"""The value of the label `bundle`: this version loads one."""
STAGES: Final = ("download", "verify", "activate")


class BundleFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        bundle = closed("bundle", (BUNDLE,))
        self._revision = self._level(
            "policy_revision_info",
            "1 for the revision in force",
            bundle,
            named("revision", "the active bundle's manifest, 64 characters of it"),
        )
        self._confirmed = self._level(
            "policy_bundle_confirmed_timestamp_seconds",
            "When the bundle was last found to be the source's current one",
            bundle,
        )
        self._bound = self._level(
            "policy_max_staleness_seconds",
            "How long the bundle may go unconfirmed; no series where nothing bounds it",
            bundle,
        )
        failures = self._tally(
            "policy_bundle_failures_total",
            "Bundles refused, by how far they came",
            bundle,
            closed("stage", STAGES),
        )
        self._bundle_failures = {each: failures.labels(BUNDLE, each) for each in STAGES}

    def policy_activated(self, revision: str, unix_s: float) -> None:
        self._revision.clear()
        self._revision.labels(BUNDLE, revision[:64]).set(1)
        self._confirmed.labels(BUNDLE).set(unix_s)

    def policy_confirmed(self, unix_s: float) -> None:
        self._confirmed.labels(BUNDLE).set(unix_s)

    def policy_bounded(self, max_staleness_s: float) -> None:
        """How long the bundle may go unconfirmed; 0 where nothing bounds it."""
        self._bound.clear()
        if max_staleness_s > 0:
            self._bound.labels(BUNDLE).set(max_staleness_s)

    def policy_refused(self, stage: str) -> None:
        """`stage` is one of `STAGES`."""
        self._bundle_failures[stage].inc()
