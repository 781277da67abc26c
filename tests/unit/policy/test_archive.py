"""Archives: bounded, without links or names that lead out, and the same bytes every time."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.policy import archive
from outrider.policy.archive import fingerprint, read_tree, write_archive
from tests.support.policy import write_tree


def packed(*members):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


def named(name, content=b"x", **fields):
    member = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def test_writes_the_same_bytes_for_the_same_content():
    files = {"b": b"2", "a/c": b"1"}
    assert write_archive(files) == write_archive(dict(reversed(files.items())))


def test_reads_what_it_wrote(tmp_path):
    place = tmp_path / "b.tar.gz"
    place.write_bytes(write_archive({"outrider/a.rego": b"x", ".manifest": b"{}"}))
    assert read_tree(place) == {"outrider/a.rego": b"x", ".manifest": b"{}"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(packed(named("/etc/passwd")), "leads out", id="absolute"),
        pytest.param(packed(named("a/../../b")), "leads out", id="dot-dot"),
        pytest.param(packed(named("a\\b")), "leads out", id="backslash"),
        pytest.param(packed(named("a"), named("./a")), "twice", id="twice"),
        pytest.param(
            packed(named("a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "link",
            id="symbolic-link",
        ),
        pytest.param(
            packed(named("a"), named("b", b"", type=tarfile.LNKTYPE, linkname="a")), "link",
            id="hard-link",
        ),
        pytest.param(packed(named("a", b"", type=tarfile.FIFOTYPE)), "link", id="fifo"),
        pytest.param(b"not gzip", "readable", id="not-gzip"),
        pytest.param(gzip.compress(b"not tar" * 100), "readable", id="not-tar"),
        pytest.param(packed(named("a"))[:-20], "readable", id="cut-short"),
        pytest.param(gzip.compress(b"\0" * (33 << 20)), "more than", id="a-bomb"),
    ],
)  # fmt: skip
def test_refuses(tmp_path, content, told):
    place = tmp_path / "b.tar.gz"
    place.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_tree(place)


def test_refuses_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    root = write_tree(tmp_path / "tree", {"a": "", "b": "", "c": ""})
    with pytest.raises(ConfigError, match="more than 2 files"):
        read_tree(root)
    place = tmp_path / "b.tar.gz"
    place.write_bytes(write_archive({"a": b"", "b": b"", "c": b""}))
    with pytest.raises(ConfigError, match="more than 2 files"):
        read_tree(place)


def test_refuses_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_tree(write_tree(tmp_path, {"a": "x" * 6, "b": "x" * 6}))


def test_refuses_folders_without_end(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="nested"):
        read_tree(tmp_path)


def test_hidden_files_are_left_out_but_for_the_manifest(tmp_path):
    write_tree(tmp_path, {".git/x": "", ".manifest": "{}", "a/.hidden": "", "a/b": "1"})
    assert read_tree(tmp_path) == {".manifest": b"{}", "a/b": b"1"}


def test_a_fingerprint_changes_with_a_file_and_with_nothing_else(tmp_path):
    root = write_tree(tmp_path, {"a": "1", "b": "2"})
    before = fingerprint(root)
    assert fingerprint(root) == before
    write_tree(root, {"a": "longer"})
    assert fingerprint(root) != before
    assert len(fingerprint(root / "a")) == 1


def test_folders_and_hidden_members_of_an_archive_are_left_out(tmp_path):
    packed_tree = tmp_path / "tree.tar.gz"
    packed_tree.write_bytes(
        packed(
            named("./outrider", b"", type=tarfile.DIRTYPE),
            named("./.git/config"),
            named("./outrider/.hidden"),
            named("./outrider/main.rego", b"package outrider\n"),
        )
    )
    assert read_tree(packed_tree) == {"outrider/main.rego": b"package outrider\n"}


def test_a_tree_that_the_system_does_not_let_be_read_is_named():
    unreadable = Path("/proc/self/mem")  # a regular file whose first byte is nobody's
    with pytest.raises(ConfigError, match=r"/proc/self/mem cannot be read: Input/output error"):
        read_tree(unreadable)
