"""Names and URIs: literal, in one spelling, and what could be mistaken for them."""

import pytest

from outrider.core.errors import MalformedError
from outrider.protocols.adapters.mcp.names import (
    Lookalikes,
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


@pytest.mark.control("SC-02")
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
        "file:///a%20b/%C3%A9",
        "note://a//b",
        "note://a%2Fb",
        "note://100%25",
        "https://a.example?next=//b",
        "https://a.example/#//b",
        "postgres://db/table",
        "mailto:a@b.example",
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
        "note:..",
        "note:../b",
        "note://a/%2e%2E/b",
        "note://a/%2e%2e%2fb",
        "note://a/..%5cb",
        "note://a/./b",
        "note://a b",
        "note://a/%252e%252e/b",
        "note://a/%252E./b",
        "file:///%65tc/passwd",
        "file:///etc/%70asswd",
        "file:///a%7Eb",
        "note://%2D",
        "note://a%2fb",
        "file:////etc/passwd",
        "file:///etc//passwd",
        "file:/etc/passwd",
        "file:etc",
        "file://localhost/etc/passwd",
        "file://server.example/share",
        "https://a.example//admin",
        "https://127.1/",
        "https://2130706433/",
        "https://a.example./",
        "https://[0:0::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://xn--pypal-4ve.example/",
        "ssh://git@a.example/x",
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
    assert uri_host("sftp://a.example/x") == "a.example"
    assert uri_host("note://a.example/x") is None


def test_characters_that_do_not_show_are_found() -> None:
    assert not has_invisible("plain é ü 漢字")
    assert all(has_invisible("a" + chr(code)) for code in (0x200B, 0x202E, 0x2066, 0xE0041, 0xFEFF))


def test_among_many_names_the_one_that_looks_alike_is_found() -> None:
    alike = Lookalikes([f"tool_{number}" for number in range(500)] + ["delete_it", "DELETE_IT"])
    assert alike.of("Delete_it") == "delete_it"
    assert alike.of("delete_it") == "DELETE_IT"
    assert alike.of("tool_I") == "tool_1"
    assert alike.of("something_else") is None
    assert Lookalikes([]).of("a") is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        pytest.param("FILE:///x", "file:///a/b%20c", id="scheme"),
        pytest.param("file:///a b", "file:///a/b%20c", id="space"),
        pytest.param("file:///a%2fb", "in upper case, such as %2F", id="lower-escape"),
        pytest.param("file:///%61", "only where needed", id="needless"),
        pytest.param("file://localhost/x", "names a host: write file:///path", id="host"),
        pytest.param("file:x", "no absolute path: write file:///path", id="relative"),
    ],
)
def test_a_refused_uri_is_told_with_the_form_that_is_taken(uri: str, said: str) -> None:
    with pytest.raises(MalformedError) as refused:
        check_uri(uri)
    assert said in refused.value.detail
