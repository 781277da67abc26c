"""The one place where the snapshot of identities stands; sources push, everyone else reads.

Laws: a snapshot is swapped whole; what a source no longer says is gone; without an SVID of our own
that is valid now nothing is served under it, and no other identity takes its place (IDENTITY §5).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from outrider.core.ports import Clock
from outrider.identity.anchors import anchors_of
from outrider.identity.bundles import Bundles, TrustBundle
from outrider.identity.events import IdentityEvents
from outrider.identity.snapshot import OwnSvid, Snapshot, SourceState

if TYPE_CHECKING:
    from spiffe import X509Bundle

Told = Callable[[Snapshot], None]


class IdentityKeeper:
    """Holds the snapshot and how its source is. Everything happens on the event loop's thread."""

    def __init__(self, *, clock: Clock, events: IdentityEvents) -> None:
        self._clock = clock
        self._events = events
        self._snapshot = Snapshot()
        self._listed: Mapping[str, TrustBundle] = {}
        self._heard: Mapping[str, TrustBundle] = {}
        self._told: list[Told] = []
        self._connected = False
        self._redacted = False
        self._failed: str | None = None
        self._unusable: tuple[int, str] | None = None
        self._own_domain: str | None = None
        self._was_valid = False
        self._changed = asyncio.Event()
        self.contact_unix_s: float | None = None
        self.trouble: str | None = None
        """Why the source is not heard, or not taken: a closed word of `workload_stream`, or what is
        wrong with the files, a sentence of ours. None where nothing is, or it is not known."""

    # --- for readers ---

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def own(self) -> OwnSvid | None:
        """Our SVID where it is valid now."""
        return self._snapshot.own(self._clock.unix_s())

    def state(self) -> SourceState:
        svid = self._snapshot.svid
        if self._failed is not None:
            return SourceState.FAILED
        if self._redacted:
            return SourceState.REDACTED
        if svid is None:
            return SourceState.WAITING
        if self.own() is None:
            return SourceState.EXPIRED
        if self.unusable_why is not None:
            return SourceState.FAILED
        return SourceState.SERVING if self._connected else SourceState.DISCONNECTED

    @property
    def failure(self) -> str | None:
        """Why the source is `failed`, a sentence of ours; None where it is not."""
        return self._failed

    @property
    def unusable_why(self) -> str | None:
        """Why what is held now serves for no handshake, a sentence of ours; None where it does."""
        if self._unusable is None or self._unusable[0] != self._snapshot.generation:
            return None
        return self._unusable[1]

    def remaining_s(self) -> float:
        """Seconds our SVID is still valid; 0 without one."""
        svid = self._snapshot.svid
        return max(0.0, svid.expires_unix_s - self._clock.unix_s()) if svid is not None else 0.0

    def is_degraded(self) -> bool:
        """Under a quarter of our SVID's life is left, so its renewal has failed (IDENTITY §5)."""
        svid = self._snapshot.svid
        return svid is not None and self.remaining_s() < 0.25 * svid.lifetime_s

    def tell(self, told: Told) -> None:
        """Call `told` with each new snapshot, and again when our own SVID has run out."""
        self._told.append(told)

    async def wait_own(self) -> OwnSvid:
        """The first valid SVID of ours; waits for it."""
        while (own := self.own()) is None:
            self._changed.clear()
            await self._changed.wait()
        return own

    # --- for sources ---

    def take_x509(
        self, svid: OwnSvid | None, bundles: "Mapping[str, X509Bundle]", *, own_domain: str | None
    ) -> None:
        """The whole X.509 state as the source now says it, checked by whoever calls. What is equal
        to what stands changes no generation, so that connections live on."""
        self._redacted, self._failed = False, None
        before = self._snapshot
        federated = len(bundles) > 1
        if (
            own_domain == self._own_domain
            and _same(before.svid, svid)
            and before.x509 == bundles  # quick where they are the very same objects
        ):
            return
        between = svid.svid.cert_chain[1:] if svid is not None and federated else ()
        anchors, dropped = anchors_of(
            bundles, own=own_domain, before=before.anchors, between=between
        )
        if dropped:
            self._events.anchor_collisions(dropped)
        self._own_domain = own_domain
        self._put(
            replace(
                before,
                generation=before.generation + 1,
                svid=svid,
                x509=MappingProxyType(dict(bundles)),
                anchors=MappingProxyType(anchors),
            )
        )

    def take_jwt(self, by_domain: Mapping[str, TrustBundle]) -> None:
        """The whole of the JWT bundles that the source says now."""
        if dict(self._heard) != dict(by_domain):
            self._heard = dict(by_domain)
            self._put_jwt()

    def take_listed(self, bundles: Bundles) -> None:
        """The JWT bundles of the files in settings; before the source's where both have one."""
        self._listed = bundles.by_domain
        self._put_jwt()

    def redact(self) -> None:
        """The source says that we may hold no identity: ours is gone at once, and with it every
        X.509 bundle; JWT bundles have a stream, and an end, of their own."""
        if self._redacted and self._snapshot.svid is None:
            return
        self._redacted = True
        before = self._snapshot
        self._put(
            replace(
                before,
                generation=before.generation + 1,
                svid=None,
                x509=MappingProxyType({}),
                anchors=MappingProxyType({}),
            )
        )

    def connected(self, *, on: bool) -> None:
        """Whether the source is heard. With `on`: it just was."""
        self._connected = on
        if on:
            self.contact_unix_s = self._clock.unix_s()
            self.trouble = None

    def troubled(self, trouble: str | None) -> None:
        """Why the source is not heard just now; it is forgotten once it is heard."""
        self.trouble = trouble

    def failed(self, why: str) -> None:
        """The source cannot go on; what is held is served to its end."""
        self._failed = why

    def look(self) -> None:
        """Tell of our SVID having run out, once. Called about twice a second."""
        valid = self.own() is not None
        if self._was_valid and not valid:
            self._tell()
        self._was_valid = valid

    # --- for who makes contexts ---

    def unusable(self, why: str | None) -> None:
        """What is held now serves for no handshake; None takes that back. News end it too."""
        self._unusable = None if why is None else (self._snapshot.generation, why)

    # --- inside ---

    def _put_jwt(self) -> None:
        jwt = Bundles(by_domain=MappingProxyType({**self._heard, **self._listed}))
        self._put(replace(self._snapshot, jwt=jwt))

    def _put(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._was_valid = self.own() is not None
        self._tell()

    def _tell(self) -> None:
        for told in self._told:
            told(self._snapshot)
        self._changed.set()


def _same(one: OwnSvid | None, other: OwnSvid | None) -> bool:
    if one is None or other is None:
        return one is other
    return (
        one.leaf_sha256 == other.leaf_sha256
        and one.hint == other.hint
        and one.svid.cert_chain == other.svid.cert_chain  # intermediates are renewed on their own
        and one.expires_unix_s == other.expires_unix_s
    )
