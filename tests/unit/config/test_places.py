"""What is not as the settings want it is warned of, and refuses nothing."""

import socket
from pathlib import Path
from typing import Any

import pytest

from outrider.config.load import load
from outrider.config.places import check_files, warnings
from outrider.core.errors import ConfigError
from tests.support.command import write_settings
from tests.support.tls import an_authority


def warned(room: Path, **settings: Any) -> list[str]:
    return list(warnings(load(write_settings(room, **settings), {})))


def faulted(room: Path, **settings: Any) -> list[str]:
    """The keys of the files that the start could not read."""
    try:
        check_files(load(write_settings(room, **settings), {}))
    except ConfigError as fault:
        return [line.partition(":")[0] for line in str(fault).splitlines()]
    return []


def an_api(address: str) -> dict[str, Any]:
    return {"source": "workload_api", "workload_api": {"address": address}}


def test_a_socket_that_is_there_is_not_spoken_of(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        assert warned(tmp_path, identity=an_api(f"unix://{path}")) == []


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        pytest.param("none.sock", "No such file or directory", id="absent"),
        pytest.param("file/a.sock", "Not a directory", id="below-a-file"),
        pytest.param("file", "is no socket", id="a-file"),
        pytest.param(".", "is no socket", id="a-folder"),
    ],
)
def test_a_socket_that_is_none_is_named_with_its_flaw(tmp_path: Path, name: str, flaw: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / name
    (said,) = warned(tmp_path, identity=an_api(f"unix://{path}"))
    assert str(path) in said
    assert flaw in said


@pytest.mark.parametrize(
    ("call", "flaw"),
    [
        pytest.param("stat", "its folder does not let this user in", id="folder"),
        pytest.param("access", "does not let this user connect", id="socket"),
    ],
)
def test_a_socket_that_is_not_for_us_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, flaw: str
) -> None:
    path = tmp_path / "a.sock"

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        loaded = load(write_settings(tmp_path, identity=an_api(f"unix://{path}")), {})
        if call == "stat":
            monkeypatch.setattr(Path, "stat", refused)
        else:
            monkeypatch.setattr("os.access", lambda *_: False)
        (said,) = warnings(loaded)
    assert flaw in said


@pytest.mark.parametrize(
    ("present", "named"),
    [
        pytest.param((), ["identity.files.directory"], id="no-folder"),
        pytest.param(
            ("svid/svid.pem",),
            ["identity.files.key", "identity.files.bundle"],
            id="some-of-its-files",
        ),
        pytest.param(
            ("svid/svid.pem", "svid/svid_key.pem", "svid/svid_bundle.pem"), [], id="all-of-them"
        ),
    ],
)
def test_each_file_of_an_svid_that_is_not_there_is_a_fault(
    tmp_path: Path, present: tuple[str, ...], named: list[str]
) -> None:
    for name in present:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    identity = {"source": "files", "files": {"directory": "svid"}}
    assert faulted(tmp_path, identity=identity) == named


@pytest.mark.parametrize("make", ["nothing", "folder"])
def test_a_bundle_document_that_is_no_file_is_a_fault(tmp_path: Path, make: str) -> None:
    if make == "folder":
        (tmp_path / "b.json").mkdir()
    identity = {"trust_bundles": {"b.test": "b.json"}}
    assert faulted(tmp_path, identity=identity) == ["identity.trust_bundles.b.test"]


def test_a_file_that_is_not_for_us_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.json").touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    identity = {"trust_bundles": {"b.test": "b.json"}}
    assert faulted(tmp_path, identity=identity) == ["identity.trust_bundles.b.test"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        pytest.param("redis", ["stores.redis.password_file"], id="used"),
        pytest.param("sqlite", [], id="another-store"),
    ],
)
def test_a_file_of_the_store_that_is_not_there_is_a_fault_where_the_store_is_used(
    tmp_path: Path, kind: str, keys: list[str]
) -> None:
    place = {"url": "rediss://store.test", "password_file": "pass"}
    assert faulted(tmp_path, stores={"kind": kind, "redis": place}) == keys


def test_a_workload_api_over_tcp_is_not_looked_for(tmp_path: Path) -> None:
    assert warned(tmp_path, identity=an_api("tcp://127.0.0.1:1")) == []


INGRESS = {"ingress": {"addresses": ["127.0.0.1:0"]}}


@pytest.mark.parametrize(
    ("upstreams", "count"),
    [
        pytest.param({}, 1, id="nobody-can-call-in"),
        pytest.param(
            {"agent": {"url": "http://127.0.0.1:1", "prefix": "/", "direction": "ingress"}},
            0,
            id="somebody-can",
        ),
    ],
)
def test_an_ingress_that_nothing_is_behind_is_warned_of(
    tmp_path: Path, upstreams: dict[str, Any], count: int
) -> None:
    identity = an_api("tcp://127.0.0.1:1")
    said = warned(tmp_path, identity=identity, listeners=INGRESS, upstreams=upstreams)
    assert len(said) == count
    assert all("no upstream has direction ingress" in line for line in said)


def test_the_files_of_policys_delivery_are_looked_at(tmp_path: Path) -> None:
    policy = {
        "bundle": {"url": "oci://reg.test/a:b", "ca_file": "ca.pem", "token_file": "token"},
        "signature": {"keys": {"release": {"file": "release.pem"}}},
    }
    authority = an_authority().pem
    (tmp_path / "ca.pem").write_bytes(authority)
    assert faulted(tmp_path, policy=policy) == [
        "policy.signature.keys.release.file",
        "policy.bundle.token_file",
    ]
    for name in ("release.pem", "token"):
        (tmp_path / name).touch()
    assert faulted(tmp_path, policy=policy) == []
