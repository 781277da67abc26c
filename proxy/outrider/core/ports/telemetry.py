"""What is counted and traced."""

from typing import Protocol

from outrider.core.decision import ReasonEntry
from outrider.core.exchange import Exchange
from outrider.core.vocabulary import Effect, EffectClass, ProtocolName, Reason


class Tracer(Protocol):
    """Which exchanges are traced, and under whom."""

    def begin(self, exchange: Exchange) -> Exchange:
        """`exchange` with the trace that it has from now on."""

    def rejoin(self, exchange: Exchange, parent: str | None, state: str | None) -> Exchange:
        """`exchange` under the context that its message names, which wins over its header's; the
        very same where that is none."""


class Metrics(Protocol):
    """Events the pipeline counts. Others use `telemetry.metrics.Registry` directly."""

    def decided(
        self,
        *,
        effect: Effect,
        effect_class: EffectClass,
        reason: Reason | None,
        resource: str,
        reasons: tuple[ReasonEntry, ...],
    ) -> None: ...

    def exchange_ended(
        self,
        *,
        direction: str,
        protocol: ProtocolName,
        reason: Reason | None,
        aborted: bool,
        whole_s: float,
        upstream_s: float,
    ) -> None: ...

    def noted(self, event: str, protocol: ProtocolName) -> None: ...

    def in_flight(self, delta: int, direction: str) -> None: ...
