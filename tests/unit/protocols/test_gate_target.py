import pytest
from hypothesis import given, strategies as st

from outrider.protocols.gate_target import (
    canonical_path,
    folded_path,
    is_authority,
    is_plain_path,
    is_query,
)

PIECES = st.sampled_from(
    [
        "/",
        "a",
        "B",
        ".",
        "..",
        "%2e",
        "%2F",
        "%41",
        "%zz",
        ";",
        "%20",
        "é",
        "%C3%A9",
        "~",
        "%25",
        "\\",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join).map("/".__add__))
def test_a_canonical_path_is_its_own_canonical_form(raw):
    folded = folded_path(raw)
    path = None if folded is None else canonical_path(raw, folded)
    if path is None:
        assert not is_plain_path(raw)
        return
    again = folded_path(path)
    assert again is not None
    assert canonical_path(path, again) == path
    assert not {"", ".", ".."} & set(path.split("/")[1:-1])
    assert "%2F" not in path


@given(st.lists(PIECES, max_size=8).map("".join).map("/".__add__))
def test_a_plain_path_is_left_as_it_is(raw):
    if is_plain_path(raw):
        assert canonical_path(raw, folded_path(raw) or "") == raw


@pytest.mark.parametrize(
    ("authority", "good"),
    [
        ("a", True),
        ("a-b.c:80", True),
        ("[::1]", True),
        ("[fe80::1]:443", True),
        ("127.0.0.1:15001", True),
        ("A", False),
        ("a.", False),
        (".a", False),
        ("a..b", False),
        ("-a", False),
        ("a-", False),
        ("a:", False),
        ("a:00", False),
        ("a:99999", False),
        ("[::1", False),
        ("[v1.x]", False),
        ("[1::2::3]", False),
        ("[::12345]", False),
        ("a" * 64, False),
        (".".join(["a" * 60] * 5), False),
    ],
)
def test_authorities_are_ldh_labels_or_bracketed_addresses(authority, good):
    assert is_authority(authority) is good


@pytest.mark.parametrize("query", ["a\n", "a ", "%", "%1", "%1f", "%7f", "%7F", "é", "#", "^", "`"])
def test_a_query_never_holds_what_is_not_one(query):
    assert not is_query(query)
