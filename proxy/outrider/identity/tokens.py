"""Bearer tokens and what they prove: JWT-SVIDs, and the tokens of issuers in settings.

Laws: a token is known again only until it ends and while what verified it stands; who issued it
decides which rules it is read by, and nothing unverified decides more.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from outrider.config.identity_settings import Identity
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.core.ports import Clock
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential
from outrider.identity.causes import Cause, refused
from outrider.identity.jws import Jws, read_jws
from outrider.identity.jwt_svid import Expectation, VerifiedSvid, verify_read_svid
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_trust_domain

_CACHE_LIMIT: Final = 1024


class TokenKind(StrEnum):
    JWT_SVID = "jwt_svid"
    OIDC = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a verified token proves. `leaf_sha256` (hexadecimal) is the certificate it is bound to:
    it counts on a connection of that leaf alone."""

    kind: TokenKind
    subject: Subject
    leaf_sha256: str | None = None


class Issuer(Protocol):
    """Verifies what one OIDC issuer signs."""

    async def verified(self, digest: bytes, jws: Jws) -> Proof:
        """What the token proves now. Raises `UnauthenticatedError`; waits two seconds at most."""


class ProofMemory:
    """Proofs by their token's digest, all verified by the same keys under the same rules."""

    def __init__(self) -> None:
        self._under: tuple[object, object] = (None, None)
        self._proofs: dict[bytes, Proof] = {}

    def under(self, keys: object, rules: object) -> None:
        """Forget what was verified otherwise. Both are compared by identity."""
        if keys is not self._under[0] or rules is not self._under[1]:
            self._under, self._proofs = (keys, rules), {}

    def find(self, digest: bytes, now_unix_s: float) -> Proof | None:
        proof = self._proofs.get(digest)
        ends = proof.subject.expires_unix_s if proof is not None else None
        return proof if ends is not None and now_unix_s < ends else None

    def keep(self, digest: bytes, proof: Proof) -> None:
        self._proofs.pop(digest, None)
        while len(self._proofs) >= _CACHE_LIMIT:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[digest] = proof


class CallerTokens:
    """Verifies tokens; one seen before is verified again once it ends or its keys change."""

    def __init__(
        self,
        *,
        settings: Identity,
        own: SpiffeId | None,
        keeper: IdentityKeeper,
        clock: Clock,
        issuers: Mapping[str, Issuer],
    ) -> None:
        """`own` is the ID in settings; `issuers` are by their `iss`. Raises `ConfigError` for trust
        domains that are none."""
        try:
            self._domains = frozenset(parse_trust_domain(name) for name in settings.trust_domains)
        except SpiffeIdError as fault:
            raise ConfigError(f"identity.trust_domains: {fault}") from None
        self._settings = settings
        self._own = own
        self._keeper = keeper
        self._clock = clock
        self._issuers = issuers
        self._expected: tuple[SpiffeId | None, Expectation | None] = (own, self._expect(own))
        self._memory = ProofMemory()

    def check_usable(self) -> None:
        """Raise `ConfigError` where no token could ever be for us."""
        sourced = self._settings.source != "none"
        if not self._issuers and not sourced and self._expectation() is None:
            raise ConfigError(
                "identity.audience is empty and there is no identity.spiffe_id; give one of them "
                "for a listener with `bearer: true`"
            )

    def kind(self, token: str) -> TokenKind:
        """Which kind `token` claims to be; for counting what was refused."""
        try:
            return TokenKind.JWT_SVID if self._issuer(read_jws(token)) is None else TokenKind.OIDC
        except UnauthenticatedError:
            return TokenKind.JWT_SVID

    async def verified(self, token: str) -> Proof:
        """What `token` proves now. Raises `UnauthenticatedError` with its `Cause`."""
        self._memory.under(self._keeper.snapshot().jwt, self._expectation())
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now_s = self._clock.unix_s()
        known = self._memory.find(digest, now_s)
        if known is not None:
            return known
        jws = read_jws(token)
        issuer = self._issuer(jws)
        if issuer is not None:
            return await issuer.verified(digest, jws)
        proof = self._svid(jws, now_s)
        self._memory.keep(digest, proof)
        return proof

    # --- inside ---

    def _issuer(self, jws: Jws) -> Issuer | None:
        """Who the token says it is from, where settings have that issuer."""
        said = jws.claims.get("iss")
        return self._issuers.get(said) if isinstance(said, str) else None

    def _svid(self, jws: Jws, now_unix_s: float) -> Proof:
        expected = self._expectation()
        if expected is None:
            raise refused(Cause.BEARER_NOT_ALLOWED, "no audience is configured for tokens")
        bundles = self._keeper.snapshot().jwt
        svid = verify_read_svid(jws, bundles=bundles, expected=expected, now_unix_s=now_unix_s)
        subject = Subject(
            id=svid.subject.text,
            type="agent",
            trust_domain=svid.subject.trust_domain,
            credential=Credential.JWT_SVID,
            expires_unix_s=svid.expires_unix_s,
            instance=None,
            still=lambda: self._stands(svid, expected),
        )
        return Proof(kind=TokenKind.JWT_SVID, subject=subject)

    def _stands(self, svid: VerifiedSvid, under: Expectation) -> bool:
        """Whether `svid`, taken before, would be taken now."""
        expected, domain = self._expectation(), svid.subject.trust_domain
        if expected is None or expected.audience != under.audience:
            return False
        bundle = self._keeper.snapshot().jwt.by_domain.get(domain)
        return (
            self._clock.unix_s() < svid.expires_unix_s + under.leeway_s
            and domain in expected.trust_domains
            and bundle is not None
            and svid.key in bundle.jwt_keys
        )

    def _expectation(self) -> Expectation | None:
        """For the ID that is ours now: an SVID's where one is held, else that of settings."""
        svid = self._keeper.snapshot().svid
        own = svid.spiffe_id if svid is not None else self._own
        if own != self._expected[0]:
            self._expected = (own, self._expect(own))
        return self._expected[1]

    def _expect(self, own: SpiffeId | None) -> Expectation | None:
        settings = self._settings
        audience = settings.audience or (own.text if own is not None else None)
        if audience is None:
            return None
        return Expectation(
            audience=audience,
            trust_domains=self._domains | ({own.trust_domain} if own is not None else set()),
            leeway_s=settings.jwt_leeway_s,
            max_life_s=settings.jwt_max_life_s,
        )
