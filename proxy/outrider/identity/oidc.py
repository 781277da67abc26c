"""Tokens of OIDC issuers, verified by the rules of RFC 7519, 8725 and 9068 (IDENTITY §6.2).

Laws: issuers are a closed list, each with algorithms, audience and kind of token of its own; an ID
token is no proof here; a token bound to a key counts only where that key was proven; what it proves
is a name in the issuer's namespace, never a SPIFFE ID.
"""

import base64
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from outrider.config.identity_settings import Identity, OidcIssuer
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential
from outrider.identity.causes import Cause, refused
from outrider.identity.issuer_keys import Fetch, IssuerKeys
from outrider.identity.jwks import JwtKey
from outrider.identity.jws import (
    Jws,
    algorithm_of,
    candidates,
    check_audience,
    check_signature,
    kid_of,
    times_of,
)
from outrider.identity.tokens import Proof, ProofMemory, TokenKind

_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
_ACCESS_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_SUBJECT: Final = re.compile(r"[\x20-\x7e]{1,255}")
_POD_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_BOUND: Final = "x5t#S256"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    subject: str
    expires_unix_s: float
    instance: str | None
    leaf_sha256: str | None


class OidcVerifier:
    """`tokens.Issuer` for one issuer of the settings, known there as `name`."""

    def __init__(
        self, *, name: str, settings: OidcIssuer, leeway_s: float, keys: IssuerKeys, clock: Clock
    ) -> None:
        self._name = name
        self._settings = settings
        self._algorithms = frozenset(settings.algorithms)
        self._leeway_s = leeway_s
        self._keys = keys
        self._clock = clock
        self._memory = ProofMemory()

    async def verified(self, digest: bytes, jws: Jws) -> Proof:
        """What the token proves now. Raises `UnauthenticatedError` with its `Cause`.

        1 header names · 2 `alg` · 3 `typ` · 4 keys that fit · 5 signature · 6 `iss` · 7 times ·
        8 `aud` · 9 client · 10 `sub` · 11 the pod, or the key it is bound to.
        """
        self._memory.under(self._keys.current(), None)
        known = self._memory.find(digest, self._clock.unix_s())
        if known is not None:
            return known
        if not jws.header.keys() <= _HEADER_NAMES:  # 1
            raise refused(Cause.HEADER_NAME, "a header parameter that is not taken")
        alg = algorithm_of(jws, self._algorithms)  # 2
        _check_type(jws.header, self._settings)  # 3
        kid = kid_of(jws)
        keys = await self._keys.for_token(kid)
        key = check_signature(jws, alg, candidates(keys, kid, alg))  # 4, 5
        proof = self._proof(self._claims(jws.claims), key)
        self._memory.under(keys, None)
        self._memory.keep(digest, proof)
        return proof

    def _claims(self, claims: JsonObject) -> _Claims:
        settings = self._settings
        if claims.get("iss") != settings.issuer:  # 6
            raise refused(Cause.MALFORMED_CLAIM, "another issuer's token")
        expires = self._expiry(claims)  # 7
        check_audience(claims.get("aud"), settings.audience)  # 8
        _check_client(claims, settings.clients)  # 9
        subject = claims.get("sub")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):  # 10
            raise refused(Cause.SUBJECT, "a subject that is not 1 to 255 printable ASCII letters")
        kubernetes = settings.token == "kubernetes"  # noqa: S105 - a kind of token
        return _Claims(  # 11
            subject=subject,
            expires_unix_s=expires,
            instance=_pod(claims, subject) if kubernetes else None,
            leaf_sha256=_bound(claims["cnf"]) if "cnf" in claims else None,
        )

    def _expiry(self, claims: JsonObject) -> float:
        now_s = self._clock.unix_s()
        times = times_of(
            claims, now_s, leeway_s=self._leeway_s, max_life_s=self._settings.max_life_s
        )
        if times.issued is None:
            raise refused(Cause.MALFORMED_CLAIM, "no iat")
        if times.issued > now_s + self._leeway_s:
            raise refused(Cause.NOT_YET_VALID, "the token is issued in the future")
        return times.expires

    def _proof(self, claims: _Claims, key: JwtKey) -> Proof:
        ends_s = claims.expires_unix_s + self._leeway_s
        subject = Subject(
            id=f"oidc:{claims.subject}@{self._name}",
            type=self._settings.subject_type,
            trust_domain=None,
            credential=Credential.OIDC,
            expires_unix_s=claims.expires_unix_s,
            instance=claims.instance,
            still=lambda: self._clock.unix_s() < ends_s and key in (self._keys.current() or ()),
        )
        return Proof(kind=TokenKind.OIDC, subject=subject, leaf_sha256=claims.leaf_sha256)


