"""The ladder to an OPA: named, on the path, cached, built, downloaded; too old is none."""

import hashlib
import urllib.error
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.policy import opa_install
from outrider.policy.opa_install import OpaPlaces, check_version, find, install, version_of


def a_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def an_opa(path: Path, version: str = "1.20.2") -> Path:
    return a_script(path, f"echo Version: {version}; echo Build Commit: x")


def content_of(version: str = "1.20.2") -> bytes:
    return f"#!/bin/sh\necho Version: {version}\n".encode()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def places(tmp_path: Path) -> OpaPlaces:
    return OpaPlaces(cache=tmp_path / "cache", search_path=str(tmp_path / "bin"))


def with_changes(places: OpaPlaces, **changes) -> OpaPlaces:
    fields = {"cache": places.cache, "search_path": places.search_path}
    return OpaPlaces(**fields | changes)


@pytest.mark.parametrize("version", ["1.18.1", "1.19.0", "1.20.2", "2.0.0"])
def test_these_versions_are_accepted(version):
    check_version(version, "it")


@pytest.mark.parametrize(
    "version", ["1.18.0", "1.17.9", "1.4.0", "0.70.0", "", "1.20", "x", "1.2.3-"]
)
def test_these_versions_are_refused(version):
    with pytest.raises(ConfigError):
        check_version(version, "it")


def test_the_named_one_is_taken_and_no_other(places, tmp_path):
    named = an_opa(tmp_path / "mine", "1.19.0")
    an_opa(tmp_path / "bin" / "opa")
    found = find(with_changes(places, binary=named))
    assert (found.path, found.version) == (named, "1.19.0")


def test_where_the_named_one_is_too_old_nothing_else_is_tried(places, tmp_path):
    named = an_opa(tmp_path / "mine", "1.18.0")
    an_opa(tmp_path / "bin" / "opa")
    with pytest.raises(ConfigError, match=r"1\.18\.0; at least 1\.18\.1"):
        find(with_changes(places, binary=named))


def test_the_path_goes_before_the_cache(places, tmp_path):
    on_path = an_opa(tmp_path / "bin" / "opa", "1.19.0")
    an_opa(places.cache / "opa" / "1.20.2" / "opa")
    assert find(places).path == on_path


def test_one_too_old_on_the_path_falls_back_to_the_cache(places, tmp_path):
    an_opa(tmp_path / "bin" / "opa", "1.4.0")
    cached = an_opa(places.cache / "opa" / "1.20.2" / "opa")
    assert find(places).path == cached


def test_of_the_cached_the_recommended_goes_first(places):
    for version in ("1.18.1", "1.20.2", "1.21.0"):
        an_opa(places.cache / "opa" / version / "opa", version)
    assert find(places).version == "1.20.2"


def test_nothing_found_says_what_was_tried_and_what_to_do(places, tmp_path):
    an_opa(tmp_path / "bin" / "opa", "1.4.0")
    with pytest.raises(ConfigError) as caught:
        find(places)
    for words in ("1.4.0", str(places.cache), "outrider opa install", "policy.opa.binary"):
        assert words in str(caught.value)


def test_an_empty_machine_is_told_that_its_path_has_none(places):
    with pytest.raises(ConfigError, match="no `opa` on the path"):
        find(places)


def test_the_pinned_hash_is_checked_against_the_bytes(places, tmp_path):
    named = an_opa(tmp_path / "mine")
    assert find(with_changes(places, binary=named, sha256=sha256(named))).path == named
    with pytest.raises(ConfigError, match=r"not what policy\.opa\.sha256 pins"):
        find(with_changes(places, binary=named, sha256="0" * 64))


def test_one_with_another_hash_is_never_even_run(places, tmp_path):
    trap = tmp_path / "ran"
    named = a_script(tmp_path / "mine", f"touch {trap}; echo Version: 1.20.2")
    with pytest.raises(ConfigError):
        find(with_changes(places, binary=named, sha256="0" * 64))
    assert not trap.exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("exit 3", id="fails"),
        pytest.param("echo hello", id="says nothing"),
        pytest.param("echo Version: one", id="no number"),
    ],
)
def test_what_does_not_answer_as_opa_is_none(tmp_path, text):
    with pytest.raises(ConfigError):
        version_of(a_script(tmp_path / "opa", text))


