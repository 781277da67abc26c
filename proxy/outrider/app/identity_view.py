"""How our identity is, for `/readyz`, the gauges and `outrider identity`: in words, no keys."""

import asyncio
import hashlib
from contextlib import suppress
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import Certificate

from outrider.config.checks import is_loopback
from outrider.config.listener_settings import Listener
from outrider.config.load import Loaded
from outrider.control.health import Check
from outrider.core.clock import rfc3339
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import OwnSvid, Snapshot, SourceState
from outrider.telemetry.metrics import Metrics

HOLDING: Final = frozenset({SourceState.SERVING, SourceState.DISCONNECTED})
"""States in which handshakes are done under our SVID."""

_WHENCE: Final = {
    "workload_api": "the Workload API",
    "files": "the files of identity.files",
    "none": "nowhere",
}
_TROUBLES: Final = {
    "no_such_socket": "there is no such socket; see that the address is right and the agent runs",
    "not_allowed": "the socket does not let our user in; see its mode, its owner and its folders'",
    "refused": "nothing listens on that socket; see that the agent runs",
    "silent": "it takes connections and says nothing; see the agent's log",
    "denied": "it answers, and has no entry for this workload; see that there is one",
    "unavailable": "it cannot be reached; see that the address is right and the agent runs",
}
"""What a word of `keeper.trouble` means and what to do; a fault of files speaks for itself."""
_LATE: Final = (
    "under a quarter of our SVID's life is left, so its renewal has failed; see that the Workload "
    "API answers before it runs out"
)
_LATE_FILES: Final = (
    "under a quarter of our SVID's life is left; see that whoever writes identity.files renews it"
)
_SHARED: Final = (
    "that the caller shares this sidecar's network namespace (its pod, or this machine)",
    "which program it is, under which user it runs, or that there is only one",
)
_BY_UID: Final = (
    "that the kernel names one of the accepted uids for the caller's process",
    "which program of that user it is",
)
_BOTH: Final = (
    "by the Unix socket the caller's uid; by loopback that it shares our network namespace",
    "which program it is; by loopback not even under which user it runs",
)


