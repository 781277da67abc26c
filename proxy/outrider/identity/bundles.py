"""Trust bundles: which keys speak for a trust domain. One frozen snapshot, swapped whole.

Laws: a key is used only for what its `use` says; keys of an unknown type are skipped and the rest
kept; a document that cannot be read whole changes nothing; an empty one trusts nothing.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from outrider.identity.jwks import JwtKey, KeyDocumentError, read_document, read_key
from outrider.identity.spiffe_id import SpiffeIdError, parse_trust_domain

logger = logging.getLogger(__name__)

_BUNDLE_BYTES: Final = 1 << 20
_JWT_USE: Final = "jwt-svid"
_Stamp: TypeAlias = tuple[int, int, int] | None
"""What a file looked like from outside; None where it was not there."""


class Origin(Enum):
    """Where a document came from decides which `use` counts (IDENTITY §6.1, key choice trap)."""

    BUNDLE = "bundle"
    """A SPIFFE bundle document: `use: jwt-svid` required."""
    WORKLOAD_API = "workload_api"
    """A JWT bundle of the Workload API: `use` absent or `jwt-svid`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBundle:
    trust_domain: str
    jwt_keys: tuple[JwtKey, ...]
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundles:
    """All trust bundles of one moment. Compare snapshots by identity."""

    by_domain: Mapping[str, TrustBundle] = field(default_factory=dict)


class BundleError(ConfigError):
    """A bundle document that is not taken."""


def parse_bundle(data: bytes, trust_domain: str, origin: Origin = Origin.BUNDLE) -> TrustBundle:
    """The JWT keys of a JWKS document for `trust_domain`. Raises `BundleError`."""
    try:
        document, keys = read_document(data, _BUNDLE_BYTES)
        found = [key for item in keys if (key := _jwt_key(item, origin)) is not None]
    except KeyDocumentError as fault:
        raise BundleError(f"the bundle is not taken: {fault}") from None
    sequence = document.get("spiffe_sequence")
    if sequence is not None and (type(sequence) is not int or sequence < 0):
        raise BundleError("`spiffe_sequence` is not a number")
    named = [key.kid for key in found if key.kid is not None]
    if len(named) != len(set(named)):
        raise BundleError("two keys of the bundle have one `kid`")
    return TrustBundle(trust_domain=trust_domain, jwt_keys=tuple(found), sequence=sequence)


class BundleSource:
    """The bundles of the files in settings. `snapshot` never waits; `refresh` swaps it whole."""

    def __init__(self, *, paths: Mapping[str, Path]) -> None:
        try:
            self._paths = {parse_trust_domain(name): path for name, path in paths.items()}
        except SpiffeIdError as fault:
            raise ConfigError(f"identity.trust_bundles: {fault}") from None
        self._stamps: dict[str, _Stamp] = {}
        self._snapshot = Bundles()

    def snapshot(self) -> Bundles:
        return self._snapshot

    def load(self) -> None:
        """Read every file, for the start; blocking. Raises `ConfigError` naming the bad one."""
        self._stamps = {name: _stamp(path) for name, path in self._paths.items()}
        self._snapshot = Bundles(
            by_domain={name: self._read(name, path) for name, path in self._paths.items()}
        )

    async def refresh(self) -> bool:
        """Take changed files; True where the snapshot was swapped. A bad file changes nothing of
        its own domain, is told once, and keeps no other domain from withdrawing a key."""
        changed = await asyncio.to_thread(self._changed)
        if changed is None:
            return False
        self._snapshot = changed
        return True

    def _changed(self) -> Bundles | None:
        held = self._snapshot.by_domain
        fresh = dict(held)
        for name, path in self._paths.items():
            stamp = _stamp(path)
            if stamp == self._stamps.get(name):
                continue
            self._stamps[name] = stamp
            try:
                fresh[name] = self._read(name, path)
            except BundleError as fault:
                logger.warning(
                    "trust bundle refused", extra={"event": "bundle_refused", "fault": str(fault)}
                )
        same = fresh.keys() == held.keys() and all(fresh[name] is held[name] for name in fresh)
        return None if same else Bundles(by_domain=fresh)

    def _read(self, name: str, path: Path) -> TrustBundle:
        try:
            with path.open("rb") as file:
                fresh = parse_bundle(file.read(_BUNDLE_BYTES + 1), name)
        except OSError as fault:
            raise BundleError(
                f"identity.trust_bundles.{name}: cannot be read ({fault.strerror}): {path}"
            ) from None
        except BundleError as fault:
            raise BundleError(f"identity.trust_bundles.{name}: {fault}") from None
        return _later(self._snapshot.by_domain.get(name), fresh)


def _later(held: TrustBundle | None, fresh: TrustBundle) -> TrustBundle:
    """`fresh`, unless its sequence is lower than that of what is held (FD 4.1)."""
    if held is None or held.sequence is None or fresh.sequence is None:
        return fresh
    return held if fresh.sequence < held.sequence else fresh


def _stamp(path: Path) -> _Stamp:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


def _jwt_key(item: JsonObject, origin: Origin) -> JwtKey | None:
    """The key of a JWK that may sign JWT-SVIDs, or None for one to skip."""
    use = item.get("use")
    if use != _JWT_USE and not (origin is Origin.WORKLOAD_API and "use" not in item):
        return None
    return read_key(item)
