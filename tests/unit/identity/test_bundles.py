"""Which keys of a bundle document speak for its trust domain."""

import asyncio

import pytest

from outrider.config.load import load
from outrider.core.errors import ConfigError
from outrider.identity.bundles import BundleError, BundleSource, Origin, parse_bundle
from tests.support.jwt import a_bundle, a_key

EC = a_key("ES256", "ec")
RSA = a_key("RS256", "rsa")


def _kids(data, origin=Origin.BUNDLE):
    return [key.kid for key in parse_bundle(data, "acme.test", origin).jwt_keys]


def test_both_families_are_taken():
    assert _kids(a_bundle(EC.jwk(), RSA.jwk(), a_key("ES512", "wide").jwk())) == [
        "ec",
        "rsa",
        "wide",
    ]


@pytest.mark.parametrize(
    ("use", "origin", "taken"),
    [
        pytest.param("jwt-svid", Origin.BUNDLE, True, id="J-10-named"),
        pytest.param("x509-svid", Origin.BUNDLE, False, id="J-10-other"),
        pytest.param("sig", Origin.BUNDLE, False, id="B-2-unknown"),
        pytest.param(None, Origin.BUNDLE, False, id="B-2-absent-in-a-document"),
        pytest.param(None, Origin.WORKLOAD_API, True, id="J-10-absent-from-the-workload-api"),
        pytest.param("jwt-svid", Origin.WORKLOAD_API, True, id="J-10-named-there"),
        pytest.param("sig", Origin.WORKLOAD_API, False, id="J-10-other-there"),
    ],
)
def test_use_decides_which_keys_count(use, origin, taken):
    assert _kids(a_bundle(EC.jwk(use=use)), origin) == (["ec"] if taken else [])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA", "use": "jwt-svid"}, id="J-12-kty"),
        pytest.param({"use": "jwt-svid"}, id="J-12-no-kty"),
        pytest.param(EC.jwk(crv="secp256k1", kid="k"), id="J-12-curve"),
        pytest.param({"kty": "RSA", "use": "wit-svid"}, id="J-12-use"),
    ],
)
def test_an_unknown_key_is_skipped_and_the_rest_kept(other):
    assert _kids(a_bundle(other, EC.jwk())) == ["ec"]


def test_J_11_no_keys_trust_nothing():
    assert _kids(a_bundle()) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{}", id="B-1-no-keys"),
        pytest.param(b'{"keys":{}}', id="B-1-keys-no-list"),
        pytest.param(b"[]", id="not-an-object"),
        pytest.param(b"nonsense", id="not-json"),
        pytest.param(b'{"keys":[],"keys":[]}', id="doubled-name"),
        pytest.param(a_bundle(*[EC.jwk(kid=None)] * 257), id="too-many"),
        pytest.param(b" " * ((1 << 20) + 1), id="too-large"),
        pytest.param(b'{"keys":["x"]}', id="key-no-object"),
        pytest.param(a_bundle(EC.jwk(), EC.jwk()), id="two-keys-of-one-kid"),
        pytest.param(a_bundle(EC.jwk(kid=7)), id="kid-no-text"),
        pytest.param(a_bundle(EC.jwk(d="AA")), id="private-key"),
        pytest.param(a_bundle(EC.jwk(x="AAAA")), id="not-on-the-curve"),
        pytest.param(a_bundle(EC.jwk(x=None)), id="no-x"),
        pytest.param(a_bundle(RSA.jwk(n="A")), id="not-base64url"),
        pytest.param(a_bundle(RSA.jwk(n="AQAB")), id="short-rsa"),
        pytest.param(a_bundle(EC.jwk(), spiffe_sequence="1"), id="sequence-no-number"),
    ],
)
def test_a_document_that_cannot_be_read_whole_is_refused(data):
    with pytest.raises(BundleError):
        parse_bundle(data, "acme.test")