class OidcIssuers:
    """All issuers of the settings. `by_issuer` is for `CallerIdentifier`; each of `jobs` runs as
    long as the process does. Raises `ConfigError` where two names are one issuer's."""

    def __init__(self, *, settings: Identity, clock: Clock, fetchers: Mapping[str, Fetch]) -> None:
        self._keys = {
            name: IssuerKeys(name=name, settings=issuer, fetch=fetchers[name], clock=clock)
            for name, issuer in settings.oidc.items()
        }
        self.by_issuer: Mapping[str, OidcVerifier] = {
            issuer.issuer: OidcVerifier(
                name=name,
                settings=issuer,
                leeway_s=settings.jwt_leeway_s,
                keys=self._keys[name],
                clock=clock,
            )
            for name, issuer in settings.oidc.items()
        }
        if len(self.by_issuer) != len(self._keys):
            raise ConfigError("identity.oidc names one issuer twice; give each issuer one name")

    def jobs(self) -> tuple[tuple[str, Coroutine[None, None, None]], ...]:
        """What keeps the keys current, by name."""
        return tuple([(f"oidc issuer {name}", keys.run()) for name, keys in self._keys.items()])


def _check_type(header: JsonObject, settings: OidcIssuer) -> None:
    typ = header.get("typ")
    lower = typ.lower() if isinstance(typ, str) else None
    if settings.token == "access":  # noqa: S105 - a kind of token
        if lower not in _ACCESS_TYPES:  # an ID token is for the client, and says JWT
            raise refused(Cause.TOKEN_TYPE, "a type that is not at+jwt")
    elif "typ" in header and lower != "jwt":
        raise refused(Cause.TOKEN_TYPE, "a type that is not JWT")


def _check_client(claims: JsonObject, taken: tuple[str, ...]) -> None:
    """Every name that the token gives its client must be in the list, and there must be one."""
    named = [claims[name] for name in ("azp", "client_id") if name in claims]
    if not taken:
        return
    if not named or any(name not in taken for name in named):
        raise refused(Cause.CLIENT, "a client whose tokens are not taken")


def _bound(confirmation: Json) -> str:
    """SHA-256 (hexadecimal) of the certificate a token is bound to (RFC 8705). DPoP is not spoken
    here, and what is bound in a way that is not known is not taken for unbound."""
    members = confirmation if isinstance(confirmation, dict) else {}
    text = members.get(_BOUND)
    if len(members) != 1 or not isinstance(text, str) or not _THUMBPRINT.fullmatch(text):
        raise refused(Cause.CONFIRMATION, "a token bound otherwise than to a certificate")
    return base64.urlsafe_b64decode(text + "=").hex()


def _pod(claims: JsonObject, subject: str) -> str:
    """The instance of a projected service account token: the pod it is bound to."""
    about = claims.get("kubernetes.io")
    pod = about.get("pod") if isinstance(about, dict) else None
    uid = pod.get("uid") if isinstance(pod, dict) else None
    if not isinstance(uid, str) or not _POD_UID.fullmatch(uid):
        raise refused(Cause.MALFORMED_CLAIM, "a service account token that is bound to no pod")
    if not subject.startswith("system:serviceaccount:"):
        raise refused(Cause.SUBJECT, "a subject that is no service account")
    return f"pod:{uid}"
