"""Signatures of bundles: all files and no other, one algorithm a key, one reading."""

import base64

import orjson
import pytest

from outrider.policy.archive import SIGNATURES
from outrider.policy.bundle_keys import ALGORITHMS
from outrider.policy.signature import UnverifiedError, sign, verify
from tests.support.bundles import SCOPE, a_signing_key, bundle_files, signed

KEY = a_signing_key()
KEYS = {"release": KEY.verifying}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(files):
    (token,) = orjson.loads(files[SIGNATURES])["signatures"]
    parts = token.split(".")
    return [orjson.loads(base64.urlsafe_b64decode(one + "==")) for one in parts[:2]], parts[2]


def forged(files, *, header=None, payload=None, key=KEY, drop=(), raw=None):
    """`files` under a signature whose header or payload say something else."""
    (told, said), _ = unpacked(signed(files))
    told, said = told | (header or {}), said | (payload or {})
    for name in drop:
        told.pop(name, None)
        said.pop(name, None)
    data = f"{b64(orjson.dumps(told))}.{b64(raw or orjson.dumps(said))}"
    token = f"{data}.{b64(key.sign(data.encode()))}"
    return {**files, SIGNATURES: orjson.dumps({"signatures": [token]})}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_one_key_signs_it_verifies(algorithm):
    key = a_signing_key(algorithm, f"k-{algorithm}")
    proved = verify(signed(bundle_files(), key), {key.id: key.verifying}, SCOPE)
    assert (proved.key, proved.scope) == (key.id, SCOPE)


def test_the_content_is_known_whoever_signed_it():
    other = a_signing_key(id="other")
    keys = {**KEYS, "other": other.verifying}
    one, two = signed(bundle_files()), signed(bundle_files(), other)
    assert verify(one, keys, SCOPE).content == verify(two, keys, SCOPE).content
    three = signed(bundle_files(sequence=2))
    assert verify(one, keys, SCOPE).content != verify(three, keys, SCOPE).content


def test_a_key_that_is_named_nowhere_is_the_only_one():
    files = forged(bundle_files(), drop=("kid", "keyid"))
    assert verify(files, KEYS, SCOPE).key == "release"
    with pytest.raises(UnverifiedError, match="does not name"):
        verify(files, {**KEYS, "other": a_signing_key(id="other").verifying}, SCOPE)


def test_a_document_may_be_written_otherwise():
    files = signed(bundle_files(x=1, y=[True, None, "a"]))
    first = verify(files, KEYS, SCOPE)
    for name in ("data.json", ".manifest"):
        files[name] = orjson.dumps(orjson.loads(files[name]), option=orjson.OPT_INDENT_2)
    # the same content: it must not lock the genuine release of its sequence out
    assert verify(files, KEYS, SCOPE) == first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"outrider/main.rego": b"package outrider\n"}, "not what was", id="a-rule"),
        pytest.param({"data.json": b'{"outrider": {"x": 1}}'}, "not what was signed", id="data"),
        pytest.param({".manifest": b'{"revision": "r2"}'}, "not what was signed", id="manifest"),
        pytest.param({"outrider/more.rego": b"x"}, "not part of", id="a-file-more"),
        pytest.param({"._main.rego": b"x"}, "not part of", id="a-hidden-file-more"),
        pytest.param({"data.json": b'{"outrider": {}, "outrider": {}}'}, "twice", id="a-key-twice"),
        pytest.param({"data.json": b"outrider: {}"}, "not usable as JSON", id="another-form"),
        pytest.param({SIGNATURES: b"{}"}, "not exactly one", id="no-signature-in-it"),
        pytest.param({SIGNATURES: b'{"signatures": ["a.b.c", "d.e.f"]}'}, "exactly", id="two"),
        pytest.param({SIGNATURES: b'{"signatures": ["a.b"]}'}, "no compact JWS", id="no-jws"),
        pytest.param({SIGNATURES: b'{"signatures": ["aa.b.c"]}'}, "base64url", id="spare-bits"),
        pytest.param(
            {SIGNATURES: b'{"signatures": [], "plugin": "own"}'}, "plain kind", id="a-plugin"
        ),
        pytest.param({SIGNATURES: b"\xff"}, "strict JSON", id="no-json"),
    ],
)
def test_refuses_what_was_changed(change, told):
    with pytest.raises(UnverifiedError, match=told):
        verify({**signed(bundle_files()), **change}, KEYS, SCOPE)


