"""Archives: bounded, without links or names that lead out, and the same bytes every time."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.policy import archive
from outrider.policy.archive import Packed, fingerprint, read_tree, read_whole, write_archive
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


def a_hole():
    """A sparse file by PAX headers: a terabyte in a few hundred bytes."""
    member, content = named("a", b"1\n0\n0\n")
    member.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "a",
        "GNU.sparse.size": str(1 << 40), "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,0",
    }  # fmt: skip
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


def test_a_whole_reading_keeps_what_a_signature_speaks_of(tmp_path):
    content = packed(named(".signatures.json"), named("._a"), named("a"), named("b/.c"))
    whole = read_whole(Packed(name="b", content=content))
    assert sorted(whole) == ["._a", ".signatures.json", "a", "b/.c"]
    assert read_tree(Packed(name="b", content=content)) == {"a": b"x"}
    root = write_tree(tmp_path, {".signatures.json": "{}", ".git/config": "", "a": "1"})
    assert sorted(read_whole(root)) == [".signatures.json", "a"]


def test_reads_what_opa_builds():
    content = packed(named("/data.json", b"{}"), named("/a/b.rego"), named("/.manifest"))
    assert sorted(read_whole(Packed(name="b", content=content))) == [
        ".manifest", "a/b.rego", "data.json",
    ]  # fmt: skip


def test_reads_what_tar_writes_of_a_folder():
    folder = (named("./", b"", type=tarfile.DIRTYPE), named("./a/", b"", type=tarfile.DIRTYPE))
    content = packed(*folder, named("./a/b"))
    assert sorted(read_whole(Packed(name="b", content=content))) == ["a/b"]


def test_a_mounted_config_map_is_followed_to_its_new_content(tmp_path):
    """As kubelet writes it: files are links through `..data`, which is swapped whole."""
    for version in ("1", "2"):
        write_tree(
            tmp_path / f"..{version}", {"bundle.tar.gz": write_archive({"a": version.encode()})}
        )
    (tmp_path / "..data").symlink_to("..1")
    bundle = tmp_path / "bundle.tar.gz"
    bundle.symlink_to("..data/bundle.tar.gz")
    before = fingerprint(bundle)
    assert read_tree(bundle) == {"a": b"1"}
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert fingerprint(bundle) != before
    assert read_tree(bundle) == {"a": b"2"}


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    (tmp_path / "b.tar.gz").write_bytes(b"x" * 11)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_whole(tmp_path / "b.tar.gz")


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
        pytest.param(packed(named("/data.json"), named("a")), "leads out", id="half-rooted"),
        pytest.param(packed(named("/a"), named("/b")), "leads out", id="rooted-and-not-by-opa"),
        pytest.param(packed(named("/data.json"), named("//a")), "leads out", id="rooted-twice"),
        pytest.param(packed(named("/data.json"), named("/../a")), "leads out", id="rooted-dot-dot"),
        pytest.param(packed(named("a//b")), "two ways", id="a-doubled-slash"),
        pytest.param(packed(named("a/./b")), "two ways", id="a-dot-between"),
        pytest.param(packed(named("../d", b"", type=tarfile.DIRTYPE)), "leads", id="a-folder-out"),
        pytest.param(
            packed(named("a", b"", type=tarfile.GNUTYPE_SPARSE)), "no regular", id="sparse"
        ),
        pytest.param(a_hole(), "no regular", id="a-hole-of-a-terabyte"),
        pytest.param(packed(named("a", b"", type=tarfile.CHRTYPE)), "link", id="a-device"),
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
        pytest.param(packed(named("a")) + gzip.compress(b""), "after its end", id="two-members"),
        pytest.param(packed(named("a")) + b"x", "after its end", id="more-behind"),
    ],
)  # fmt: skip
def test_refuses(tmp_path, content, told):
    place = tmp_path / "b.tar.gz"
    place.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_tree(place)


def test_an_archive_may_be_padded_with_nothing(tmp_path):
    place = tmp_path / "b.tar.gz"
    place.write_bytes(packed(named("a")) + b"\0" * 512)  # as tapes were, and as gzip itself takes
    assert list(read_tree(place)) == ["a"]


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


def test_a_file_that_cannot_be_opened_is_said(tmp_path, monkeypatch):
    place = tmp_path / "b.tar.gz"
    place.write_bytes(write_archive({"a": b"1"}))

    def refused(*_args, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        read_whole(place)
