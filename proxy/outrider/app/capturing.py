"""Capture in one sidecar: who was going elsewhere, whether the rules still stand, what is told."""

from collections.abc import Callable
from typing import Final

import orjson

from outrider.app.name_memory import FILE, NameMemory, sandbox_of
from outrider.config.load import Loaded
from outrider.control.health import Check
from outrider.core.ports import Clock
from outrider.protocols.gate import GateRules
from outrider.server.capture import CaptureReader, CaptureWatch, OriginalOf, kernel_original
from outrider.server.dns import Lookup, system_lookup
from outrider.server.edge import CapturedParts
from outrider.server.name_files import NameFiles
from outrider.telemetry.metrics import Metrics

TRANSPARENT: Final = "transparent"
COOPERATIVE: Final = "cooperative"


class Capturing:
    """Made once a sidecar; `original` is the kernel's word, of which tests have another."""

    def __init__(
        self,
        *,
        loaded: Loaded,
        instance: str,
        clock: Clock,
        metrics: Metrics,
        original: OriginalOf = kernel_original,
    ) -> None:
        settings = loaded.settings
        self._mode = settings.capture.mode
        self._original = original
        self._document = orjson.dumps({"instance": instance, "mode": self._mode})
        self._ports: Callable[[], frozenset[int]] = frozenset
        self.names = NameFiles(clock=clock, memory=self._memory(loaded))
        self.watch = CaptureWatch(
            clock=clock,
            events=metrics,
            watched=settings.capture.watch and self._mode == TRANSPARENT,
        )
        metrics.capture_is(self._mode)

    def lookup(self) -> Lookup:
        """How places are looked up that prove nothing to us, by a tunnel or without TLS: in a pod,
        whose files of names the agent may share, as at the start or not at all."""
        return system_lookup if self._mode == COOPERATIVE else self.names.lookup

    def _memory(self, loaded: Loaded) -> NameMemory | None:
        if self._mode == COOPERATIVE or loaded.pod_uid is None:
            return None
        return NameMemory(loaded.data(FILE), sandbox_of(loaded.pod_uid))

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
