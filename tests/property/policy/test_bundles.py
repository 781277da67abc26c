"""Laws of bundles: one input, one archive; any edit is refused or changes nothing that is read."""

import gzip
import io
import tarfile

import pytest
from hypothesis import example, given, settings, strategies as st

from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed, read_whole, write_archive
from outrider.policy.signature import UnverifiedError, verify
from tests.support.bundles import SCOPE, a_bundle, a_signing_key, bundle_files, signed

KEY = a_signing_key()
KEYS = {KEY.id: KEY.verifying}
BUNDLE = a_bundle(x=1)
FILES = read_whole(Packed(name="b", content=BUNDLE))
PLAIN = gzip.decompress(BUNDLE)
HARMLESS = 10
"""How many bytes may say nothing of what is packed: gzip's time, level, system and flags, and what
fills up the last byte of what it compressed."""

parts = st.text("abc0.-_", min_size=1, max_size=6).filter(lambda part: part.strip("."))
names = st.lists(parts, min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=64), max_size=6)


def read(packed):
    return read_whole(Packed(name="b", content=packed))


def proved(packed):
    files = read(packed)
    verify(files, KEYS, SCOPE)
    return files


@given(trees, st.randoms())
def test_the_same_files_make_the_same_bytes_in_any_order(files, random):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert write_archive(dict(shuffled)) == write_archive(files)
    assert read(write_archive(files)) == files


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_every_byte_flipped_is_refused_or_reads_the_same(bit):
    refused = 0
    for place in range(len(BUNDLE)):
        flipped = bytearray(BUNDLE)
        flipped[place] ^= bit
        try:
            assert proved(bytes(flipped)) == FILES
        except ConfigError:
            refused += 1
    assert refused >= len(BUNDLE) - HARMLESS


@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_every_byte_flipped_inside_is_refused_or_reads_the_same(place, mask):
    """Packed anew, so that gzip's own checksum does not help."""
    flipped = bytearray(PLAIN)
    flipped[place] ^= mask
    try:
        assert proved(gzip.compress(bytes(flipped), mtime=0)) == FILES
    except ConfigError:
        return


@given(st.integers(0, len(BUNDLE) - 1))
def test_cut_anywhere_it_is_refused(length):
    with pytest.raises(ConfigError):
        read(BUNDLE[:length])


@given(st.binary(min_size=1, max_size=20))
@example(b"\0")
def test_with_more_behind_it_is_refused_or_reads_the_same(more):
    try:
        assert proved(BUNDLE + more) == FILES
    except ConfigError:
        return


@given(st.binary(max_size=400))
@example(b"\x1f\x8b")
def test_bytes_of_anybody_raise_nothing_but_faults(content):
    try:
        read(content)
    except ConfigError:
        return


HEADERS = {
    "name": st.text(max_size=12) | st.sampled_from(["../x", "/x", "a/../../x", ".", "", "a\\b"]),
    "type": st.sampled_from([bytes([one]) for one in b"01234567xgLKSVM\0"]),
    "linkname": st.sampled_from(["", "/etc/passwd", "../x"]),
    "mode": st.integers(0, 0o7777),
}


@given(st.lists(st.fixed_dictionaries(HEADERS), max_size=4), st.binary(max_size=600))
def test_no_archive_names_a_place_outside(headers, content):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for header in headers:
            member = tarfile.TarInfo(header["name"] or "x")
            member.type, member.mode = header["type"], header["mode"]
            member.linkname, member.size = header["linkname"], len(content)
            try:
                archive.addfile(member, io.BytesIO(content))
            except (ValueError, UnicodeError):
                continue
    try:
        files = read(gzip.compress(plain.getvalue()))
    except ConfigError:
        return
    for name in files:
        assert not name.startswith("/")
        assert ".." not in name.split("/")


files_of = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([b"{}", b"x", b"[]"]) for name in (*bundle_files(), "more")}
)


@given(files_of)
@example(bundle_files())
def test_a_signature_is_for_its_files_and_no_others(files):
    proof = signed(bundle_files())[".signatures.json"]
    given_files = {**files, ".signatures.json": proof}
    if files == bundle_files():
        assert verify(given_files, KEYS, SCOPE).key == KEY.id
        return
    with pytest.raises(UnverifiedError):
        verify(given_files, KEYS, SCOPE)


def head(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def blocks(content):
    return content + b"\0" * (-len(content) % tarfile.BLOCKSIZE)


HIDDEN = blocks(head("hidden.rego", 3) + b"abc")
WORDS = (b"path=b", b"size=0", b"9 path=b\n", b"10 path=b\n", b"10 size=0\n", b"GNU.sparse.size=1")
letters = st.sampled_from(b"0189a =\n\t\0").map(lambda letter: bytes([letter]))
said = st.lists(letters | st.sampled_from(WORDS), max_size=8).map(b"".join)


@given(
    said,
    st.binary(max_size=8),
    st.sampled_from([b"x", b"X", b"g", b"L", b"K"]),
    st.integers(-1, 1),
)
def test_what_stands_in_a_file_is_read_as_nothing_else(text, behind, kind, off):
    """However an extended header is made, the file after it is as long as its own header says."""
    size = max(0, len(text) + off)
    plain = head("p", size, kind) + blocks(text + behind)
    plain += head("a.rego", len(HIDDEN)) + HIDDEN + head("b.rego", 0)
    try:
        files = read(gzip.compress(plain + b"\0" * 1024, 1))
    except ConfigError:
        return
    assert sorted(map(len, files.values())) == [0, len(HIDDEN)]
    assert HIDDEN in files.values()
