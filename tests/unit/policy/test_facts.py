"""Facts that are read out of something else: addresses, paths, query strings."""

import pytest

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import digest
from outrider.policy.facts import host_port, ip_class, parsed_path, parsed_query, shorten_at


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


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        pytest.param("crm.internal:443", ("crm.internal", 443), id="name-and-port"),
        pytest.param("[::1]:8443", ("::1", 8443), id="brackets-are-not-the-address"),
        pytest.param("crm.internal", ("crm.internal", None), id="no-port"),
        pytest.param("crm:https", ("crm:https", None), id="a-word-is-no-port"),
        pytest.param(":443", (":443", None), id="no-name"),
        pytest.param(None, (None, None), id="no-host"),
    ],
)
def test_a_configured_host_is_parted_into_name_and_port(configured, found):
    assert host_port(configured) == found


LONG = "x" * 1025
SHORT_FORM = {"digest": digest(LONG.encode()), "bytes": 1025}


@pytest.mark.parametrize(
    ("value", "parts", "found"),
    [
        pytest.param({"a": LONG, "b": LONG}, ["a"], {"a": SHORT_FORM, "b": LONG}, id="a-member"),
        pytest.param([LONG, LONG], ["1"], [LONG, SHORT_FORM], id="an-item"),
        pytest.param([{"a": LONG}, 1], ["0", "a"], [{"a": SHORT_FORM}, 1], id="below-an-item"),
        pytest.param(
            {"a": [LONG, {"b": LONG}, 7, None, True, "short"]},
            ["a"],
            {"a": [SHORT_FORM, {"b": SHORT_FORM}, 7, None, True, "short"]},
            id="all-below",
        ),
        pytest.param([LONG], ["1"], [LONG], id="past-the-end"),
        pytest.param([LONG], ["-1"], [LONG], id="no-place-counted-from-the-end"),
        pytest.param({"a": LONG}, ["b"], {"a": LONG}, id="no-such-member"),
        pytest.param("x" * 1024, [], "x" * 1024, id="the-longest-that-stays"),
        pytest.param("\u00fc" * 512, [], "\u00fc" * 512, id="bytes-are-counted-not-characters"),
    ],
)
def test_long_texts_at_and_below_a_place_are_shortened_and_nothing_else(value, parts, found):
    assert shorten_at(value, parts) == found
