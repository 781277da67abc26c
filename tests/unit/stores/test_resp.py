"""RESP2 in pieces of any size, and what is no RESP2."""

import pytest
from hypothesis import given, strategies as st

from outrider.stores.resp import BULK_BYTES, Replies, RespError, ServerError, command


def test_a_command_is_written_with_the_length_of_its_parts():
    assert command(b"GET", b"") == b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
    assert command(b"a\r\nb") == b"*1\r\n$4\r\na\r\nb\r\n"


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"+OK\r\n", b"OK"),
        (b":12\r\n", 12),
        (b":-1\r\n", -1),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"$0\r\n\r\n", b""),
        (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
        (b"*0\r\n", []),
        (b"*2\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n", [1, [b"x", None]]),
    ],
)
def test_a_reply_is_read(data, reply):
    assert Replies().feed(data) == [reply]


def test_an_error_is_a_value_with_its_first_word():
    (reply,) = Replies().feed(b"-NOSCRIPT No matching script.\r\n")
    assert isinstance(reply, ServerError)
    assert reply.code == "NOSCRIPT"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another-protocol"),
        pytest.param(b"\r\n", id="empty-line"),
        pytest.param(b"$+3\r\n", id="signed-length"),
        pytest.param(b"$-2\r\n", id="less-than-nothing"),
        pytest.param(b"$1_0\r\n", id="underscore"),
        pytest.param(b"$\r\n", id="no-length"),
        pytest.param(b"$2\r\nabc\r\n", id="longer-than-said"),
        pytest.param(b"$%d\r\n" % (BULK_BYTES + 1), id="too-large"),
        pytest.param(b"*16385\r\n", id="too-many"),
        pytest.param(b"*1\r\n" * 5, id="too-deep"),
        pytest.param(b":" + b"9" * 30 + b"\r\n", id="no-number-of-64-bits"),
        pytest.param(b"+" + b"x" * 5000, id="line-without-end"),
        pytest.param(b"%1\r\n", id="another-version"),
    ],
)
def test_what_is_no_reply_is_a_fault(data):
    with pytest.raises(RespError):
        Replies().feed(data)


REPLIES = st.recursive(
    st.one_of(st.none(), st.integers(-(1 << 63), 1 << 63), st.binary(max_size=40)),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def _depth(reply):
    return 1 + max(map(_depth, reply), default=0) if isinstance(reply, list) else 0


def _written(reply):
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(_written, reply))


@given(
    st.lists(REPLIES.filter(lambda r: _depth(r) <= 4), max_size=5),
    st.lists(st.integers(1, 9), min_size=1, max_size=20),
)
def test_in_whatever_pieces_it_comes_it_is_read_the_same(replies, sizes):
    data = b"".join(map(_written, replies))
    reader, found, at = Replies(), [], 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        found += reader.feed(data[at : at + size])
        at += size
    assert found == replies


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    reader = Replies()
    try:
        reader.feed(data)
    except RespError:
        return