class IdentityView:
    """Reads the keeper of one sidecar and tells of it; changes nothing."""

    def __init__(
        self,
        *,
        keeper: IdentityKeeper,
        loaded: Loaded,
        clock: Clock,
        instance: str,
    ) -> None:
        self._keeper = keeper
        self._loaded = loaded
        self._settings = loaded.settings.identity
        self._clock = clock
        self._instance = instance
        self._since = (keeper.state(), clock.unix_s())
        self._stirred = asyncio.Event()
        keeper.tell(lambda _snapshot: self._stirred.set())

    def beat(self, metrics: Metrics) -> None:
        """Look, so that `since` is right and the gauges are fresh. Called once a second."""
        if self._settings.source == "none":
            return
        self._look()
        snapshot = self._keeper.snapshot()
        svid = snapshot.svid
        metrics.identity_is(
            state=self._since[0],
            remaining_s=self._keeper.remaining_s(),
            lifetime_s=svid.lifetime_s if svid is not None else 0.0,
            contact_unix_s=self._keeper.contact_unix_s,
            trust_domains=len(snapshot.x509),
        )

    def checks(self) -> tuple[Check, ...]:
        """The condition of readiness, where an SVID is to be had (IDENTITY §5)."""
        if self._settings.source == "none":
            return ()
        check = Check(
            name="identity",
            missing=self.missing,
            degraded=self.degraded,
            detail=lambda: self._keeper.state().value,
        )
        return (check,)

    def missing(self) -> str | None:
        """What keeps us from having an identity, with what to do; None where we have one."""
        state = self._keeper.state()
        whence = _WHENCE[self._settings.source]
        match state:
            case SourceState.SERVING | SourceState.DISCONNECTED:
                return None
            case SourceState.WAITING:
                to_do = self.trouble() or self._entry()
                return f"waiting: no SVID came from {whence} yet{self._at()}; {to_do}"
            case SourceState.REDACTED:
                return (
                    f"redacted: {whence} says that we may hold no identity{self._at()}; "
                    f"{self._entry()}"
                )
            case SourceState.EXPIRED:
                to_do = self.trouble() or self._renewal()
                return f"expired: our SVID ran out and {whence} gave no other{self._at()}; {to_do}"
            case SourceState.FAILED if self._keeper.failure is None:
                return (
                    f"failed: {self._keeper.unusable_why}; see that what {whence} gives is such as "
                    "OpenSSL loads, and the log"
                )
            case SourceState.FAILED:
                why = self._keeper.failure or "it cannot go on"
                return f"failed: {whence}: {why}; mend that and start outrider anew"

    def degraded(self) -> str | None:
        if self._keeper.state() not in HOLDING or not self._keeper.is_degraded():
            return None
        late = _LATE_FILES if self._settings.source == "files" else _LATE
        trouble = self.trouble()
        return late if trouble is None else f"{late}; now{self._at()}: {trouble}"

    def trouble(self) -> str | None:
        """Why the source is not heard, or what of it is not taken, with what to do; None where
        nothing is known of that."""
        word = self._keeper.trouble
        return None if word is None else _TROUBLES.get(word, word)

    def note(self) -> str | None:
        """What a person should know of how it is, even where nothing is missing yet."""
        said = self.missing() or self.degraded()
        if said is not None:
            return said
        trouble = self.trouble()
        if self._keeper.state() is SourceState.DISCONNECTED:
            return (
                f"disconnected: {_WHENCE[self._settings.source]} gives nothing new{self._at()}; "
                f"what we hold serves to its own end{'' if trouble is None else f'; {trouble}'}"
            )
        return trouble if self._settings.source == "files" else None

    def _at(self) -> str:
        """Where the source is, where that is one place."""
        return f" (at {self._loaded.workload_api})" if self._is_api() else ""

    def _is_api(self) -> bool:
        return self._settings.source == "workload_api" and self._loaded.workload_api is not None

    def document(self) -> JsonObject:
        """Everything that may be known of our identity; never a key."""
        self._look()
        state, since_s = self._since
        snapshot = self._keeper.snapshot()
        has_source = self._settings.source != "none"
        svid, contact_s = snapshot.svid, self._keeper.contact_unix_s
        return {
            "mark": self._mark(),
            "source": self._settings.source,
            "address": self._loaded.workload_api,
            "state": state.value if has_source else None,
            "since": rfc3339(since_s) if has_source else None,
            "note": self.note() if has_source else None,
            "degraded": has_source and self.degraded() is not None,
            "spiffe_id": svid.spiffe_id.text if svid is not None else self._settings.spiffe_id,
            "proven": self._keeper.own() is not None,
            "instance": self._instance,
            "svid": _svid(svid, self._keeper.remaining_s()) if svid is not None else None,
            "generation": snapshot.generation,
            "trust_domains": _domains(snapshot),
            "last_contact": rfc3339(contact_s) if contact_s is not None else None,
            "attested_local": self._attested_local(),
        }

    async def wait_other(self, mark: str, wait_s: float) -> JsonObject:
        """The document once its `mark` is another than this one, or as it is after `wait_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self._mark() == mark:
                    self._stirred.clear()
                    await self._stirred.wait()
        return self.document()

    def _mark(self) -> str:
        """Names what is told; the same as long as nothing but time has passed."""
        snapshot = self._keeper.snapshot()
        said = (
            self._instance,
            self._keeper.state().value,
            self.note() if self._settings.source != "none" else None,
            snapshot.generation,
            sorted((name, len(one.jwt_keys)) for name, one in snapshot.jwt.by_domain.items()),
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    def _look(self) -> None:
        state = self._keeper.state()
        if state is not self._since[0]:
            self._since = (state, self._clock.unix_s())
        self._stirred.set()  # whoever waits looks whether anything is another now

    def _entry(self) -> str:
        if self._settings.source == "files":
            return "see that its certificate, key and bundle are there and belong together"
        return (
            "see that its agent runs and has an entry for this workload"
            f"{' with identity.spiffe_id' if self._settings.spiffe_id else ''}"
            f"{' and identity.workload_api.hint' if self._settings.workload_api.hint else ''}"
        )

    def _renewal(self) -> str:
        if self._settings.source == "files":
            return "see that whoever writes them still does"
        return "see that its agent runs and reaches its server"

    def _attested_local(self) -> JsonObject:
        """What a caller beside us proves where it shows nothing (IDENTITY §1)."""
        proves, not_ = _attests(self._loaded.settings.listeners.egress)
        on = self._settings.attested_local
        return {
            "enabled": on,
            "proves": proves if on else None,
            "does_not_prove": not_ if on else None,
        }


def _attests(listener: Listener) -> tuple[str, str]:
    tcp = any(is_loopback(address) for address in listener.addresses)
    if listener.unix is None:
        return _SHARED
    return _BOTH if tcp else _BY_UID


def _svid(svid: OwnSvid, remaining_s: float) -> JsonObject:
    leaf = svid.svid.leaf
    return {
        "spiffe_id": svid.spiffe_id.text,
        "not_before": rfc3339(svid.begins_unix_s),
        "expires_at": rfc3339(svid.expires_unix_s),
        "remaining_s": round(remaining_s, 1),
        "lifetime_s": round(svid.lifetime_s, 1),
        "serial": format(leaf.serial_number, "x"),
        "leaf_sha256": svid.leaf_sha256,
        "key": key_of(leaf),
        "chain": len(svid.svid.cert_chain),
        "hint": svid.hint or None,
    }


def key_of(certificate: Certificate) -> str:
    """Kind and size of a certificate's public key, such as `EC secp256r1`."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey")


def _domains(snapshot: Snapshot) -> list[Json]:
    """Each trust domain that somebody's identity can be of; `collisions` are authorities left out
    since another domain's has their name and another key."""
    own = snapshot.svid.spiffe_id.trust_domain if snapshot.svid is not None else None
    found: list[Json] = []
    for name in sorted({*snapshot.x509, *snapshot.jwt.by_domain}):
        anchors = len(snapshot.anchors.get(name, ()))
        bundle, jwt = snapshot.x509.get(name), snapshot.jwt.by_domain.get(name)
        brought = len(bundle.x509_authorities) if bundle is not None else 0
        found.append(
            {
                "name": name,
                "own": name == own,
                "x509_authorities": anchors,
                "collisions": max(0, brought - anchors),
                "jwt_keys": len(jwt.jwt_keys) if jwt is not None else 0,
            }
        )
    return found
