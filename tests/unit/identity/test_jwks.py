"""JSON Web Keys: which are read, which are skipped, which refuse the document they stand in."""

import orjson
import pytest

from outrider.identity.jwks import KeyDocumentError, read_document, read_key
from tests.support.jwt import a_bundle, a_key

EC = a_key("ES256", "ec")
RSA = a_key("RS256", "rsa")


@pytest.mark.parametrize("key", [EC, RSA, a_key("ES384", "p384"), a_key("ES512", "p521")])
def test_a_key_is_read_as_it_was_made(key):
    read = read_key(key.jwk(alg=key.alg))
    assert (read.kid, read.alg) == (key.kid, key.alg)
    assert read.key == key.key.public_key()
    assert read.curve == (None if key is RSA else key.jwk()["crv"])


@pytest.mark.case("J-5")
def test_a_key_needs_no_name():
    assert read_key(EC.jwk(kid=None)).kid is None


@pytest.mark.case("J-12")
@pytest.mark.parametrize(
    "item",
    [
        pytest.param({}, id="no-type"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="hmac"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, id="edwards"),
        pytest.param(EC.jwk(crv="secp256k1"), id="another-curve"),
        pytest.param(EC.jwk(crv=["P-256"]), id="curve-no-text"),
    ],
)
def test_a_key_of_an_unknown_type_is_skipped(item):
    assert read_key(item) is None


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(EC.jwk(d="AA"), id="private"),
        pytest.param({"kty": "oct", "d": "AA"}, id="private-of-unknown-type"),
        pytest.param(EC.jwk(kid=7), id="kid-no-text"),
        pytest.param(EC.jwk(alg=7), id="alg-no-text"),
        pytest.param(EC.jwk(x="AAAA"), id="not-on-the-curve"),
        pytest.param(EC.jwk(y=None), id="no-y"),
        pytest.param(RSA.jwk(n="AQAB"), id="short"),
        pytest.param(RSA.jwk(n="A" * 1400), id="zero"),
        pytest.param(RSA.jwk(n="_" * 1400), id="long"),
        pytest.param(RSA.jwk(e="Ag"), id="even-exponent"),
        pytest.param(RSA.jwk(n="a+b/"), id="plain-base64"),
        pytest.param(RSA.jwk(n="A"), id="odd-length"),
        pytest.param(RSA.jwk(n=5), id="n-no-text"),
    ],
)
def test_a_key_that_is_broken_or_private_is_refused(item):
    with pytest.raises(KeyDocumentError):
        read_key(item)


def test_a_document_gives_its_keys_unread():
    document, items = read_document(a_bundle(EC.jwk(), {"kty": "?"}), 4096)
    assert document["spiffe_sequence"] == 1
    assert [item["kty"] for item in items] == ["EC", "?"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[]", id="no-object"),
        pytest.param(b"{}", id="B-1-no-keys"),
        pytest.param(b'{"keys":null}', id="B-1-keys-null"),
        pytest.param(b'{"keys":[1]}', id="key-no-object"),
        pytest.param(b'{"keys":[],"keys":[]}', id="doubled-name"),
        pytest.param(b'{"keys":[{"kid":"a","kid":"b"}]}', id="doubled-name-within"),
        pytest.param(orjson.dumps({"keys": [{}] * 257}), id="too-many"),
        pytest.param(b" " * 4097, id="too-large"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
    ],
)
def test_a_document_that_cannot_be_read_whole_is_refused(data):
    with pytest.raises(KeyDocumentError):
        read_document(data, 4096)
