"""Names and URIs: literal, in one spelling, and what could be mistaken for them."""

import pytest

from outrider.core.errors import MalformedError
from outrider.protocols.adapters.mcp.names import (
    check_uri,
    has_invisible,
    is_name,
    lookalike_of,
    uri_host,
)


@pytest.mark.parametrize("name", ["a", "get_user", "A-b.c", "x" * 128, "0"])
def test_names_of_the_one_alphabet_are_taken(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "a/b", "a b", ".", "..", "x" * 129, "é", "a\n", 7, None])
def test_case_16_other_names_are_not(name: object) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    "name",
    ["Search", "SEARCH", "se\u0430rch", "\uff53earch", "searc\u04bb"],
    ids=["capital", "capitals", "cyrillic-a", "full-width", "cyrillic-h"],
)
def test_case_17_lookalikes_are_recognised(name: str) -> None:
    assert lookalike_of(name, ["search", "other"]) == "search"


@pytest.mark.parametrize(("name", "known"), [("tool0", "toolO"), ("I", "l"), ("rn", "m")])
def test_case_17_letters_drawn_alike_are_recognised(name: str, known: str) -> None:
    assert lookalike_of(name, [known]) == known


@pytest.mark.parametrize("name", ["search", "search2", "find", "research"])
def test_case_17_near_misses_are_not_lookalikes(name: str) -> None:
    assert lookalike_of(name, ["search"]) is None


@pytest.mark.parametrize(
    "uri",
    [
        "note://a/b",
        "https://a.example:8443/x?y=1#z",
        "file:///etc/hosts",
        "test://template/123/data",
        "a:b%20c",
        "https://[::1]/x",
    ],
)
def test_canonical_uris_pass_unchanged(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "HTTPS://a.example/",
        "https://A.example/",
        "https://u:p@a.example/",
        "https:///x",
        "https://a.example:99999/",
        "note://a/../b",
        "note://a/%2e%2E/b",
        "note://a/%2e%2e%2fb",
        "note://a/..%5cb",
        "note://a/./b",
        "note://a b",
        "note://a\\b",
        "note://a%00b",
        "note://a%ff",
        "note://a%zz",
        "note://é",
        "/relative",
        "note://{id}",
        "",
        7,
    ],
)
def test_other_spellings_are_refused(uri: object) -> None:
    with pytest.raises(MalformedError) as refused:
        check_uri(uri)
    assert refused.value.code == -32602


def test_templates_may_hold_expressions() -> None:
    assert check_uri("note://{id}/x", template=True) == "note://{id}/x"


def test_the_host_of_a_network_uri_is_a_destination() -> None:
    assert uri_host("https://a.example/x") == "a.example"
    assert uri_host("note://a.example/x") is None


def test_characters_that_do_not_show_are_found() -> None:
    assert not has_invisible("plain é ü 漢字")
    assert all(has_invisible("a" + chr(code)) for code in (0x200B, 0x202E, 0x2066, 0xE0041, 0xFEFF))