def test_what_is_not_there_is_none(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        version_of(tmp_path / "opa")


def test_go_builds_it_into_the_cache_without_cgo(places, tmp_path):
    a_script(
        tmp_path / "bin" / "go",
        'printf "%s\\n" "#!/bin/sh" "echo Version: 1.20.2" > "$GOBIN/opa"\n'
        f'echo "$CGO_ENABLED $*" > {tmp_path}/asked',
    )
    installed = install(places, {"PATH": f"{tmp_path}/bin"})
    assert installed.path == places.cache / "opa" / "1.20.2" / "opa"
    asked = (tmp_path / "asked").read_text(encoding="ascii")
    assert asked == "0 install github.com/open-policy-agent/opa@v1.20.2\n"
    assert [entry.name for entry in installed.path.parent.iterdir()] == ["opa"]
    assert find(places).path == installed.path


def test_without_go_the_release_is_fetched_and_held_against_its_checksum(places, tmp_path):
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        if url.endswith(".sha256"):
            return f"{hashlib.sha256(content_of()).hexdigest()}  opa_linux_amd64_static\n".encode()
        return content_of()

    installed = install(places, {"PATH": str(tmp_path)}, fetch=fetch)
    assert installed.version == "1.20.2"
    assert all(url.startswith("https://github.com/open-policy-agent/opa/") for url in asked)
    assert all("/v1.20.2/opa_" in url for url in asked)


@pytest.mark.parametrize(
    ("checksum", "content"),
    [
        pytest.param(b"0" * 64, content_of(), id="mismatch"),
        pytest.param(b"<html>", content_of(), id="no checksum"),
        pytest.param(b"", content_of(), id="empty checksum"),
        pytest.param(
            hashlib.sha256(content_of("1.4.0")).hexdigest().encode(), content_of("1.4.0"), id="old"
        ),
    ],
)
def test_a_release_that_is_not_what_was_published_leaves_nothing(
    places, tmp_path, checksum, content
):
    def fetch(url: str) -> bytes:
        return checksum if url.endswith(".sha256") else content

    with pytest.raises(ConfigError):
        install(places, {"PATH": str(tmp_path)}, fetch=fetch)
    assert list((places.cache / "opa" / "1.20.2").iterdir()) == []


def test_where_neither_way_works_both_are_told(places, tmp_path):
    a_script(tmp_path / "bin" / "go", "echo no network >&2; exit 1")

    def fetch(url: str) -> bytes:
        raise OSError("unreachable")

    with pytest.raises(ConfigError) as caught:
        install(places, {"PATH": f"{tmp_path}/bin"}, fetch=fetch)
    assert "no network" in str(caught.value)
    assert "unreachable" in str(caught.value)


@pytest.mark.parametrize("version", ["1.18.0", "latest", "../../etc", "1.20.2 -x"])
def test_what_is_no_accepted_version_is_not_installed(places, version):
    with pytest.raises(ConfigError):
        install(places, {}, version)
    assert not places.cache.exists()


def test_a_cache_that_cannot_be_written_is_named(places):
    places.cache.write_text("a file where the folder would be", encoding="ascii")
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        install(places, {})


def test_a_machine_that_no_release_is_made_for_is_named(places, tmp_path, monkeypatch):
    monkeypatch.setattr(opa_install.platform, "machine", lambda: "sparc64")

    def fetch(url: str) -> bytes:
        raise AssertionError(url)

    with pytest.raises(ConfigError, match=r"no static release for \w+/sparc64"):
        install(places, {"PATH": str(tmp_path)}, fetch=fetch)


def test_a_pinned_one_that_is_not_there_is_named(places, tmp_path):
    with pytest.raises(ConfigError, match="mine cannot be read: No such file"):
        find(with_changes(places, binary=tmp_path / "mine", sha256="0" * 64))


def test_where_the_network_is_away_its_reason_is_told(places, tmp_path):
    def fetch(url: str) -> bytes:
        raise urllib.error.URLError("no route to host")

    with pytest.raises(ConfigError, match="_static: no route to host"):
        install(places, {"PATH": str(tmp_path)}, fetch=fetch)


def test_what_is_fetched_has_a_bound(monkeypatch):
    monkeypatch.setattr(opa_install, "_MAX_BYTES", 5)
    assert opa_install._fetch("data:,12345") == b"12345"
    with pytest.raises(ValueError, match="larger than any OPA"):
        opa_install._fetch("data:,123456")
