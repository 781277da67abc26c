"""Tokens that this sidecar signs and reads again: compact JWS under its own key (IDENTITY §1).

Laws: the private key never leaves; `alg` follows the key; what is signed under an SVID ends with
it; only our own keys verify, and each token says what kind it is.
"""

import base64
from collections import OrderedDict
from typing import Final, TypeAlias

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from outrider.core.errors import CredentialUnavailableError
from outrider.core.jsonvalue import JsonObject, digest
from outrider.identity.causes import Cause, refused
from outrider.identity.jwks import JwtKey
from outrider.identity.jws import (
    ALGORITHMS,
    algorithm_of,
    candidates,
    check_signature,
    kid_of,
    read_jws,
)
from outrider.identity.keeper import IdentityKeeper

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

OWN_KEYS: Final = 8
"""Own keys that still verify: a rotation leaves tokens of the one before under way."""
_HEADER_NAMES: Final = frozenset({"alg", "kid", "typ"})
_CURVES: Final = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256(), 32),
    "secp384r1": ("P-384", "ES384", hashes.SHA384(), 48),
    "secp521r1": ("P-521", "ES512", hashes.SHA512(), 66),
}


class OwnSigner:
    """`core.ports.TokenSigner` under the SVID that is held now. Without a source of SVIDs
    (`ephemeral`) it signs with a key made at its start, which dies with the process."""

    def __init__(self, *, keeper: IdentityKeeper, own_id: str | None, ephemeral: bool) -> None:
        self._keeper = keeper
        self._own_id = own_id
        self._laptop = ec.generate_private_key(ec.SECP256R1()) if ephemeral else None
        self._known: OrderedDict[str, JwtKey] = OrderedDict()
        self._current: tuple[object, PrivateKey, str] | None = None

    @property
    def issuer(self) -> str | None:
        own = self._keeper.own()
        return own.spiffe_id.text if own is not None else self._own_id

    def sign(self, typ: str, claims: JsonObject) -> str:
        """As the port says."""
        key, kid, ends_unix_s = self._key()
        told = dict(claims)
        expires = told.get("exp")
        if ends_unix_s is not None and isinstance(expires, int):
            told["exp"] = min(expires, int(ends_unix_s))
        header: JsonObject = {"alg": _alg(key), "kid": kid, "typ": typ}
        signed = b".".join(_b64(orjson.dumps(part)) for part in (header, told))
        return b".".join((signed, _b64(_signature(key, signed)))).decode("ascii")

    def read(self, typ: str, token: str) -> JsonObject:
        """As the port says."""
        jws = read_jws(token)
        if not jws.header.keys() <= _HEADER_NAMES:
            raise refused(Cause.HEADER_NAME, "a header parameter beyond alg, kid and typ")
        if jws.header.get("typ") != typ:
            raise refused(Cause.TOKEN_TYPE, "a token of another kind")
        alg = algorithm_of(jws, ALGORITHMS)
        kid = kid_of(jws)
        if kid is None:
            raise refused(Cause.UNKNOWN_KEY, "no kid")
        self._learn()
        check_signature(jws, alg, candidates(self._known.values(), kid, alg))
        return jws.claims

    def _learn(self) -> None:
        """Know the key that is ours now; a token may be read before any was signed."""
        try:
            self._key()
        except CredentialUnavailableError:
            return

    def _key(self) -> tuple[PrivateKey, str, float | None]:
        own = self._keeper.own()
        if own is None and self._laptop is None:
            raise CredentialUnavailableError("no SVID to sign with")
        source: object = own if own is not None else self._laptop
        ends_unix_s = own.expires_unix_s if own is not None else None
        if self._current is None or self._current[0] is not source:
            key = own.svid.private_key if own is not None else self._laptop
            if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
                raise CredentialUnavailableError("the SVID's key is of a kind that signs no token")
            self._current = (source, key, self._remember(key))
        return self._current[1], self._current[2], ends_unix_s

    def _remember(self, key: PrivateKey) -> str:
        public = key.public_key()
        form = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        kid = digest(form).removeprefix("sha256:")[:32]
        curve = _CURVES[key.curve.name][0] if isinstance(key, ec.EllipticCurvePrivateKey) else None
        self._known[kid] = JwtKey(kid=kid, key=public, curve=curve, alg=_alg(key))
        self._known.move_to_end(kid)
        while len(self._known) > OWN_KEYS:
            self._known.popitem(last=False)
        return kid


def _alg(key: PrivateKey) -> str:
    return _CURVES[key.curve.name][1] if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    _, _, algorithm, size = _CURVES[key.curve.name]
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
