import gzip

import pytest

from outrider.core.errors import MalformedError, TooLargeError
from outrider.server.gunzip import Gunzip


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_one_member_comes_out_whole(step):
    plain = bytes(range(256)) * 200
    data = gzip.compress(plain)
    decoder = Gunzip(1 << 20)
    out = b"".join(decoder.feed(data[at : at + step]) for at in range(0, len(data), step))
    decoder.end()
    assert out == plain


def test_the_limit_is_a_limit():
    decoder = Gunzip(100)
    assert len(decoder.feed(gzip.compress(b"a" * 100))) == 100
    with pytest.raises(TooLargeError):
        Gunzip(100).feed(gzip.compress(b"a" * 101))


def test_growth_past_twenty_times_is_refused_well_before_the_limit():
    with pytest.raises(TooLargeError) as caught:
        Gunzip(1 << 30).feed(gzip.compress(b"a" * 10_000_000))
    assert caught.value.limit_bytes < 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not gzip at all", id="plain"),
        pytest.param(gzip.compress(b"a") + b"x", id="trailing"),
        pytest.param(gzip.compress(b"a") * 2, id="two-members"),
        pytest.param(gzip.compress(b"abcdef")[:-1] + b"\x07", id="wrong-length"),
    ],
)
def test_what_is_not_one_member_is_refused(data):
    with pytest.raises(MalformedError):
        Gunzip(1 << 20).feed(data)


def test_a_stream_cut_short_is_refused_at_its_end():
    decoder = Gunzip(1 << 20)
    decoder.feed(gzip.compress(b"hello")[:-3])
    with pytest.raises(MalformedError):
        decoder.end()
