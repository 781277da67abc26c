"""What registries say, read strictly."""

import orjson
import pytest

from outrider.policy.sources.oci_words import (
    Challenge,
    Layer,
    challenge_of,
    check_blob,
    layer_of,
    manifest_digest,
    token_of,
)
from outrider.policy.sources.origin import FetchError
from tests.support.bundles import LAYER, a_manifest, digest_of

BLOB = b"bundle"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        pytest.param(
            'Bearer realm="https://a.test/token",service="reg",scope="repository:x:pull,push"',
            Challenge(bearer=True, realm="https://a.test/token", service="reg"),
            id="as-registries-write-it",
        ),
        pytest.param(
            'bearer  service=reg , realm="https://a.test/t"',
            Challenge(bearer=True, realm="https://a.test/t", service="reg"),
            id="in-another-order",
        ),
        pytest.param('Basic realm="x"', Challenge(bearer=False), id="basic"),
    ],
)
def test_reads_a_challenge(said, meant):
    assert challenge_of(said) == meant


@pytest.mark.parametrize(
    "said",
    ["", "Bearer", 'Bearer service="x"', "Negotiate abc", 'Digest realm="x"', 'Bearer realm=""',
     'Bearer realm="https://[::1"'],
)  # fmt: skip
def test_refuses_a_challenge(said):
    with pytest.raises(FetchError):
        challenge_of(said)


def test_asks_for_what_is_needed_and_no_more():
    challenge = Challenge(bearer=True, realm="https://a.test/t?x=1", service="reg & co")
    assert (
        challenge.token_url("acme/policy", "https://reg.test")
        == "https://a.test/t?x=1&service=reg+%26+co&scope=repository%3Aacme%2Fpolicy%3Apull"
    )


@pytest.mark.parametrize(
    ("realm", "origin"),
    [
        pytest.param("http://a.test/t", "https://reg.test", id="plain"),
        pytest.param("http://a.test/t", "http://127.0.0.1:5000", id="plain-and-elsewhere"),
        pytest.param("ftp://a.test/t", "https://reg.test", id="another-scheme"),
        pytest.param("/token", "https://reg.test", id="relative"),
        pytest.param("https://u:p@a.test/t", "https://reg.test", id="userinfo"),
    ],
)
def test_goes_nowhere_else_for_a_token(realm, origin):
    with pytest.raises(FetchError, match="no usable place"):
        Challenge(bearer=True, realm=realm).token_url("a", origin)


def test_a_plain_registry_gives_its_own_tokens():
    challenge = Challenge(bearer=True, realm="http://127.0.0.1:5000/t")
    assert challenge.token_url("a", "http://127.0.0.1:5000").startswith("http://127.0.0.1:5000/t?")


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_reads_a_token(name):
    assert token_of(orjson.dumps({name: "abc.def"})) == "abc.def"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}']
)
def test_refuses_a_token(body):
    with pytest.raises(FetchError):
        token_of(body)


def test_a_digest_is_computed_not_believed():
    body = a_manifest(BLOB)
    assert manifest_digest(body, "prod", {}) == digest_of(body)
    assert manifest_digest(body, digest_of(body), {}) == digest_of(body)
    with pytest.raises(FetchError, match="not the one"):
        manifest_digest(body, digest_of(b"other"), {})
    with pytest.raises(FetchError, match="not the one"):
        manifest_digest(body, "prod", {"docker-content-digest": digest_of(b"other")})


def test_finds_the_bundle_among_layers():
    other = {"mediaType": "application/vnd.other", "digest": digest_of(b"x"), "size": 1}
    (layer,) = orjson.loads(a_manifest(BLOB))["layers"]
    found = layer_of(a_manifest(BLOB, layers=[other, layer]), 99)
    assert found == Layer(digest=digest_of(BLOB), size=len(BLOB))


def layer(**changes):
    return {"mediaType": LAYER, "digest": digest_of(BLOB), "size": 6} | changes


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"layers": []}, id="none"),
        pytest.param({"layers": [layer(), layer()]}, id="two"),
        pytest.param({"layers": None}, id="no-list"),
        pytest.param({"layers": [layer(mediaType="text/plain")]}, id="another-kind"),
        pytest.param({"layers": [layer(digest="md5:1")]}, id="another-digest"),
        pytest.param({"layers": [layer(digest="sha256:../../x")]}, id="a-path-for-a-digest"),
        pytest.param({"layers": [layer(size=0)]}, id="empty"),
        pytest.param({"layers": [layer(size=100)]}, id="too-large"),
        pytest.param({"layers": [layer(size="6")]}, id="no-size"),
        pytest.param({"schemaVersion": 1}, id="another-version"),
        pytest.param({"mediaType": "application/vnd.oci.image.index.v1+json"}, id="an-index"),
    ],
)
def test_refuses_a_manifest(changes):
    with pytest.raises(FetchError):
        layer_of(a_manifest(BLOB, **changes), 99)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"layers": [], "layers": []}', b"\xff"])
def test_refuses_what_is_no_manifest(body):
    with pytest.raises(FetchError, match="no strict JSON"):
        layer_of(body, 99)


def test_a_blob_is_what_its_digest_names():
    check_blob(BLOB, Layer(digest=digest_of(BLOB), size=len(BLOB)))
    for content, size in ((b"bundlf", 6), (b"bundle", 7)):
        with pytest.raises(FetchError):
            check_blob(content, Layer(digest=digest_of(BLOB), size=size))
