"""Bundles of ours in the real OPA's hands, and OPA's in ours: one format, one signature."""

import asyncio
import base64
import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, seed as seeded, settings, strategies as st

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.archive import SIGNATURES, Packed, read_whole, write_archive
from outrider.policy.canonical import hashed_form
from outrider.policy.release import Release, built, bundle_bytes, load
from outrider.policy.signature import UnverifiedError, sign
from outrider.policy.trust import Trust
from tests.support.bundles import SCOPE, a_bundle, a_signing_key, bundle_files, signed, write_keys
from tests.support.opa import opa_binary, running_engine
from tests.support.policy import DENY_ALL, write_tree

pytestmark = pytest.mark.opa

KEY = a_signing_key()
TRUST = Trust(keys=lambda: {KEY.id: KEY.verifying}, scope=SCOPE, local=True)
NAMED = """package outrider

decision := {"effect": "deny", "revision": data.outrider.build.revision}
"""


def opa(*words: str | Path, room: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [opa_binary().path, *words],
        cwd=room,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(bundle: Path, public: Path, *, algorithm: str = "ES256", scope: str = SCOPE) -> Any:
    """What `opa build` makes of a bundle that it verifies first; it says so when it cannot."""
    words = ("--verification-key", public, "--verification-key-id", "release", "--scope", scope)
    return opa("build", "-b", bundle, *words, "--signing-alg", algorithm, room=bundle.parent)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "PS256", "EdDSA"])
def test_opa_verifies_what_we_sign(tmp_path: Path, algorithm: str) -> None:
    key = replace(a_signing_key(algorithm, f"opa-{algorithm}"), id="release")
    _, public = write_keys(tmp_path, key)
    bundle = tmp_path / "b.tar.gz"
    bundle.write_bytes(a_bundle(key=key, x={"n": 1.5, "t": "<&>\u2028\u00e9"}))
    done = asked(bundle, public, algorithm=algorithm)
    assert done.returncode == 0, done.stdout
    assert "scope mismatch" in asked(bundle, public, algorithm=algorithm, scope="x").stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"outrider/main.rego": DENY_ALL.encode()}, "digest mismatch", id="a-rule"),
        pytest.param({"data.json": b'{"outrider": {"x": 1}}'}, "digest mismatch", id="data"),
        pytest.param({"outrider/more.rego": b"package outrider.more\n"}, "not included", id="more"),
        pytest.param({SIGNATURES: None}, ".signatures.json", id="unsigned"),
        pytest.param({"data.json": None}, "not found", id="less"),
    ],
)
def test_what_we_refuse_opa_refuses(
    tmp_path: Path, change: dict[str, bytes | None], told: str
) -> None:
    _, public = write_keys(tmp_path)
    files = {**signed(bundle_files()), **change}
    packed = write_archive({name: text for name, text in files.items() if text is not None})
    (tmp_path / "b.tar.gz").write_bytes(packed)
    done = asked(tmp_path / "b.tar.gz", public)
    assert done.returncode != 0
    assert told in done.stdout
    with pytest.raises(UnverifiedError):
        load(Packed(name="b", content=packed), trust=TRUST)


def a_source(room: Path) -> Path:
    """A folder whose data only careful readers hash alike."""
    (room / "claims.json").write_bytes(orjson.dumps({"scope": SCOPE, "keyid": "release"}))
    return write_tree(
        room / "src",
        {
            ".manifest": b'{"roots": ["outrider"], "revision": "r1", "metadata": {"sequence": 3}}',
            "outrider/main.rego": NAMED,
            "outrider/data.json": '{"n": 1.50, "e": 1e3, "z": -0, "s": "\\u2028<&>\\u0007é\x7f"}',
            "outrider/more/data.yaml": "x: 1.50\nw: [1, 2.0, 1e3, 'a', ~]\nb: {c: true}\n",
        },
    )


def test_we_verify_what_opa_builds_and_signs(tmp_path: Path) -> None:
    private, _ = write_keys(tmp_path)
    source = a_source(tmp_path)
    words = ("--signing-key", private, "--signing-alg", "ES256", "--claims-file", "../claims.json")
    done = opa("build", "-b", ".", *words, "-o", "../b.tar.gz", room=source)
    assert done.returncode == 0, done.stdout
    release = load(tmp_path / "b.tar.gz", trust=TRUST)
    assert (release.revision, release.sequence) == ("r1", 3)
    assert release.signed is not None
    # OPA roots every name, which is the one absolute form that is taken
    assert "outrider/main.rego" in read_whole(tmp_path / "b.tar.gz")
    # what is not ours is judged by us; an OPA of ours is not given it as it came
    assert release.as_signed == b""


