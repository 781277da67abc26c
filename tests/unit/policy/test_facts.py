"""Facts that are read out of something else: addresses, paths, query strings."""

import pytest

from outrider.core.errors import MalformedError
from outrider.policy.facts import ip_class, parsed_path, parsed_query


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        pytest.param("/mcp/crm", ["mcp", "crm"], id="plain"),
        pytest.param("/", [""], id="root"),
        pytest.param("//a", ["", "a"], id="one-slash-is-trimmed"),
        pytest.param("/a%20b/c%2Fd", ["a b", "c/d"], id="a-coded-slash-parts-nothing"),
    ],
)
def test_paths_are_parted_before_they_are_unescaped(path, segments):
    assert parsed_path(path) == segments


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        pytest.param("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}, id="lists"),
        pytest.param("a=&b", {"a": [""], "b": [""]}, id="blank"),
        pytest.param("a=%2B+", {"a": ["+ "]}, id="escapes"),
        pytest.param("a=1;b=2", {"a": ["1;b=2"]}, id="a-semicolon-parts-nothing"),
    ],
)
def test_query_strings_are_parsed_into_lists(query, fields):
    assert parsed_query(query) == fields


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: parsed_path("/a%ff"), id="path"),
        pytest.param(lambda: parsed_query("a=%ff"), id="query"),
        pytest.param(lambda: parsed_query("&".join(f"a{i}=1" for i in range(300))), id="many"),
    ],
)
def test_what_cannot_be_read_is_malformed(read):
    with pytest.raises(MalformedError):
        read()


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("169.254.169.254", "link_local"),
        ("8.8.8.8", "public"),
        ("crm.internal", None),
        ("7zip.example", None),
        (None, None),
    ],
)
def test_an_address_is_classed_and_a_name_is_not(host, found):
    assert ip_class(host) == found
