"""An upstream that sends our credential back does not give it to the agent."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from outrider.core.ports import Lease
from outrider.core.secret import Secret
from outrider.pipeline.echo import SOUGHT_BYTES, EchoFilter
from tests.support.builders import a_response_head

TOKEN = "tok-4f/9a+71c2e6"


def a_filter(value: str = f"Bearer {TOKEN}") -> EchoFilter:
    return EchoFilter(
        Lease(
            id="l",
            provider="file",
            fingerprint="hmac:1",
            expires_unix_s=None,
            headers=(("authorization", Secret(value)),),
        )
    )


def passed(echo: EchoFilter, *chunks: bytes) -> bytes:
    return b"".join(echo.feed(chunk) for chunk in chunks) + echo.end()


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(TOKEN.encode(), id="plain"),
        pytest.param(f"Bearer {TOKEN}".encode(), id="with-its-scheme"),
        pytest.param(base64.b64encode(TOKEN.encode()), id="base64"),
        pytest.param(base64.urlsafe_b64encode(TOKEN.encode()), id="base64-for-urls"),
        pytest.param(quote(TOKEN, safe="").encode(), id="percent"),
    ],
)
def test_the_credential_is_taken_out_in_each_of_its_forms(form: bytes) -> None:
    echo = a_filter()
    text = passed(echo, b'{"you sent":"' + form + b'"}')
    assert b"[redacted]" in text
    assert TOKEN.encode() not in text
    assert form.rstrip(b"=") not in text
    assert echo.found == 1


@given(st.lists(st.integers(1, 40), max_size=8))
def test_it_is_found_across_the_edges_of_pieces(sizes: list[int]) -> None:
    body = b"before " + TOKEN.encode() + b" between " + TOKEN.encode() + b" after"
    chunks, at = [], 0
    for size in sizes:
        chunks.append(body[at : at + size])
        at += size
    chunks.append(body[at:])
    echo = a_filter()
    assert passed(echo, *chunks) == b"before [redacted] between [redacted] after"
    assert echo.found == 2


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_what_holds_no_credential_passes_unchanged(chunks: list[bytes]) -> None:
    assert passed(a_filter(), *chunks) == b"".join(chunks)


def test_headers_are_searched_too() -> None:
    echo = a_filter()
    head = echo.head(a_response_head(headers=(("x-echo", f"got {TOKEN}"), ("x-other", "é"))))
    assert head.headers == (("x-echo", "got [redacted]"), ("x-other", "é"))
    assert echo.found == 1


def test_a_near_miss_is_left_alone() -> None:
    assert passed(a_filter(), TOKEN[:-1].encode()) == TOKEN[:-1].encode()


def test_a_secret_too_short_to_be_told_from_text_is_not_sought() -> None:
    echo = a_filter("abc")
    assert passed(echo, b"abc abc", b"", b"abc") == b"abc abcabc"
    head = a_response_head(headers=(("x-echo", "abc"),))
    assert echo.head(head) == head
    assert echo.found == 0


def test_beyond_the_bound_nothing_is_searched_and_nothing_is_lost() -> None:
    body = [b"x" * SOUGHT_BYTES, b"tail"]
    assert passed(a_filter(), *body) == b"".join(body)


def test_an_event_does_not_wait_for_the_next_piece() -> None:
    echo = a_filter()
    assert echo.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert echo.feed(b"data: " + TOKEN[:5].encode()) == b"data: "
    assert echo.feed(b" no\n\n") == TOKEN[:5].encode() + b" no\n\n"
