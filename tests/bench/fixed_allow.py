"""The leg `fixed-allow`: Outrider whole, but for an engine that allows whatever it is asked.

Such an engine exists nowhere else. No setting names it and nothing in the package can make it.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from outrider.config.load import environment, load
from outrider.core.errors import EnforcementError
from outrider.core.ports import Defined, Meta, Raw
from outrider.core.vocabulary import Reason
from outrider.policy.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAllowSnapshot:
    """Answers every query with an allow under the revision it was made for."""

    revision: str

    @property
    def expected(self) -> frozenset[str]:
        return frozenset({self.revision})

    @property
    def waits(self) -> bool:
        return False

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        """An allow, in the form in which an engine gives it: it is still parsed strictly."""
        return Defined(
            value={"effect": "allow", "reasons": [], "obligations": [], "revision": self.revision},
            meta=Meta(revision=self.revision),
        )


class FixedAllowEngine:
    """A release's engine with nothing behind it: the manifest and the agents are the release's."""

    name = "fixed-allow"

    def __init__(self) -> None:
        self._snapshot: FixedAllowSnapshot | None = None

    def snapshot(self) -> FixedAllowSnapshot:
        """The release in force; raises `EnforcementError` before there is one."""
        if self._snapshot is None:
            raise EnforcementError("no release is in force", reason=Reason.POLICY_UNAVAILABLE)
        return self._snapshot

    async def activate(self, release: Release) -> FixedAllowSnapshot:
        """Take a release; its Rego is never asked."""
        self._snapshot = FixedAllowSnapshot(revision=release.revision)
        return self._snapshot


def main() -> int:
    """Run the sidecar of these settings as `outrider run` would, with this engine in its place."""
    # Only here: the engine is also used without a composition root, by its tests.
    from outrider.cli.run import serve  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m tests.bench.fixed_allow")
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    return int(
        serve(load(options.config, environment()), engine=lambda _loaded: FixedAllowEngine())
    )


if __name__ == "__main__":
    sys.exit(main())
