"""Capture in one sidecar: who was going elsewhere, whether the rules still stand, what is told."""

from collections.abc import Callable

import orjson

from outrider.config.settings import Settings
from outrider.control.health import Check
from outrider.core.ports import Clock
from outrider.protocols.gate import GateRules
from outrider.server.capture import CaptureReader, CaptureWatch, OriginalOf, kernel_original
from outrider.server.edge import CapturedParts
from outrider.telemetry.metrics import Metrics

TRANSPARENT = "transparent"


class Capturing:
    """Made once a sidecar; `original` is the kernel's word, of which tests have another."""

    def __init__(
        self,
        *,
        settings: Settings,
        instance: str,
        clock: Clock,
        metrics: Metrics,
        original: OriginalOf = kernel_original,
    ) -> None:
        self._mode = settings.capture.mode
        self._original = original
        self._document = orjson.dumps({"instance": instance, "mode": self._mode})
        self._ports: Callable[[], frozenset[int]] = frozenset
        self.watch = CaptureWatch(
            clock=clock,
            events=metrics,
            watched=settings.capture.watch and self._mode == TRANSPARENT,
        )
        metrics.capture_is(self._mode)

    def document(self) -> bytes:
        """What this sidecar says of itself, to who verifies that it is the one that was reached."""
        return self._document

    def listening(self, ports: Callable[[], frozenset[int]]) -> None:
        """Where callers mean us: these are no destinations."""
        self._ports = ports

    def parts(self, rules: GateRules) -> CapturedParts | None:
        """What the egress listener needs; None where nothing is redirected to it."""
        if self._mode != TRANSPARENT:
            return None
        reader = CaptureReader(ports=self._own_ports, original=self._original)
        return CapturedParts(reader=reader, rules=rules, probed=self._probed)

    def check(self) -> Check:
        """Its condition of readiness (OPERATIONS §10)."""
        return Check(name="capture", missing=self.watch.missing)

    def _own_ports(self) -> frozenset[int]:
        return self._ports()

    def _probed(self) -> bytes:
        self.watch.probed()
        return self._document
