"""The leg `fixed-allow`: Outrider whole, but for an engine that allows whatever it is asked.

Such an engine exists nowhere else. No setting names it and nothing in the package can make it.
"""

from dataclasses import dataclass

from outrider.core.ports import Defined, Meta, Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAllowSnapshot:
    """Answers every query with an allow under the revision it was made for."""

    revision: str

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        """An allow, in the form in which an engine gives it: it is still parsed strictly."""
        return Defined(
            value={"effect": "allow", "reasons": [], "obligations": [], "revision": self.revision},
            meta=Meta(revision=self.revision),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAllowEngine:
    """The port's shape with nothing behind it."""

    revision: str
    name: str = "fixed-allow"

    def snapshot(self) -> FixedAllowSnapshot:
        """Always the same one."""
        return FixedAllowSnapshot(revision=self.revision)
