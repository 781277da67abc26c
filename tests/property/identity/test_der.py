"""Certificates of others are bytes of others: whatever they are, the answer is a value or our own
refusal."""

import pytest
from cryptography import x509
from hypothesis import given, strategies as st

from outrider.identity.reasons import PeerRefusedError
from outrider.identity.x509 import SvidError, check_leaf, read_certificates, split_der
from tests.support.spiffe_ca import a_ca

LEAF = a_ca().svid(common="w", names=(x509.DNSName("w.a.test"),)).der
LARGEST = 16_384


def _encoded(body: bytes) -> bytes:
    """`body` as a SEQUENCE, its length as short as can be."""
    size = len(body)
    if size < 0x80:
        return bytes((0x30, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x30, 0x80 | len(octets))) + octets + body


BODIES = st.binary(max_size=300) | st.integers(0, 70_000).map(bytes)
HEADERS = st.sampled_from([b"\x30", b"\x31", b"\x30\x80", b"\x30\x81", b"\x30\x82\x00", b""])
TAILS = st.binary(max_size=4)
NEAR = st.builds(
    lambda whole, header, tail: b"".join(whole) + header + tail,
    st.lists(BODIES.map(_encoded), max_size=3),
    HEADERS,
    TAILS,
)


def _oracle(data: bytes, limit: int) -> list[bytes] | None:
    """What a plain reader of the shortest form finds, from the front; None for anything else."""
    found = []
    while data:
        for size in range(min(len(data), LARGEST + 6) + 1):
            whole = data[:size]
            body = next(
                (whole[skip:] for skip in (2, 3, 4, 5) if _encoded(whole[skip:]) == whole), None
            )
            if size >= 2 and body is not None and len(body) <= LARGEST:
                found.append(whole)
                data = data[size:]
                break
        else:
            return None
        if len(found) > limit:
            return None
    return found


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_was_put_together_comes_apart_the_same(bodies: list[bytes]):
    parts = [_encoded(body) for body in bodies]
    assert list(split_der(b"".join(parts))) == parts


@given(st.integers(0, 20_000))
def test_every_length_up_to_the_largest_is_taken(size: int):
    whole = _encoded(bytes(size))
    if size <= LARGEST:
        assert split_der(whole) == (whole,)
    else:
        with pytest.raises(SvidError):
            split_der(whole)


@given(st.binary(max_size=64) | NEAR, st.integers(0, 4))
def test_arbitrary_bytes_are_split_whole_or_refused(data: bytes, limit: int):
    try:
        found = split_der(data, limit=limit)
    except SvidError:
        return
    assert b"".join(found) == data
    assert len(found) <= limit
    assert all(part[0] == 0x30 and len(part) >= 2 for part in found)


SHORT = st.builds(
    lambda whole, header, tail: b"".join(whole) + header + tail,
    st.lists(st.binary(max_size=12).map(_encoded), max_size=3),
    HEADERS,
    TAILS,
)


@given(st.binary(max_size=12) | SHORT, st.integers(0, 4))
def test_the_splitter_agrees_with_a_plain_reader(data: bytes, limit: int):
    expected = _oracle(data, limit)
    try:
        found: list[bytes] | None = list(split_der(data, limit=limit))
    except SvidError:
        found = None
    assert found == expected


@given(st.integers(0, len(LEAF) - 1), st.integers(1, 255))
def test_a_leaf_with_any_byte_changed_is_read_or_refused(at: int, change: int):
    data = bytearray(LEAF)
    data[at] ^= change
    try:
        leaf = check_leaf(bytes(data))
    except PeerRefusedError:
        return
    assert leaf.spiffe_id.path


@given(st.integers(0, len(LEAF)), st.integers(0, len(LEAF)), st.binary(max_size=8))
def test_a_leaf_with_a_piece_replaced_is_read_or_refused(one: int, other: int, piece: bytes):
    begin, end = min(one, other), max(one, other)
    try:
        leaf = check_leaf(LEAF[:begin] + piece + LEAF[end:])
    except PeerRefusedError:
        return
    assert leaf.spiffe_id.path


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_certificates_or_refused(data: bytes):
    with pytest.raises(SvidError):
        read_certificates(data, limit=8)
