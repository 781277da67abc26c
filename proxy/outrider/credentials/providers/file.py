"""The `file` provider: a credential from a file, for development (GOVERNANCE §7).

Laws: refused in production; only for the upstreams listed; no role, no scope, since a file cannot
narrow what it holds; the file is read off the loop and never in part.
"""

import asyncio
import hashlib
import hmac
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from outrider.config.settings import Profile
from outrider.config.upstream_settings import FileCredential
from outrider.core.errors import ConfigError, CredentialUnavailableError
from outrider.core.ids import uuid7
from outrider.core.ports import Clock, CredentialRequest, Lease
from outrider.core.secret import Secret

_FILE_BYTES: Final = 16 * 1024
_RECHECK_S: Final = 1.0
_READ_S: Final = 2.0
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_RESERVED: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"}
)


class FileProvider:
    """`core.ports.CredentialProvider` over one file. A changed file is taken within a second.

    `key` keys the fingerprints. Raises `ConfigError` in production and for a header that cannot
    carry a credential.
    """

    def __init__(
        self,
        *,
        name: str,
        credential: FileCredential,
        profile: Profile,
        key: Secret,
        clock: Clock,
        directory: Path,
    ) -> None:
        where = f"credentials.{name}"
        if profile is Profile.PRODUCTION:
            raise ConfigError(f"{where}: a `file` credential is refused in profile production")
        header = credential.header.lower()
        if not _TOKEN.fullmatch(header) or header in _RESERVED:
            raise ConfigError(f"{where}.header cannot carry a credential; give a header name")
        if credential.scheme and not _TOKEN.fullmatch(credential.scheme):
            raise ConfigError(f"{where}.scheme is no scheme; give one word, or nothing")
        self._name = name
        self._path = directory / credential.file
        self._header = header
        self._scheme = credential.scheme
        self._upstreams = frozenset(credential.upstreams)
        self._key = key
        self._clock = clock
        self._reading = asyncio.Lock()
        self._value: Secret | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._checked_s = float("-inf")

    async def acquire(self, request: CredentialRequest) -> Lease:
        if request.upstream not in self._upstreams:
            raise CredentialUnavailableError("the credential is not for this upstream")
        if request.role is not None or request.scope:
            raise CredentialUnavailableError("a file cannot give a role or a scope")
        now_s = self._clock.unix_s()
        return self._lease(
            await self._current(),
            uuid7(now_s),
            None if request.ttl_s is None else now_s + request.ttl_s,
        )

    async def renew(self, lease: Lease) -> Lease:
        """The lease with what the file holds now; its end stays."""
        fresh = self._lease(await self._current(), lease.id, lease.expires_unix_s)
        return replace(lease, fingerprint=fresh.fingerprint, headers=fresh.headers)

    async def revoke(self, lease: Lease) -> bool:
        """Forgets the lease's copy; nobody confirms it."""
        for _, value in lease.headers:
            value.release()
        return False

    def healthy(self) -> bool:
        """True unless the last look at the file went wrong."""
        return self._value is not None or self._checked_s == float("-inf")

    def _lease(self, value: Secret, name: str, expires_unix_s: float | None) -> Lease:
        prefix = f"{self._scheme} ".encode() if self._scheme else b""
        bare = value.reveal()
        print_hex = hmac.new(self._key.reveal(), bare, hashlib.sha256).hexdigest()
        return Lease(
            id=name,
            provider=self._name,
            fingerprint="hmac-sha256:" + print_hex,
            expires_unix_s=expires_unix_s,
            headers=((self._header, Secret(prefix + bare)),),
        )

    async def _current(self) -> Secret:
        if self._is_due():
            try:
                async with asyncio.timeout(_READ_S):
                    await self._look()
            except TimeoutError:
                self._checked_s = self._clock.monotonic_s()  # a stuck disk is asked once a second
                raise CredentialUnavailableError("the file could not be read in time") from None
        if self._value is None:
            raise CredentialUnavailableError("the credential's file cannot be used")
        return self._value

    def _is_due(self) -> bool:
        return self._clock.monotonic_s() - self._checked_s >= _RECHECK_S

    async def _look(self) -> None:
        """One caller at a time, and none looks again at what another has just seen."""
        async with self._reading:
            if not self._is_due():
                return
            await asyncio.to_thread(self._refresh)
            self._checked_s = self._clock.monotonic_s()

    def _refresh(self) -> None:
        """On a worker thread: take the file as it is now, or nothing."""
        try:
            seen = self._path.stat()
            stamp = (seen.st_mtime_ns, seen.st_ino, seen.st_size)
            if stamp == self._stamp and self._value is not None:
                return
            with self._path.open("rb") as file:
                data = file.read(_FILE_BYTES + 1).rstrip(b"\r\n")
        except OSError:
            self._value = self._stamp = None
            return
        usable = len(data) <= _FILE_BYTES and _VALUE.fullmatch(data)
        self._value, self._stamp = (Secret(data), stamp) if usable else (None, None)
