"""JWT-SVIDs and the trust bundle that verifies them, minted for one demonstration."""

import base64
from typing import Final

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from outrider.core.jsonvalue import JsonObject

_COORDINATE_BYTES: Final = 32


class Issuer:
    """A trust domain's signing key. It never leaves the process."""

    def __init__(self, kid: str) -> None:
        self._kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())

    def bundle(self) -> bytes:
        """The SPIFFE bundle document with the public key."""
        point = self._key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "kid": self._kid,
            "use": "jwt-svid",
            "crv": "P-256",
            "x": _text(point.x.to_bytes(_COORDINATE_BYTES, "big")),
            "y": _text(point.y.to_bytes(_COORDINATE_BYTES, "big")),
        }
        return orjson.dumps({"keys": [jwk], "spiffe_sequence": 1})

    def svid(self, subject: str, audience: str, *, now_unix_s: float, life_s: int) -> str:
        """A JWT-SVID of `subject` for `audience`; a `life_s` below zero has run out."""
        claims: JsonObject = {
            "sub": subject,
            "aud": [audience],
            "iat": int(now_unix_s) + min(life_s, 0) - 60,
            "exp": int(now_unix_s) + life_s,
        }
        head = {"alg": "ES256", "kid": self._kid, "typ": "JWT"}
        signed = f"{_text(orjson.dumps(head))}.{_text(orjson.dumps(claims))}"
        r, s = utils.decode_dss_signature(
            self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        )
        raw = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
        return f"{signed}.{_text(raw)}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
