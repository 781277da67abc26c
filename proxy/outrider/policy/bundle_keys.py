"""The keys that sign bundles and verify them: asymmetric ones alone, each for one algorithm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret

Public: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_BITS: Final = (2048, 8192)
_EDDSA: Final = "EdDSA"


@dataclass(frozen=True, slots=True)
class _Algorithm:
    digest: hashes.HashAlgorithm
    curve: str = ""
    half_bytes: int = 0


_ALGORITHMS: Final[Mapping[str, _Algorithm]] = {
    "ES256": _Algorithm(hashes.SHA256(), "secp256r1", 32),
    "ES384": _Algorithm(hashes.SHA384(), "secp384r1", 48),
    "ES512": _Algorithm(hashes.SHA512(), "secp521r1", 66),
    "RS256": _Algorithm(hashes.SHA256()),
    "RS384": _Algorithm(hashes.SHA384()),
    "RS512": _Algorithm(hashes.SHA512()),
    "PS256": _Algorithm(hashes.SHA256()),
    "PS384": _Algorithm(hashes.SHA384()),
    "PS512": _Algorithm(hashes.SHA512()),
}
ALGORITHMS: Final = (*_ALGORITHMS, _EDDSA)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """One public key under its id, for one algorithm."""

    id: str
    algorithm: str
    public: Public

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's on `signed`, in the form JWS gives it."""
        try:
            self._check(signed, signature)
        except (InvalidSignature, ValueError):
            return False
        return True

    def pem(self) -> str:
        """The key as OPA's settings take it."""
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    def _check(self, signed: bytes, signature: bytes) -> None:
        if isinstance(self.public, ed25519.Ed25519PublicKey):
            self.public.verify(signature, signed)
            return
        algorithm = _ALGORITHMS[self.algorithm]
        if isinstance(self.public, rsa.RSAPublicKey):
            self.public.verify(signature, signed, _padding(self.algorithm), algorithm.digest)
            return
        half = algorithm.half_bytes
        if len(signature) != 2 * half:
            raise InvalidSignature
        encoded = utils.encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
        self.public.verify(encoded, signed, ec.ECDSA(algorithm.digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One private key under its id, for one algorithm."""

    id: str
    algorithm: str
    private: Private

    def sign(self, data: bytes) -> bytes:
        """Its signature on `data`, in the form JWS gives it."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        algorithm = _ALGORITHMS[self.algorithm]
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, _padding(self.algorithm), algorithm.digest)
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(algorithm.digest)))
        half = algorithm.half_bytes
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")

    @property
    def verifying(self) -> VerifyingKey:
        """Its public half."""
        return VerifyingKey(id=self.id, algorithm=self.algorithm, public=self.private.public_key())


def read_public(id: str, algorithm: str, pem: bytes) -> VerifyingKey:  # noqa: A002 - its name
    """The public key in `pem`. Raises `ConfigError` where it is none, or not for `algorithm`."""
    public = _loaded(lambda: serialization.load_pem_public_key(pem), f"key {id}: no PEM public key")
    if not isinstance(public, Public) or not _fits(public, algorithm):
        raise ConfigError(f"key {id}: it is no key for {algorithm}")
    return VerifyingKey(id=id, algorithm=algorithm, public=public)


def read_private(id: str, algorithm: str | None, pem: Secret) -> SigningKey:  # noqa: A002 - its name
    """The private key in `pem`, unencrypted; without an algorithm, for the usual one of its kind.

    Raises `ConfigError`.
    """
    said = f"key {id}: no unencrypted PEM private key"
    private = _loaded(lambda: serialization.load_pem_private_key(pem.reveal(), None), said)
    if not isinstance(private, Private):
        raise ConfigError(f"key {id}: it is of a kind that signs no bundle")
    chosen = algorithm or _usual(private)
    if not _fits(private.public_key(), chosen):
        raise ConfigError(f"key {id}: it is no key for {chosen}")
    return SigningKey(id=id, algorithm=chosen, private=private)


def _loaded(load: Callable[[], object], said: str) -> object:
    try:
        return load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(said) from None


def _usual(private: Private) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        named = [name for name, one in _ALGORITHMS.items() if one.curve == private.curve.name]
        return named[0] if named else ""
    return "RS256" if isinstance(private, rsa.RSAPrivateKey) else _EDDSA


def _fits(public: Public, algorithm: str) -> bool:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return algorithm == _EDDSA
    known = _ALGORITHMS.get(algorithm)
    if known is None:
        return False
    if isinstance(public, rsa.RSAPublicKey):
        return not known.curve and RSA_BITS[0] <= public.key_size <= RSA_BITS[1]
    return known.curve == public.curve.name


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    digest = _ALGORITHMS[algorithm].digest
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
