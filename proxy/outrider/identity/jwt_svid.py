"""JWT-SVIDs, verified in the order of IDENTITY §6.1. Pure: bytes, keys and the time come in.

Law: every step refuses before the next looks; what is not signed yet decides only which key is
asked; nothing but `UnauthenticatedError` is raised.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from outrider.core import strict_json
from outrider.core.errors import MalformedError, is_panic
from outrider.core.jsonvalue import Json, JsonObject
from outrider.identity.bundles import Bundles, JwtKey, TrustBundle
from outrider.identity.causes import Cause, refused
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_spiffe_id

TOKEN_BYTES: Final = 8192
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})
_TYPES: Final = frozenset({"JWT", "JOSE"})
_CANDIDATES: Final = 16
_TIME_LIMIT: Final = 2**53
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class _Algorithm:
    family: str  # RS | PS | ES
    digest: hashes.HashAlgorithm
    curve: str | None = None
    coordinate_bytes: int = 0


_ALGORITHMS: Final[Mapping[str, _Algorithm]] = {
    "RS256": _Algorithm("RS", hashes.SHA256()),
    "RS384": _Algorithm("RS", hashes.SHA384()),
    "RS512": _Algorithm("RS", hashes.SHA512()),
    "PS256": _Algorithm("PS", hashes.SHA256()),
    "PS384": _Algorithm("PS", hashes.SHA384()),
    "PS512": _Algorithm("PS", hashes.SHA512()),
    "ES256": _Algorithm("ES", hashes.SHA256(), "P-256", 32),
    "ES384": _Algorithm("ES", hashes.SHA384(), "P-384", 48),
    "ES512": _Algorithm("ES", hashes.SHA512(), "P-521", 66),
}


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
    """A JWT-SVID that passed every step."""

    subject: SpiffeId
    expires_unix_s: float


def verify_jwt_svid(
    token: str, *, bundles: Bundles, expected: Expectation, now_unix_s: float
) -> VerifiedSvid:
    """The identity `token` proves to us now. Raises `UnauthenticatedError` with its `Cause`.

    1 form · 2 header names · 3 `alg` · 4 `typ` · 5 `sub` · 6 bundle of that trust domain ·
    7 candidate keys that fit · 8 signature · 9 times · 10 audience.
    """
    header, claims, signed, signature = _parts(token)  # 1
    if not header.keys() <= _HEADER_NAMES:  # 2
        raise refused(Cause.HEADER_NAME, "a header parameter beyond alg, kid and typ")
    name = header.get("alg")
    if not isinstance(name, str) or name not in _ALGORITHMS:  # 3
        raise refused(Cause.ALGORITHM, "an algorithm that is not taken")
    if "typ" in header and header["typ"] not in _TYPES:  # 4
        raise refused(Cause.TOKEN_TYPE, "a type that is not JWT or JOSE")
    subject = _subject(claims.get("sub"))  # 5
    bundle = bundles.by_domain.get(subject.trust_domain)
    if bundle is None or subject.trust_domain not in expected.trust_domains:  # 6
        raise refused(Cause.UNKNOWN_DOMAIN, "a trust domain that is not trusted here")
    keys = _candidates(bundle, header.get("kid", _MISSING), name)  # 7
    if not any(_signed(key, _ALGORITHMS[name], signed, signature) for key in keys):  # 8
        raise refused(Cause.BAD_SIGNATURE, "a signature that does not verify")
    expires = _times(claims, expected, now_unix_s)  # 9
    _audience(claims.get("aud"), expected.audience)  # 10
    return VerifiedSvid(subject=subject, expires_unix_s=expires)


def _parts(token: str) -> tuple[JsonObject, JsonObject, bytes, bytes]:
    match = _TOKEN.fullmatch(token) if len(token) <= TOKEN_BYTES else None
    if match is None:
        raise refused(Cause.MALFORMED_TOKEN, "not a compact JWS of at most 8 KiB")
    header, payload, signature = (_decoded(part) for part in match.groups())
    signed = token[: match.start(3) - 1].encode("ascii")
    return _object(header), _object(payload), signed, signature


def _decoded(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise refused(Cause.MALFORMED_TOKEN, "a part that is not base64url") from None
    # Spare bits that are not zero: one value, two spellings.
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode("ascii"):
        raise refused(Cause.MALFORMED_TOKEN, "a part that is not base64url")
    return data


def _object(data: bytes) -> JsonObject:
    try:
        value = strict_json.read(data)
    except MalformedError:
        value = None
    if not isinstance(value, dict):
        raise refused(Cause.MALFORMED_TOKEN, "a part that is not a strict JSON object")
    return value


def _subject(value: Json) -> SpiffeId:
    try:
        subject = parse_spiffe_id(value) if isinstance(value, str) else None
    except SpiffeIdError:
        subject = None
    if subject is None or not subject.path:
        raise refused(Cause.SUBJECT, "a subject that is not a SPIFFE ID with a path")
    return subject


def _candidates(bundle: TrustBundle, kid: object, alg: str) -> tuple[JwtKey, ...]:
    if kid is not _MISSING and not isinstance(kid, str):
        raise refused(Cause.MALFORMED_TOKEN, "a kid that is not text")
    keys = tuple(
        key for key in bundle.jwt_keys if (kid is _MISSING or key.kid == kid) and _fits(key, alg)
    )
    if not keys or len(keys) > _CANDIDATES:
        raise refused(Cause.UNKNOWN_KEY, "no key of the trust domain fits")
    return keys


def _fits(key: JwtKey, alg: str) -> bool:
    wanted = _ALGORITHMS[alg]
    return key.curve == wanted.curve and key.alg in (None, alg)


def _signed(key: JwtKey, algorithm: _Algorithm, signed: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(signature, signed, _padding(algorithm), algorithm.digest)
        else:
            half = algorithm.coordinate_bytes
            if len(signature) != 2 * half:
                return False
            encoded = utils.encode_dss_signature(
                int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            )
            key.key.verify(encoded, signed, ec.ECDSA(algorithm.digest))
    except InvalidSignature:
        return False
    except BaseException as fault:
        if not is_panic(fault):
            raise
        return False
    return True


def _padding(algorithm: _Algorithm) -> padding.AsymmetricPadding:
    if algorithm.family == "PS":
        return padding.PSS(
            mgf=padding.MGF1(algorithm.digest), salt_length=algorithm.digest.digest_size
        )
    return padding.PKCS1v15()


def _times(claims: JsonObject, expected: Expectation, now_unix_s: float) -> float:
    """The expiry of claims that hold now."""
    expires = _time(claims, "exp")
    if expires is None:
        raise refused(Cause.MALFORMED_CLAIM, "no exp")
    begins, issued = _time(claims, "nbf"), _time(claims, "iat")
    if now_unix_s >= expires + expected.leeway_s:
        raise refused(Cause.EXPIRED, "the token has expired")
    if begins is not None and now_unix_s < begins - expected.leeway_s:
        raise refused(Cause.NOT_YET_VALID, "the token is not valid yet")
    since = now_unix_s if issued is None else min(issued, now_unix_s)
    if expires - since > expected.max_life_s + expected.leeway_s:
        raise refused(Cause.TOO_LONG_LIVED, "the token lives longer than is accepted")
    return expires


def _time(claims: JsonObject, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not isinstance(value, int | float):
        raise refused(Cause.MALFORMED_CLAIM, "a time that is not a number")
    if not abs(value) < _TIME_LIMIT:
        raise refused(Cause.MALFORMED_CLAIM, "a time beyond bounds")
    return float(value)


def _audience(value: Json, audience: str) -> None:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise refused(Cause.MALFORMED_CLAIM, "an audience that is no text")
    if audience not in named:
        raise refused(Cause.WRONG_AUDIENCE, "the token is for someone else")
