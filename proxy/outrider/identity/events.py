"""What identity tells whoever counts; `telemetry.metrics.Metrics` implements it."""

from typing import Protocol

from outrider.identity.reasons import HandshakeReason, Role


class IdentityEvents(Protocol):
    """Every label is closed. What identity is at rest (remaining life, state, trust domains) is
    read from the keeper when it is scraped, not told."""

    def handshake(self, role: Role, reason: HandshakeReason) -> None: ...

    def revalidation_failed(self, reason: str) -> None:
        """A live connection's peer no longer holds: `expired` or `withdrawn`."""

    def workload_update(self, kind: str, result: str) -> None:
        """`kind`: x509 or jwt_bundle; `result`: applied or discarded."""

    def workload_reconnect(self, code: str) -> None:
        """A stream ended; `code` is a gRPC status name, or `END` where it ended without one."""

    def anchor_collisions(self, count: int) -> None: ...

    def token(self, kind: str, result: str) -> None:
        """`kind`: jwt_svid or oidc; `result`: ok or a `Cause`."""

    def jwt_fetched(self, result: str, seconds: float) -> None:
        """`result`: ok, denied or failed."""


class Uncounted:
    """`IdentityEvents` that nobody counts: what an operator tries is no traffic."""

    def handshake(self, role: Role, reason: HandshakeReason) -> None: ...
    def revalidation_failed(self, reason: str) -> None: ...
    def workload_update(self, kind: str, result: str) -> None: ...
    def workload_reconnect(self, code: str) -> None: ...
    def anchor_collisions(self, count: int) -> None: ...
    def token(self, kind: str, result: str) -> None: ...
    def jwt_fetched(self, result: str, seconds: float) -> None: ...
