"""Compact JWS, read and verified: what JWT-SVIDs and the tokens of OIDC issuers have in common.

Law: one value has one spelling; a signature is checked under one algorithm that was listed before
any key was asked; nothing but `UnauthenticatedError` is raised.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from outrider.core import strict_json
from outrider.core.errors import MalformedError, is_panic
from outrider.core.jsonvalue import Json, JsonObject
from outrider.identity.causes import Cause, refused
from outrider.identity.jwks import JwtKey

TOKEN_BYTES: Final = 8192
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_CANDIDATES: Final = 16
_TIME_LIMIT: Final = 2**53


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
ALGORITHMS: Final = frozenset(_ALGORITHMS)
"""All that are taken anywhere: asymmetric ones alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A token taken apart, nothing of it verified."""

    header: JsonObject
    claims: JsonObject
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a token says of its time; `begins` and `issued` are None where it says nothing."""

    expires: float
    begins: float | None
    issued: float | None


def read_jws(token: str) -> Jws:
    """The parts of `token`, at most 8 KiB, each in the one spelling it has."""
    match = _TOKEN.fullmatch(token) if len(token) <= TOKEN_BYTES else None
    if match is None:
        raise refused(Cause.MALFORMED_TOKEN, "not a compact JWS of at most 8 KiB")
    header, payload, signature = (_decoded(part) for part in match.groups())
    return Jws(
        header=_object(header),
        claims=_object(payload),
        signed=token[: match.start(3) - 1].encode("ascii"),
        signature=signature,
    )


def algorithm_of(jws: Jws, taken: frozenset[str]) -> str:
    """The token's `alg`, where it is one of `taken`."""
    name = jws.header.get("alg")
    if not isinstance(name, str) or name not in taken:
        raise refused(Cause.ALGORITHM, "an algorithm that is not taken")
    return name


def kid_of(jws: Jws) -> str | None:
    """The `kid`, None where there is none."""
    if "kid" not in jws.header:
        return None
    kid = jws.header["kid"]
    if not isinstance(kid, str):
        raise refused(Cause.MALFORMED_TOKEN, "a kid that is not text")
    return kid


def candidates(keys: Iterable[JwtKey], kid: str | None, alg: str) -> tuple[JwtKey, ...]:
    """The keys that may have signed: those named `kid`, or without one every key that fits."""
    wanted = _ALGORITHMS[alg]
    found = tuple(
        [
            key
            for key in keys
            if (kid is None or key.kid == kid)
            and key.curve == wanted.curve
            and key.alg in (None, alg)
        ]
    )
    if not found or len(found) > _CANDIDATES:
        raise refused(Cause.UNKNOWN_KEY, "no key fits the token")
    return found


def check_signature(jws: Jws, alg: str, keys: Iterable[JwtKey]) -> JwtKey:
    """The one of `keys` that made the signature under `alg`; raises where none did."""
    algorithm = _ALGORITHMS[alg]
    for key in keys:
        if _signed(key, algorithm, jws.signed, jws.signature):
            return key
    raise refused(Cause.BAD_SIGNATURE, "a signature that does not verify")


def times_of(claims: JsonObject, now_unix_s: float, *, leeway_s: float, max_life_s: float) -> Times:
    """The times of claims that hold now. `max_life_s` bounds the life left and, where `iat` is
    given, the whole life."""
    expires = _time(claims, "exp")
    if expires is None:
        raise refused(Cause.MALFORMED_CLAIM, "no exp")
    begins, issued = _time(claims, "nbf"), _time(claims, "iat")
    if now_unix_s >= expires + leeway_s:
        raise refused(Cause.EXPIRED, "the token has expired")
    if begins is not None and now_unix_s < begins - leeway_s:
        raise refused(Cause.NOT_YET_VALID, "the token is not valid yet")
    since = now_unix_s if issued is None else min(issued, now_unix_s)
    if expires - since > max_life_s + leeway_s:
        raise refused(Cause.TOO_LONG_LIVED, "the token lives longer than is accepted")
    return Times(expires=expires, begins=begins, issued=issued)


def check_audience(value: Json, audience: str) -> None:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise refused(Cause.MALFORMED_CLAIM, "an audience that is no text")
    if audience not in named:
        raise refused(Cause.WRONG_AUDIENCE, "the token is for someone else")


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


def _time(claims: JsonObject, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not isinstance(value, int | float):
        raise refused(Cause.MALFORMED_CLAIM, "a time that is not a number")
    if not abs(value) < _TIME_LIMIT:
        raise refused(Cause.MALFORMED_CLAIM, "a time beyond bounds")
    return float(value)