def test_refuses_a_bundle_that_lacks_a_file():
    files = signed(bundle_files())
    del files["data.json"]
    with pytest.raises(UnverifiedError, match="is not there"):
        verify(files, KEYS, SCOPE)


def test_refuses_what_is_not_signed():
    with pytest.raises(UnverifiedError, match="not signed"):
        verify(bundle_files(), KEYS, SCOPE)


def test_refuses_a_signature_while_no_key_counts():
    with pytest.raises(UnverifiedError, match="names no key"):
        verify(signed(bundle_files()), {}, SCOPE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"header": {"alg": "none"}}, "not ES256", id="alg-none"),
        pytest.param({"header": {"alg": "HS256"}}, "not ES256", id="alg-hmac"),
        pytest.param({"header": {"alg": "ES384"}}, "not ES256", id="another-alg"),
        pytest.param({"drop": ("alg",)}, "not ES256", id="no-alg"),
        pytest.param({"header": {"kid": "stranger"}}, "does not name", id="unknown-key"),
        pytest.param({"header": {"kid": 7}}, "does not name", id="kid-is-no-text"),
        pytest.param({"header": {"crit": ["x"]}}, "asks for what", id="crit"),
        pytest.param({"header": {"b64": False}}, "asks for what", id="unencoded-payload"),
        pytest.param({"payload": {"scope": "other"}}, "scope is 'other'", id="another-scope"),
        pytest.param({"drop": ("scope",)}, "scope is ''", id="no-scope"),
        pytest.param({"payload": {"files": None}}, "lists no files", id="no-files"),
        pytest.param({"payload": {"files": [{}]}}, "without name", id="a-file-of-nothing"),
        pytest.param({"raw": b'{"files": [], "files": []}'}, "strict JSON", id="a-claim-twice"),
        pytest.param({"raw": b"[]"}, "no object", id="a-payload-that-is-a-list"),
        pytest.param({"key": a_signing_key(id="thief")}, "does not verify", id="another-key"),
        pytest.param(
            {"key": a_signing_key("RS256", "thief")}, "does not verify", id="another-kind-of-key"
        ),
    ],
)
def test_refuses_a_signature_that_says(changes, told):
    with pytest.raises(UnverifiedError, match=told):
        verify(forged(bundle_files(), **changes), KEYS, SCOPE)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-1", "sha-256", ""])
def test_refuses_a_hash_that_is_not_taken(algorithm):
    (_, said), _ = unpacked(signed(bundle_files()))
    listed = [one | {"algorithm": algorithm} for one in said["files"]]
    with pytest.raises(UnverifiedError, match="not taken"):
        verify(forged(bundle_files(), payload={"files": listed}), KEYS, SCOPE)


def test_refuses_a_file_that_is_listed_twice():
    (_, said), _ = unpacked(signed(bundle_files()))
    with pytest.raises(UnverifiedError, match="twice"):
        verify(forged(bundle_files(), payload={"files": said["files"] * 2}), KEYS, SCOPE)


def test_signs_anew_what_was_signed():
    once = signed(bundle_files())
    again = {**once, SIGNATURES: sign(once, KEY, SCOPE)}
    assert verify(again, KEYS, SCOPE).key == "release"


def test_without_a_scope_none_is_said():
    files = signed(bundle_files(), scope="")
    assert "scope" not in unpacked(files)[0][1]
    assert verify(files, KEYS, "").scope == ""
