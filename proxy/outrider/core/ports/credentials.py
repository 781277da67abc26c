"""Credentials for one task, which the agent never sees."""

from dataclasses import dataclass
from typing import Protocol

from outrider.core.secret import Secret
from outrider.core.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest:
    """What a lease is asked for: keyed by task, subject, instance, role, scope, upstream."""

    subject: Subject
    task: str | None
    upstream: str
    role: str | None
    scope: tuple[str, ...]
    ttl_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A credential for one task, as header fields that only the pool reveals."""

    id: str
    provider: str
    fingerprint: str
    expires_unix_s: float | None
    headers: tuple[tuple[str, Secret], ...]


class CredentialProvider(Protocol):
    async def acquire(self, request: CredentialRequest) -> Lease:
        """Raises `CredentialUnavailableError`."""

    async def renew(self, lease: Lease) -> Lease: ...

    async def revoke(self, lease: Lease) -> bool:
        """True where the issuer confirmed it. Idempotent; works after a failed acquire."""

    def healthy(self) -> bool: ...
