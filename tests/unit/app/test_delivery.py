"""Where policy comes from, as settings say it."""

from pathlib import Path
from typing import Any

import pytest

from outrider.app.delivery import (
    NotFetchedError,
    delivery_of,
    ledger_of,
    name_of,
    source_at_rest,
    source_of,
    trust_of,
)
from outrider.config.delivery_checks import bundle_url
from outrider.config.load import Loaded, validate
from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed
from outrider.policy.shelf import Kept, Shelf
from tests.support.builders import FixedClock
from tests.support.bundles import a_bundle, a_signing_key, write_keys
from tests.support.tls import an_authority

URL = "https://p.test/b.tar.gz"


def loaded(room: Path, **policy: Any) -> Loaded:
    keys = {"release": {"file": "release.pem"}}
    given = {"signature": {"keys": keys}} | policy
    settings = validate({"data_dir": "data", "policy": given})
    return Loaded(settings=settings, base=room, source=None, pod_uid=None)


def fetching(room: Path, **bundle: Any) -> Loaded:
    return loaded(room, bundle={"url": URL, **bundle})


def begun(one: Loaded) -> Any:
    keeper: Any = object()
    return delivery_of(one, keeper, FixedClock(), None, lambda: None)


def test_policy_lies_in_files_unless_a_url_is_given(tmp_path: Path) -> None:
    assert source_of(loaded(tmp_path)).path == shipped_rego()
    assert source_of(loaded(tmp_path, path="mine")).path == tmp_path / "mine"
    assert source_of(fetching(tmp_path)).path is None
    assert begun(loaded(tmp_path)) is None
    assert begun(fetching(tmp_path)) is not None


def test_the_library_that_ships_is_trusted_and_one_of_ones_own_is_not(tmp_path: Path) -> None:
    assert trust_of(loaded(tmp_path)).shipped == shipped_rego()
    assert trust_of(loaded(tmp_path, path=str(shipped_rego()))).shipped is None
    assert trust_of(loaded(tmp_path), strict=True).shipped is None
    required = {"keys": {"release": {"file": "release.pem"}}, "local": "required"}
    assert trust_of(loaded(tmp_path, signature=required)).local
    assert not trust_of(loaded(tmp_path)).local


def test_keys_are_read_anew_each_time(tmp_path: Path) -> None:
    keys = trust_of(loaded(tmp_path)).keys
    with pytest.raises(ConfigError, match=r"policy\.signature\.keys\.release\.file .*release\.pem"):
        keys()
    write_keys(tmp_path)
    assert keys()["release"].pem() == a_signing_key().verifying.pem()
    other = a_signing_key("ES256", "other")
    (tmp_path / "release.pem").write_text(other.verifying.pem())
    assert keys()["release"].pem() == other.verifying.pem()


def test_without_a_sidecar_the_bundle_fetched_last_is_policy(tmp_path: Path) -> None:
    write_keys(tmp_path)
    one = fetching(tmp_path)
    with pytest.raises(NotFetchedError, match=r"no bundle of https://p\.test/b\.tar\.gz"):
        source_at_rest(one)
    packed = Packed(name=URL, content=a_bundle())
    Shelf(tmp_path / "data/policy").keep(Kept(packed=packed, etag="", confirmed_unix_s=0))
    source = source_at_rest(one)
    assert source.path == packed
    assert source.load().sequence == 1
    assert source_at_rest(loaded(tmp_path)).path == shipped_rego()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (URL, URL),
        ("oci://reg.test/a/b:prod", "https://reg.test/a/b:prod"),
        (f"oci://reg.test/b@sha256:{'0' * 64}", f"https://reg.test/b@sha256:{'0' * 64}"),
    ],
)
def test_a_place_is_named_without_secrets(text: str, name: str) -> None:
    url = bundle_url(text)
    assert url is not None
    assert name_of(url) == name


def test_what_was_in_force_is_remembered_in_the_data_folder(tmp_path: Path) -> None:
    ledger_of(loaded(tmp_path)).allow(3)
    assert (tmp_path / "data/policy/sequence.json").is_file()


def test_a_ca_file_that_holds_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.bundle\.ca_file is 'ca\.pem'"):
        begun(fetching(tmp_path, ca_file="ca.pem"))
    (tmp_path / "ca.pem").write_bytes(an_authority().pem)
    assert begun(fetching(tmp_path, ca_file="ca.pem")) is not None


@pytest.mark.parametrize("url", ["oci://reg.test/a:b", "oci+http://127.0.0.1:5000/a:b"])
def test_a_registry_is_a_source_too(tmp_path: Path, url: str) -> None:
    assert begun(loaded(tmp_path, bundle={"url": url})) is not None
