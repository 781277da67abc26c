import pytest

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Reply
from outrider.server.reply import chunk, informative_length, reply_head, stream_head, whole_reply


def test_framing_is_ours_alone():
    headers = (
        ("content-type", "a/b"),
        ("content-length", "99"),
        ("transfer-encoding", "x"),
        ("connection", "keep-alive"),
    )
    assert reply_head(200, headers, 2, close=False) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("length", "close", "end"),
    [
        (None, False, b"transfer-encoding: chunked\r\n\r\n"),
        (-1, False, b"204 No Content\r\n\r\n"),
        (0, True, b"content-length: 0\r\nconnection: close\r\n\r\n"),
    ],
)
def test_each_framing_has_one_form(length, close, end):
    assert reply_head(204, (), length, close=close).endswith(end)


def test_a_status_without_a_phrase_is_still_a_status_line():
    assert reply_head(299, (), -1, close=False) == b"HTTP/1.1 299 \r\n\r\n"


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600])
def test_what_is_no_final_status_is_refused(status):
    with pytest.raises(EnforcementError):
        reply_head(status, (), 0, close=False)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\x00"])
def test_a_value_that_would_end_its_line_is_refused(value):
    with pytest.raises(EnforcementError):
        reply_head(200, (("x", value),), 0, close=False)


def test_a_chunk_says_its_size_in_hex():
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


@pytest.mark.parametrize(
    ("value", "length"), [("12", 12), ("-1", -1), ("x", -1), ("\u00b2", -1), ("1" * 19, -1)]
)
def test_a_length_is_digits(value, length):
    assert informative_length((("content-length", value),)) == length


def a_reply(status, *headers):
    return Reply(status=status, headers=headers, body=b"", settle=lambda _ending, _count: None)


@pytest.mark.parametrize(
    ("status", "method", "named", "sent", "says"),
    [
        (200, "GET", None, b"body", b"content-length: 4"),
        (200, "HEAD", None, b"", b"content-length: 4"),
        (200, "HEAD", "77", b"", b"content-length: 77"),
        (304, "GET", "77", b"", b"content-length: 77"),
        (204, "GET", "77", b"", None),
    ],
    ids=["whole", "head", "head-as-announced", "not-modified", "no-content"],
)
def test_an_answer_has_a_body_only_where_http_has_one(status, method, named, sent, says):
    reply = a_reply(status, *([("content-length", named)] if named else []))
    head, body = whole_reply(reply, b"body", method, close=False)
    assert body == sent
    assert (b"content-length" in head) is (says is not None)
    assert says is None or says + b"\r\n" in head


@pytest.mark.parametrize(
    ("status", "method", "bodiless", "says"),
    [
        (200, "GET", False, b"transfer-encoding: chunked"),
        (200, "HEAD", True, b"HTTP/1.1 200 OK\r\n\r\n"),
        (204, "GET", True, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
    ids=["chunks", "head", "no-content"],
)
def test_a_stream_has_chunks_only_where_http_has_a_body(status, method, bodiless, says):
    head, found = stream_head(a_reply(status), method, close=False)
    assert found is bodiless
    assert says in head
