"""Addresses inside content."""

import pytest

from outrider.tasks.provenance.tokens import Token, tokens_in


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("see https://a.example/x.", [("url", "https://a.example/x")], id="url"),
        pytest.param("(www.a.example/x), ok", [("url", "www.a.example/x")], id="www"),
        pytest.param("[t](https://a.example/)", [("url", "https://a.example/")], id="markdown"),
        pytest.param('<a href="ftp://a.example">', [("url", "ftp://a.example")], id="html"),
        pytest.param("WWW.A.EXAMPLE", [("url", "WWW.A.EXAMPLE")], id="upper"),
        pytest.param("mail bob+x@a.example.", [("email", "bob+x@a.example")], id="email"),
        pytest.param("x@localhost", [], id="no-domain"),
        pytest.param("pay DE89 3704 0044 0532 0130 00 now", [
            ("iban", "DE89 3704 0044 0532 0130 00")], id="iban"),
        pytest.param("GB82WEST12345698765432", [("iban", "GB82WEST12345698765432")], id="solid"),
        pytest.param("ab12 words that follow here", [], id="words-are-no-iban"),
        pytest.param("nothing: here", [], id="nothing"),
    ],
)  # fmt: skip
def test_what_is_found(text: str, tokens: list[tuple[str, str]]) -> None:
    assert list(tokens_in(text)) == [Token(*token) for token in tokens]


def test_a_scheme_is_sought_backwards_and_so_far() -> None:
    assert list(tokens_in("x" * 40 + "https://a.example")) == [
        Token("url", "x" * 11 + "https://a.example")
    ]
    assert list(tokens_in("://a.example 9://b.example c:// d")) == []


def test_an_iban_is_sought_where_one_may_be() -> None:
    assert list(tokens_in("DE89370400440532013000", iban=False)) == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("NO93 8601 1117 947 with some word", "NO93 8601 1117 947", id="checked"),
        pytest.param("DE88 3704 0044 0532 0130 word", "DE88 3704 0044 0532 0130", id="unchecked"),
        pytest.param("ab12 cdef ghij 1234 5678", "ab12 cdef ghij 1234 5678", id="many-letters"),
        pytest.param("ab12 cdef ghij 1234 567", None, id="too-few-digits"),
    ],
)  # fmt: skip
def test_words_behind_an_iban_are_left_out(text: str, tokens: str | None) -> None:
    found = [token.text for token in tokens_in(text)]
    assert found == ([] if tokens is None else [tokens])
