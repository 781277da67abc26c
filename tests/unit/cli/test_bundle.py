"""`outrider bundle`: what a platform team does with a policy between writing and shipping it."""

from pathlib import Path

import orjson
import pytest

from outrider.policy.archive import SIGNATURES, read_whole, write_archive
from tests.support.bundles import a_bundle, a_signing_key, bundle_files, signed, write_keys
from tests.support.command import outrider, write_settings
from tests.support.policy import ALLOW_ALL, DENY_ALL, write_tree

TREE = {
    "outrider/main.rego": ALLOW_ALL,
    "outrider/main_test.rego": "package outrider_test\n",
    "outrider/x/data.yaml": "a: 1\nb: [x]\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", TREE)


def built(tree: Path, output: Path, *words: str) -> dict[str, object]:
    said = outrider("bundle", "build", tree, "-o", output, "--json", *words)
    assert said.code == 0, said.err
    found: dict[str, object] = said.json
    return found


def test_the_same_input_makes_the_same_bytes(tmp_path: Path, tree: Path) -> None:
    one = built(tree, tmp_path / "one.tar.gz", "--sequence", "7", "--revision", "v1")
    two = built(tree, tmp_path / "two.tar.gz", "--sequence", "7", "--revision", "v1")
    assert one["sha256"] == two["sha256"]
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert one["sequence"] == 7
    assert str(one["revision"]).startswith("v1+")


def test_a_bundle_holds_manifest_data_and_rules_without_tests(tmp_path: Path, tree: Path) -> None:
    built(tree, tmp_path / "b.tar.gz", "--sequence", "7")
    files = read_whole(tmp_path / "b.tar.gz")
    assert sorted(files) == [".manifest", "data.json", "outrider/main.rego"]
    manifest = orjson.loads(files[".manifest"])
    assert manifest["roots"] == ["outrider"]
    assert manifest["metadata"] == {"sequence": 7}
    data = orjson.loads(files["data.json"])["outrider"]
    assert data == {"build": {"revision": manifest["revision"]}, "x": {"a": 1, "b": ["x"]}}


def test_a_bundle_is_renumbered_without_being_renamed(tmp_path: Path, tree: Path) -> None:
    one, two, three = (tmp_path / f"{name}.tar.gz" for name in ("one", "two", "three"))
    first = built(tree, one, "--sequence", "7", "--revision", "v1")
    again = built(one, two, "--sequence", "8")
    assert (again["revision"], again["sequence"]) == (first["revision"], 8)
    named = built(one, three, "--revision", "v2")
    assert str(named["revision"]).startswith("v2+")


def test_what_a_sidecar_would_refuse_is_not_built(tmp_path: Path) -> None:
    bad = write_tree(tmp_path / "bad", {"outrider/main.rego": "package outrider\n\nx := nobody\n"})
    said = outrider("bundle", "build", bad, "-o", tmp_path / "b.tar.gz")
    assert said.code == 1
    assert "outrider/main.rego" in said.err
    assert not (tmp_path / "b.tar.gz").exists()


