"""JWT-SVIDs, verified in the order of IDENTITY §6.1. Pure: bytes, keys and the time come in.

Law: every step refuses before the next looks; what is not signed yet decides only which key is
asked; nothing but `UnauthenticatedError` is raised.
"""

from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import Json
from outrider.identity.bundles import Bundles
from outrider.identity.causes import Cause, refused
from outrider.identity.jwks import JwtKey
from outrider.identity.jws import (
    ALGORITHMS,
    Jws,
    algorithm_of,
    candidates,
    check_audience,
    check_signature,
    kid_of,
    read_jws,
    times_of,
)
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_spiffe_id

_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})
_TYPES: Final = frozenset({"JWT", "JOSE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a token must fit: our one audience, the trust domains we accept, and how long it may
    live. `max_life_s` bounds the life left and, where `iat` is given, the whole life."""

    audience: str
    trust_domains: frozenset[str]
    leeway_s: float
    max_life_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSvid:
    """A JWT-SVID that passed every step; `key` made its signature."""

    subject: SpiffeId
    expires_unix_s: float
    key: JwtKey


def verify_jwt_svid(
    token: str, *, bundles: Bundles, expected: Expectation, now_unix_s: float
) -> VerifiedSvid:
    """The identity `token` proves to us now. Raises `UnauthenticatedError` with its `Cause`.

    1 form · 2 header names · 3 `alg` · 4 `typ` · 5 `sub` · 6 bundle of that trust domain ·
    7 candidate keys that fit · 8 signature · 9 times · 10 audience.
    """
    jws = read_jws(token)  # 1
    return verify_read_svid(jws, bundles=bundles, expected=expected, now_unix_s=now_unix_s)


def verify_read_svid(
    jws: Jws, *, bundles: Bundles, expected: Expectation, now_unix_s: float
) -> VerifiedSvid:
    """`verify_jwt_svid` from its second step, for a token that is taken apart already."""
    if not jws.header.keys() <= _HEADER_NAMES:  # 2
        raise refused(Cause.HEADER_NAME, "a header parameter beyond alg, kid and typ")
    alg = algorithm_of(jws, ALGORITHMS)  # 3
    if "typ" in jws.header and jws.header["typ"] not in _TYPES:  # 4
        raise refused(Cause.TOKEN_TYPE, "a type that is not JWT or JOSE")
    subject = _subject(jws.claims.get("sub"))  # 5
    bundle = bundles.by_domain.get(subject.trust_domain)
    if bundle is None or subject.trust_domain not in expected.trust_domains:  # 6
        raise refused(Cause.UNKNOWN_DOMAIN, "a trust domain that is not trusted here")
    keys = candidates(bundle.jwt_keys, kid_of(jws), alg)  # 7
    key = check_signature(jws, alg, keys)  # 8
    times = times_of(  # 9
        jws.claims, now_unix_s, leeway_s=expected.leeway_s, max_life_s=expected.max_life_s
    )
    check_audience(jws.claims.get("aud"), expected.audience)  # 10
    return VerifiedSvid(subject=subject, expires_unix_s=times.expires, key=key)


def _subject(value: Json) -> SpiffeId:
    try:
        subject = parse_spiffe_id(value) if isinstance(value, str) else None
    except SpiffeIdError:
        subject = None
    if subject is None or not subject.path:
        raise refused(Cause.SUBJECT, "a subject that is not a SPIFFE ID with a path")
    return subject
