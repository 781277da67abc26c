"""Budgets: how much a task may use at most, and how much of it is used (GOVERNANCE §2).

Laws: numbers are whole (money in millionths of its unit), so sums are exact on every store; no
limit is unlimited only where the grant says nothing; a sum of two usages is a usage.
"""

from dataclasses import dataclass
from typing import Final

from outrider.core.vocabulary import Budget

MICRO: Final = 1_000_000
"""One unit of money, as it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """At most this much; None bounds nothing. `spend` is in millionths of `unit`."""

    calls: int | None = None
    spend: int | None = None
    tokens: int | None = None
    records: int | None = None
    bytes: int | None = None
    unit: str | None = None

    def of(self, budget: Budget) -> int | None:
        """The limit of one budget."""
        found: int | None = getattr(self, budget.value)
        return found

    @property
    def bounded(self) -> bool:
        """Whether anything is limited at all."""
        return any(self.of(budget) is not None for budget in Budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """So much is used, or is asked for. `spend` is in millionths, `bytes` are sent out."""

    calls: int = 0
    spend: int = 0
    tokens: int = 0
    records: int = 0
    bytes: int = 0

    def of(self, budget: Budget) -> int:
        """How much of one budget."""
        found: int = getattr(self, budget.value)
        return found


UNLIMITED: Final = Limits()
UNUSED: Final = Usage()