def test_it_is_signed_and_verified(tmp_path: Path, tree: Path) -> None:
    private, public = write_keys(tmp_path)
    bundle = tmp_path / "b.tar.gz"
    built(tree, bundle, "--sequence", "7")
    unsigned = outrider("bundle", "verify", bundle, "--key", public)
    assert unsigned.code == 1
    assert "not signed" in unsigned.err
    done = outrider("bundle", "sign", bundle, "--key", private, "--json")
    assert (done.code, done.json["key"], done.json["scope"]) == (0, "release", "outrider")
    good = outrider("bundle", "verify", bundle, "--key", public)
    assert good.code == 0
    assert "sequence 7, key release, scope outrider" in good.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("--scope", "other"), "scope is 'outrider'", id="another-scope"),
        pytest.param(("--key-id", "prod"), "'release'", id="another-name"),
        pytest.param(("--algorithm", "RS256"), "no key for RS256", id="another-algorithm"),
    ],
)
def test_it_is_not_verified_otherwise(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    _, public = write_keys(tmp_path)
    bundle = tmp_path / "b.tar.gz"
    bundle.write_bytes(a_bundle())
    said = outrider("bundle", "verify", bundle, "--key", public, *words)
    assert said.code == 1
    assert told in said.err


def test_it_is_verified_by_the_keys_of_settings(tmp_path: Path) -> None:
    write_keys(tmp_path)
    keys = {"release": {"file": "release.pem"}}
    config = write_settings(tmp_path, policy={"signature": {"keys": keys}})
    (tmp_path / "b.tar.gz").write_bytes(a_bundle())
    said = outrider("bundle", "verify", tmp_path / "b.tar.gz", "--config", config)
    assert said.code == 0
    other = a_bundle(key=a_signing_key(id="other"))
    (tmp_path / "b.tar.gz").write_bytes(other)
    assert outrider("bundle", "verify", tmp_path / "b.tar.gz", "--config", config).code == 1


def test_a_folder_is_signed_in_place(tmp_path: Path, tree: Path) -> None:
    private, public = write_keys(tmp_path)
    done = outrider("bundle", "sign", tree, "--key", private)
    assert done.code == 0
    assert "no sequence" in done.err
    assert (tree / SIGNATURES).is_file()
    assert outrider("bundle", "verify", tree, "--key", public).code == 0
    (tree / "outrider/x/data.yaml").write_text("a: 2\n")
    assert outrider("bundle", "verify", tree, "--key", public).code == 1
    assert outrider("bundle", "sign", tree, "--key", private, "-o", tmp_path / "x").code == 1


def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    private, _ = write_keys(tmp_path)
    private.chmod(0o644)
    (tmp_path / "b.tar.gz").write_bytes(a_bundle())
    before = (tmp_path / "b.tar.gz").read_bytes()
    said = outrider("bundle", "sign", tmp_path / "b.tar.gz", "--key", private)
    assert said.code == 1
    assert "chmod 600" in said.err
    assert (tmp_path / "b.tar.gz").read_bytes() == before


def test_what_cannot_be_loaded_is_not_signed(tmp_path: Path) -> None:
    private, _ = write_keys(tmp_path)
    files = {**bundle_files(), "outrider/x/main.rego": b"package outrider\n"}
    (tmp_path / "b.tar.gz").write_bytes(write_archive(files))
    said = outrider("bundle", "sign", tmp_path / "b.tar.gz", "--key", private)
    assert said.code == 1
    assert "in the folder of" in said.err


def test_what_differs_is_told_in_a_table_and_as_json(tmp_path: Path) -> None:
    old, new = tmp_path / "old.tar.gz", tmp_path / "new.tar.gz"
    old.write_bytes(write_archive(signed(bundle_files(x={"mode": "off"}))))
    new.write_bytes(
        write_archive(bundle_files(DENY_ALL, revision="r2", sequence=2, x={"mode": "enforce"}))
    )
    same = outrider("bundle", "diff", old, old)
    assert (same.code, "nothing differs" in same.out) == (0, True)
    table = outrider("bundle", "diff", old, new)
    assert table.code == 0
    for word in (
        "r1 → r2",
        "/metadata/sequence",
        "outrider/main.rego",
        "-1 lines",
        "/outrider/x/mode",
    ):
        assert word in table.out
    found = outrider("bundle", "diff", old, new, "--json").json
    assert found["same"] is False
    assert {
        "part": "data", "name": "/outrider/x/mode", "change": "changed", "before": "off",
        "after": "enforce",
    } in found["differences"]  # fmt: skip


def test_files_that_are_not_there_are_said(tmp_path: Path, tree: Path) -> None:
    gone = tmp_path / "gone.tar.gz"
    assert "no such file" in outrider("bundle", "diff", gone, gone).err
    assert "cannot be read" in outrider("bundle", "verify", gone, "--key", tmp_path / "k").err
    private, _ = write_keys(tmp_path)
    assert outrider("bundle", "sign", gone, "--key", private).code == 1
    said = outrider("bundle", "build", tree, "-o", tmp_path / "no" / "b.tar.gz")
    assert "cannot be written" in said.err


def test_a_release_is_the_one_a_sidecar_with_the_bundle_has(tmp_path: Path, tree: Path) -> None:
    """`policy build`, `bundle build` and a sidecar name the same content alike."""
    one = outrider("policy", "build", tree, "-o", tmp_path / "a.tar.gz", "--json").json
    assert one["revision"] == built(tree, tmp_path / "b.tar.gz")["revision"]