def _source(tmp_path, *jwks, **members):
    path = tmp_path / "bundle.json"
    path.write_bytes(a_bundle(*jwks, **members))
    source = BundleSource(paths={"acme.test": path})
    source.load()
    return source, path


def _held(source):
    return [key.kid for key in source.snapshot().by_domain["acme.test"].jwt_keys]


async def test_a_changed_file_swaps_the_snapshot(tmp_path):
    source, path = await asyncio.to_thread(_source, tmp_path, EC.jwk())
    before = source.snapshot()
    assert not await source.refresh()
    path.write_bytes(a_bundle(EC.jwk(), RSA.jwk(), spiffe_sequence=2))
    assert await source.refresh()
    assert source.snapshot() is not before
    assert _held(source) == ["ec", "rsa"]


@pytest.mark.parametrize("content", [b"nonsense", None])
async def test_a_bad_file_changes_nothing(tmp_path, content):
    source, path = await asyncio.to_thread(_source, tmp_path, EC.jwk())
    before = source.snapshot()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert not await source.refresh()
    assert source.snapshot() is before


async def test_B_7_a_lower_sequence_is_ignored(tmp_path):
    source, path = await asyncio.to_thread(_source, tmp_path, EC.jwk(), spiffe_sequence=5)
    path.write_bytes(a_bundle(RSA.jwk(), spiffe_sequence=4))
    await source.refresh()
    assert _held(source) == ["ec"]


def test_B_3_certificates_beside_a_key_make_it_no_other_key():
    item = EC.jwk(x5c=["not a certificate"], x5t="x")
    (key,) = parse_bundle(a_bundle(item), "acme.test").jwt_keys
    assert key.key == EC.key.public_key()


def test_B_4_a_trust_domain_that_stands_twice_refuses_the_settings(tmp_path):
    file = tmp_path / "outrider.yaml"
    one = "    acme.test: a.json\n"
    file.write_text(f"identity:\n  trust_bundles:\n{one}{one}", "utf-8")
    with pytest.raises(ConfigError, match=r"acme\.test"):
        load(file, {})
    with pytest.raises(ConfigError, match="trust_bundles"):
        BundleSource(paths={"acme.test": tmp_path, "ACME.test": tmp_path})


async def test_a_bad_file_keeps_no_other_domain_from_withdrawing_a_key(tmp_path, caplog):
    good, bad = tmp_path / "a.json", tmp_path / "b.json"
    for path in (good, bad):
        path.write_bytes(a_bundle(EC.jwk()))
    source = BundleSource(paths={"acme.test": good, "beta.test": bad})
    await asyncio.to_thread(source.load)
    good.write_bytes(a_bundle(RSA.jwk(), spiffe_sequence=2))
    bad.write_bytes(b"{}")
    assert await source.refresh()
    assert _held(source) == ["rsa"]
    assert [key.kid for key in source.snapshot().by_domain["beta.test"].jwt_keys] == ["ec"]
    assert not await source.refresh()
    assert len(caplog.records) == 1  # told once, not at every look


async def test_a_file_that_comes_back_is_taken(tmp_path):
    source, path = await asyncio.to_thread(_source, tmp_path, EC.jwk())
    path.unlink()
    assert not await source.refresh()
    path.write_bytes(a_bundle(RSA.jwk(), spiffe_sequence=2))
    assert await source.refresh()
    assert _held(source) == ["rsa"]


def test_a_start_with_a_bad_file_names_it(tmp_path):
    source = BundleSource(paths={"acme.test": tmp_path / "absent.json"})
    with pytest.raises(ConfigError, match=r"identity\.trust_bundles\.acme\.test"):
        source.load()
    (tmp_path / "absent.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match=r"identity\.trust_bundles\.acme\.test"):
        source.load()
    with pytest.raises(ConfigError, match="trust_bundles"):
        BundleSource(paths={"Not A Domain": tmp_path})
