"""JSON Web Keys that verify signatures, read strictly: RSA and the curves of NIST alone.

Laws: a key of an unknown type is skipped; a private key is never taken; a document that cannot be
read whole, or can be read in two ways, is refused.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from outrider.core import strict_json
from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import JsonObject

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

KEYS_LIMIT: Final = 256
_RSA_BITS: Final = (2048, 8192)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_CURVES: Final[Mapping[str, type[ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}


class KeyDocumentError(ValueError):
    """A key, or a document of keys, that is not taken; the message is a fixed sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtKey:
    """One key that may sign tokens. `curve` is None for RSA, `alg` None where any that fits."""

    kid: str | None
    key: PublicKey
    curve: str | None
    alg: str | None


def read_document(data: bytes, limit_bytes: int) -> tuple[JsonObject, tuple[JsonObject, ...]]:
    """A JWKS document and the keys in it, unread. Raises `KeyDocumentError`."""
    if len(data) > limit_bytes:
        raise KeyDocumentError(f"larger than {limit_bytes} bytes")
    try:
        document = strict_json.read(data)
    except MalformedError as fault:
        raise KeyDocumentError(f"not strict JSON: {fault.detail}") from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(keys, list) or len(keys) > KEYS_LIMIT:
        raise KeyDocumentError(f"it needs `keys`, a list of at most {KEYS_LIMIT} keys")
    found = tuple([key for key in keys if isinstance(key, dict)])
    if len(found) != len(keys):
        raise KeyDocumentError("a key that is not an object")
    return document, found


def read_key(item: JsonObject) -> JwtKey | None:
    """The key of a JWK, None for one of a type or curve that is unknown here. Raises
    `KeyDocumentError` for one that is broken, or private."""
    kid, alg = item.get("kid"), item.get("alg")
    if not isinstance(kid, str | None) or not isinstance(alg, str | None):
        raise KeyDocumentError("`kid` and `alg` of a key are text")
    if "d" in item:
        raise KeyDocumentError("a private key")
    match item.get("kty"):
        case "RSA":
            return JwtKey(kid=kid, key=_rsa(item), curve=None, alg=alg)
        case "EC":
            curve = item.get("crv")
            if not isinstance(curve, str) or curve not in _CURVES:
                return None
            return JwtKey(kid=kid, key=_ec(item, curve), curve=curve, alg=alg)
        case _:
            return None


def _rsa(item: JsonObject) -> rsa.RSAPublicKey:
    e, n = _number(item, "e"), _number(item, "n")
    try:
        key = rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise KeyDocumentError("an RSA key that is none") from None
    if not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        raise KeyDocumentError(f"an RSA key outside {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
    return key


def _ec(item: JsonObject, curve: str) -> ec.EllipticCurvePublicKey:
    x, y = _number(item, "x"), _number(item, "y")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, _CURVES[curve]()).public_key()
    except ValueError:
        raise KeyDocumentError("an EC key that is not on its curve") from None


def _number(item: JsonObject, name: str) -> int:
    text = item.get(name)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise KeyDocumentError(f"`{name}` of a key is not base64url")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except ValueError:
        raise KeyDocumentError(f"`{name}` of a key is not base64url") from None
