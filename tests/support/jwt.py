"""Real JWT-SVIDs and trust bundles, minted for tests and demonstrations."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from tests.support.builders import NOW_UNIX_S

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: Final[Mapping[str, tuple[type[ec.EllipticCurve], str, int]]] = {
    "ES256": (ec.SECP256R1, "P-256", 32),
    "ES384": (ec.SECP384R1, "P-384", 48),
    "ES512": (ec.SECP521R1, "P-521", 66),
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _b64_int(number: int, size: int) -> str:
    return b64(number.to_bytes(size, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with its name, and the JWK that verifies it."""

    kid: str
    alg: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    def sign(self, data: bytes, alg: str | None = None) -> bytes:
        alg = alg or self.alg
        digest = _HASHES[alg[2:]]
        if isinstance(self.key, rsa.RSAPrivateKey):
            if alg.startswith("PS"):
                pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
                return self.key.sign(data, pss, digest)
            return self.key.sign(data, padding.PKCS1v15(), digest)
        size = _CURVES[alg][2]
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public JWK as a SPIFFE bundle holds it; None takes a member away."""
        jwk: dict[str, Any] = {"kid": self.kid, "use": "jwt-svid"}
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.public_key().public_numbers()
            size = (numbers.n.bit_length() + 7) // 8
            jwk |= {"kty": "RSA", "n": _b64_int(numbers.n, size), "e": _b64_int(numbers.e, 3)}
        else:
            _, crv, size = _CURVES[self.alg]
            point = self.key.public_key().public_numbers()
            jwk |= {"kty": "EC", "crv": crv, "x": _b64_int(point.x, size)}
            jwk["y"] = _b64_int(point.y, size)
        return {name: value for name, value in (jwk | changes).items() if value is not None}


def a_key(alg: str = "ES256", kid: str = "key-1") -> SigningKey:
    """A new key for `alg`."""
    if alg in _CURVES:
        return SigningKey(kid=kid, alg=alg, key=ec.generate_private_key(_CURVES[alg][0]()))
    return SigningKey(kid=kid, alg=alg, key=rsa.generate_private_key(65537, 2048))


def a_bundle(*jwks: dict[str, Any], **members: Any) -> bytes:
    """A SPIFFE bundle document of `jwks`."""
    return orjson.dumps({"keys": list(jwks), "spiffe_sequence": 1} | members)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid SVID of the other agent for the sidecar; None takes one away."""
    valid: dict[str, Any] = {
        "sub": "spiffe://acme.test/ns/support/sa/triage",
        "aud": ["spiffe://acme.test/ns/support/sa/triage"],
        "exp": int(NOW_UNIX_S) + 300,
        "iat": int(NOW_UNIX_S),
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def mint(
    key: SigningKey,
    payload: dict[str, Any] | bytes | None = None,
    *,
    header: dict[str, Any] | bytes | None = None,
    sign_as: str | None = None,
) -> str:
    """A compact JWS; `header` changes the usual one (None takes a member away) or replaces it."""
    if isinstance(header, bytes):
        head = header
    else:
        usual = {"alg": key.alg, "kid": key.kid, "typ": "JWT"} | (header or {})
        head = orjson.dumps({name: value for name, value in usual.items() if value is not None})
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload or claims())
    signed = f"{b64(head)}.{b64(body)}"
    return f"{signed}.{b64(key.sign(signed.encode(), sign_as))}"
