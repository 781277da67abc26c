"""What identity tells, kept for assertions; and keepers that hold what a test says."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

from outrider.core.ports import Clock
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.snapshot import OwnSvid
from outrider.identity.spiffe_id import parse_spiffe_id
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock


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


def a_keeper(clock: Clock | None = None) -> IdentityKeeper:
    """A keeper that holds nothing yet."""
    return IdentityKeeper(clock=clock or FixedClock(), events=RecordingIdentityEvents())


def an_own_svid(spiffe_id: str = AGENT, **changes: Any) -> OwnSvid:
    """An SVID of ours without its certificate, for whoever asks only whose it is and till when."""
    fields: dict[str, Any] = {
        "spiffe_id": parse_spiffe_id(spiffe_id),
        "svid": cast("Any", None),
        "begins_unix_s": NOW_UNIX_S - 60,
        "expires_unix_s": NOW_UNIX_S + 3600,
        "leaf_sha256": "0a" * 32,
    }
    return OwnSvid(**fields | changes)


def hold(
    keeper: IdentityKeeper,
    *,
    svid: OwnSvid | None = None,
    anchors: Mapping[str, frozenset[str]] | None = None,
) -> None:
    """Put these into the keeper's snapshot as a source would, no certificate asked."""
    before = keeper.snapshot()
    keeper._put(
        replace(
            before,
            generation=before.generation + 1,
            svid=svid,
            anchors=MappingProxyType(dict(anchors or {})),
        )
    )