def test_we_verify_a_folder_that_opa_signs_and_opa_one_that_we_sign(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    source = a_source(tmp_path)
    words = ("--signing-key", private, "--signing-alg", "ES256", "--claims-file", "../claims.json")
    done = opa("sign", "-b", ".", *words, room=source)
    assert done.returncode == 0, done.stdout
    assert load(source, trust=TRUST).sequence == 3
    files = read_whole(source)
    (source / SIGNATURES).write_bytes(sign(files, KEY, SCOPE))
    checks = ("--verification-key", public, "--verification-key-id", "release", "--scope", SCOPE)
    done = opa(
        "build", "-b", ".", *checks, "--signing-alg", "ES256", "-o", "../o.tar.gz", room=source
    )
    assert done.returncode == 0, done.stdout


def test_we_hash_documents_as_opa_does(tmp_path: Path) -> None:
    """Many documents in one run: what text, numbers and keys can be."""
    private, _ = write_keys(tmp_path)
    text = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    number = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9, allow_nan=False)
    value = st.recursive(
        st.none() | st.booleans() | number | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )
    documents = [orjson.dumps({"v": one}) for seed in range(3) for one in _drawn(value, seed)]
    files = {f"outrider/d{n}/data.json": document for n, document in enumerate(documents)}
    source = write_tree(tmp_path / "src", files)
    done = opa("sign", "-b", ".", "--signing-key", private, "--signing-alg", "ES256", room=source)
    assert done.returncode == 0, done.stdout
    whole = read_whole(source)
    listed = _payload(whole[SIGNATURES])["files"]
    found = {one["name"]: one["hash"] for one in listed}
    ours = {name: hashlib.sha256(hashed_form(name, files[name])).hexdigest() for name in files}
    assert found == ours


def _drawn(strategy: Any, number: int) -> list[Any]:
    """A hundred values, others for each number."""
    drawn: list[Any] = []

    @seeded(number)
    @settings(
        max_examples=3,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=100, max_size=100))
    def draw(values: list[Any]) -> None:
        drawn[:] = values

    draw()
    return drawn


def _payload(content: bytes) -> Any:
    part = orjson.loads(content)["signatures"][0].split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(part + "=="))


def a_built(room: Path, rego: str, *, sequence: int, key: Any = KEY) -> Release:
    """A release as `outrider bundle build` and `sign` make it, read back as it was fetched."""
    tree = write_tree(room / f"t{sequence}", {"outrider/main.rego": rego})
    release = built(tree, sequence=sequence, revision=f"v{sequence}")
    plain = read_whole(Packed(name="b", content=bundle_bytes(release)))
    packed = write_archive(signed(plain, key))
    trust = Trust(keys=lambda: {key.id: key.verifying}, scope=SCOPE)
    return load(Packed(name="b", content=packed), trust=trust)


async def test_our_opa_verifies_what_it_is_fed(tmp_path: Path) -> None:
    good = await asyncio.to_thread(lambda: a_built(tmp_path, NAMED, sequence=1))
    thief = replace(a_signing_key(id="thief"), id="release")
    forged = await asyncio.to_thread(lambda: a_built(tmp_path, NAMED, sequence=2, key=thief))
    assert good.as_signed
    assert forged.as_signed
    async with running_engine(keys=(KEY.verifying,), scope=SCOPE) as running:
        snapshot = await running.engine.activate(good)
        assert snapshot.revision == good.revision
        with pytest.raises(ConfigError, match="failed to verify JWT signature"):
            await running.engine.activate(forged)
        assert running.engine.snapshot().revision == good.revision


async def test_the_shipped_library_is_served_to_opa_as_it_was_signed(tmp_path: Path) -> None:
    def made() -> Release:
        release = built(shipped_rego(), sequence=1, revision=None)
        plain = read_whole(Packed(name="b", content=bundle_bytes(release)))
        return load(Packed(name="b", content=write_archive(signed(plain))), trust=TRUST)

    release = await asyncio.to_thread(made)
    assert release.as_signed
    assert len(release.fixtures) == 5  # what it is tried by travels with it
    async with running_engine(keys=(KEY.verifying,), scope=SCOPE) as running:
        assert (await running.engine.activate(release)).revision == release.revision
