"""Keys of bundles: asymmetric alone, each for one algorithm, none that is too weak."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret
from outrider.policy.bundle_keys import ALGORITHMS, read_private, read_public
from tests.support.bundles import a_signing_key

SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is refused


def private_pem(key, encryption=None):
    kind = encryption or NoEncryption()
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kind))


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pair_signs_and_verifies_in_its_algorithm(algorithm):
    pair = a_signing_key(algorithm, f"k-{algorithm}")
    signing = read_private("k", algorithm, private_pem(pair.private))
    verifying = read_public("k", algorithm, pair.verifying.pem().encode())
    signature = signing.sign(b"data")
    assert verifying.verifies(b"data", signature)
    assert not verifying.verifies(b"date", signature)
    assert not verifying.verifies(b"data", signature[:-1])
    assert not verifying.verifies(b"data", b"")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "ES256", id="p-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "ES384", id="p-384"),
        pytest.param(a_signing_key("RS256", "k-RS256").private, "RS256", id="rsa"),
        pytest.param(a_signing_key("EdDSA", "k-EdDSA").private, "EdDSA", id="ed25519"),
    ],
)
def test_without_an_algorithm_the_usual_one_is_taken(key, algorithm):
    assert read_private("k", None, private_pem(key)).algorithm == algorithm


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "ES256", id="another-curve"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()), "ES256", id="a-curve-nobody-takes"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "RS256", id="another-kind"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "HS256", id="hmac"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "none", id="none"),
        pytest.param(SHORT, "RS256", id="too-short"),
        pytest.param(a_signing_key("EdDSA", "k-EdDSA").private, "ES256", id="ed25519-as-ecdsa"),
        pytest.param(x25519.X25519PrivateKey.generate(), "EdDSA", id="no-signing-key"),
        pytest.param(dsa.generate_private_key(2048), "RS256", id="dsa"),
    ],
)
def test_refuses_a_key_that_is_not_for_its_algorithm(key, algorithm):
    with pytest.raises(ConfigError, match="key k"):
        read_public("k", algorithm, public_pem(key))
    with pytest.raises(ConfigError, match="key k"):
        read_private("k", algorithm, private_pem(key))


def test_a_curve_nobody_takes_has_no_usual_algorithm():
    with pytest.raises(ConfigError, match="no key for"):
        read_private("k", None, private_pem(ec.generate_private_key(ec.SECP256K1())))


@pytest.mark.parametrize("pem", [b"", b"no pem", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_refuses_what_is_no_key(pem):
    with pytest.raises(ConfigError, match="no PEM public key"):
        read_public("k", "ES256", pem)
    with pytest.raises(ConfigError, match="no unencrypted PEM"):
        read_private("k", "ES256", Secret(pem or b" "))


def test_refuses_a_private_key_where_a_public_one_belongs_and_one_under_a_password():
    key = a_signing_key().private
    with pytest.raises(ConfigError, match="no PEM public key"):
        read_public("k", "ES256", private_pem(key).reveal())
    with pytest.raises(ConfigError, match="no unencrypted PEM"):
        read_private("k", "ES256", private_pem(key, BestAvailableEncryption(b"x")))
