from typing import Any

import pytest

from outrider.core.destinations import (
    argument_pointer,
    destinations_in,
    host_in,
    host_of,
    pointers_of,
)
from outrider.core.zones import Zones

ZONES = Zones(domains=(("*.internal", "internal"),))


@pytest.mark.parametrize(
    ("text", "kind", "host"),
    [
        ("a@b.example", "email", "b.example"),
        ("A.B+c@B.Example", "email", "b.example"),
        ("Alice <a@b.example>", "email", None),
        ("a@b.example,c@d.example", "email", None),
        ("a@b.example;c@d.example", "email", None),
        ("a@b.example\n", "email", None),
        ('"a@x"@b.example', "email", None),
        ("a@evil@b.example", "email", None),
        ("=?utf-8?q?x=40evil.example=3E?=@b.example", "email", None),
        ("https://b.example/\r\nHost: evil.example", "url", None),
        ("a%evil.example@b.example", "email", None),
        ("evil.example!a@b.example", "email", None),
        ("a@127.1", "email", None),
        ("a@xn--pypal-4ve.example", "email", None),
        ("mailto:a%40evil.example@b.example", "url", None),
        ("a@", "email", None),
        ("@b.example", "email", None),
        ("a@b.example:25", "email", None),
        ("b.example", "email", None),
        ("a@[10.0.0.1]", "email", None),
        ("https://b.example/x?y#z", "url", "b.example"),
        ("HTTPS://B.example:8443", "url", "b.example"),
        ("http://[::1]:80/", "url", "::1"),
        ("http://[0:0::1]/", "url", "::1"),
        ("http://[::ffff:10.0.0.1]/", "url", None),
        ("http://2130706433/", "url", None),
        ("http://0177.0.0.1/", "url", None),
        ("https://xn--pypal-4ve.example/", "url", None),
        ("https://b.example./", "url", None),
        ("https://a@b.example/", "url", None),
        ("https://good.example\\@evil.example/", "url", None),
        ("https://good.example\\.evil.example/", "url", None),
        ("https:\\\\evil.example", "url", None),
        ("//evil.example/x", "url", None),
        ("https:/evil.example", "url", None),
        ("https:evil.example", "url", None),
        ("https://ev\til.example", "url", None),
        (" https://b.example", "url", None),
        ("https://b.example%2f.evil.example/", "url", None),
        ("https://bücher.example/", "url", None),
        ("https:///path", "url", None),
        ("file:///etc/passwd", "url", None),
        ("mailto:a@b.example", "url", "b.example"),
        ("mailto:a@b.example,c@d", "url", None),
        ("https://b.example", None, "b.example"),
        ("a@b.example", None, "b.example"),
        ("b.example", None, "b.example"),
        ("b.example:443", "text", "b.example"),
        ("b.example:https", None, None),
        ("b.example:", None, "b.example"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("fe80::1", None, "fe80::1"),
        ("[fe80::1]:22", None, "fe80::1"),
        ("[fe80::1]22", None, None),
        ("[b.example]", None, None),
        ("[fe80::1", None, None),
        ("acme/website", None, None),
        ("", None, None),
        ("a b", None, None),
        ("b.example:123456", None, None),
    ],
)
def test_a_value_names_one_host_or_none(text: str, kind: str | None, host: str | None) -> None:
    assert host_in(text, kind) == host


def hosts(arguments: Any, pointer: str) -> list[tuple[str | None, str | None, str]]:
    found = destinations_in(arguments, pointer, None, ZONES)
    return [(one.pointer, one.host, one.zone) for one in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a.internal", [("/to", "a.internal", "internal")], id="one"),
        pytest.param(
            ["a.internal", "b.example"],
            [("/to/0", "a.internal", "internal"), ("/to/1", "b.example", "external")],
            id="a-list",
        ),
        pytest.param([], [], id="empty-list"),
        pytest.param(None, [], id="null"),
        pytest.param("", [("/to", None, "external")], id="empty-text"),
        pytest.param(7, [("/to", None, "external")], id="a-number"),
        pytest.param({"x": "a.internal"}, [("/to", None, "external")], id="an-object"),
        pytest.param([["a.internal"]], [("/to/0", None, "external")], id="a-nested-list"),
    ],
)
def test_every_item_is_a_destination(value: Any, expected: Any) -> None:
    assert hosts({"to": value}, "/to") == expected


def test_an_absent_argument_is_no_destination() -> None:
    assert hosts({}, "/to") == []


def test_a_star_stands_for_each_item_of_a_list() -> None:
    arguments = {"to": [{"at": ["a.internal"]}, {"at": "b.example"}, {}, 5]}
    assert [where for where, _, _ in hosts(arguments, "/to/*/at")] == ["/to/0/at/0", "/to/1/at"]
    assert list(pointers_of({"a": [{"b": [{}]}]}, "/a/*/b/*/c")) == ["/a/0/b/0/c"]


def test_what_stands_in_the_place_of_a_list_has_no_host() -> None:
    assert hosts({"to": {"at": "a.internal"}}, "/to/*/at") == [("/to", None, "external")]
    assert hosts({}, "/to/*/at") == []


@pytest.mark.parametrize(
    ("name", "pointer"),
    [("to", "/to"), ("a/b~c", "/a~1b~0c"), ("/to/0", "/to/0"), ("/to/*", "/to")],
)
def test_an_argument_is_named_by_name_or_pointer(name: str, pointer: str) -> None:
    assert argument_pointer(name) == pointer


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        (None, None),
        ("a.internal:443", "a.internal"),
        ("a.internal", "a.internal"),
        ("[::1]:443", "::1"),
        ("::1", "::1"),
    ],
)
def test_a_host_is_taken_without_its_port(authority: str | None, host: str | None) -> None:
    assert host_of(authority) == host
