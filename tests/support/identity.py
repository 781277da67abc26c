"""What identity tells, kept for assertions."""

from collections import Counter
from dataclasses import dataclass, field

from outrider.identity.reasons import HandshakeReason, Role


@dataclass(slots=True)
class RecordingIdentityEvents:
    """`outrider.identity.events.IdentityEvents`: everything told, in order and by count."""

    handshakes: list[tuple[Role, HandshakeReason]] = field(default_factory=list)
    revalidations: Counter[str] = field(default_factory=Counter)
    updates: Counter[tuple[str, str]] = field(default_factory=Counter)
    reconnects: Counter[str] = field(default_factory=Counter)
    collisions: int = 0
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    fetches: Counter[str] = field(default_factory=Counter)

    def handshake(self, role: Role, reason: HandshakeReason) -> None:
        self.handshakes.append((role, reason))

    def revalidation_failed(self, reason: str) -> None:
        self.revalidations[reason] += 1

    def workload_update(self, kind: str, result: str) -> None:
        self.updates[kind, result] += 1

    def workload_reconnect(self, code: str) -> None:
        self.reconnects[code] += 1

    def anchor_collisions(self, count: int) -> None:
        self.collisions += count

    def token(self, kind: str, result: str) -> None:
        self.tokens[kind, result] += 1

    def jwt_fetched(self, result: str, seconds: float) -> None:
        self.fetches[result] += 1
