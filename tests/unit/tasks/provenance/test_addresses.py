"""URLs and e-mail addresses: their parts, and what is none."""

import pytest

from outrider.tasks.provenance.addresses import email_of, host_form, shown_host, url_of


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://a.example", b"https://a.example"),
        ("HTTP://A.example:80/x/", b"http://a.example/x"),
        ("https://a.example:0443/?q=1#f", b"https://a.example?q=1"[:17] + b"?q=1"),
        ("ws://a.example:81/x", b"ws://a.example:81/x"),
        ("www.a.example/x", b"://a.example/x"),
        ("https://[2001:DB8::1]:443/x", b"https://[2001:db8::1]/x"),
        ("https://a。example/x", b"https://a.example/x"),
        ("https://a.example/%41%2f%2E", b"https://a.example/A%2F."),
        ("https://a.example/%2541", b"https://a.example/%2541"),
        ("https://www.example", b"https://www.example"),
    ],
)
def test_the_one_spelling_of_a_url(text: str, key: bytes) -> None:
    url = url_of(text)
    assert url is not None
    assert url.key == key


@pytest.mark.parametrize(
    "text", ["a.example/x", "https://", "https:///x", "mailto:a@b.example", "https://a b/", "x"]
)
def test_what_is_no_url(text: str) -> None:
    assert url_of(text) is None


def test_a_host_alone_is_one_where_a_url_is_expected() -> None:
    for text in ("A.example/x", "www.a.example/x", "www.A.example/x/"):
        url = url_of(text, bare=True)
        assert url is not None
        assert url.key == b"://a.example/x"
        assert url.origins == (b"\0ohttps://a.example", b"\0ohttp://a.example")


@pytest.mark.parametrize(
    ("text", "userinfo", "climbs"),
    [
        ("https://a.example/x", False, False),
        ("https://u@a.example/x", True, False),
        ("https://@a.example/x", True, False),
        ("https://a.example/x/../y", False, True),
        ("https://a.example/x/%2e%2E/y", False, True),
        ("https://a.example/x/..%2fy", False, True),
        ("https://a.example/x..y", False, False),
    ],
)
def test_user_information_and_climbing_are_told(text: str, userinfo: bool, climbs: bool) -> None:
    url = url_of(text)
    assert url is not None
    assert (url.userinfo, url.climbs) == (userinfo, climbs)
    assert url.host == "a.example"


def test_what_a_query_carries() -> None:
    url = url_of("https://a.example/?q=a+b&c=%41;d&=e")
    assert url is not None
    assert url.values() == ["q", "a b", "c", "A", "d", "e"]


@pytest.mark.parametrize(
    ("host", "form"),
    [("WWW.A.example.", "a.example"), ("bücher.example", "xn--bcher-kva.example"),
     ("www.com", "www.com"), ("faß.example", "xn--fa-hia.example"),
     ("FAẞ.Example", "xn--fa-hia.example"), ("FASS.example", "fass.example"),
     ("βόλος.example", "xn--nxasmm1c.example"), ("ΒΌΛΟΣ.example", "xn--nxasmq6b.example")],
)  # fmt: skip
def test_hosts(host: str, form: str) -> None:
    assert host_form(host) == form


def test_a_host_is_shown_in_letters() -> None:
    assert shown_host("xn--bcher-kva.example") == "bücher.example"
    assert shown_host("a.example") == "a.example"
    assert shown_host("xn--\u00fc.example") == "xn--\u00fc.example"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Bob@A.example", b"bob@a.example"),
        ('"Bob, B." <bob@a.example>', b"bob@a.example"),
        ("mailto:bob%2bx@a.example", b"bob+x@a.example"),
        ("bob@a.example.", b"bob@a.example"),
        ("Bob@Bücher.example", b"bob@xn--bcher-kva.example"),
        ("Strauß@Faß.example", "strauß@xn--fa-hia.example".encode()),
        ("mailto:a@b.example?cc=eve@evil.example", None),
        ("a@b.example, c@d.example", None),
        ("<a@b.example> <c@d.example>", None),
        ("a@b@c.example", None),
        ("bob@.", None),
        ("bob", None),
    ],
)
def test_addresses(text: str, address: bytes | None) -> None:
    assert email_of(text) == address


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("%41%2f%2E%zz%", "A%2F.%zz%"),
        ("%%341", "A"),
        ("%%%33%34%31", "A"),
        ("%2541", "%2541"),
        ("%c3%A9%e2", "%C3%A9%E2"),
        ("%" * 4_001 + "3" * 4_000 + "41", "A"),
    ],
    ids=["escapes", "nested", "deeper", "percent", "bytes", "deep"],
)
def test_escapes_are_plain_where_they_can_be(path: str, plain: str) -> None:
    url = url_of(f"https://a.example/{path}")
    assert url is not None
    assert url.key.decode() == f"https://a.example/{plain}"


def test_escapes_of_escapes_come_to_an_end() -> None:
    nested = "A"
    for _ in range(12):
        nested = "%" + "".join(f"%{ord(char):02x}" for char in f"{ord(nested[0]):02x}") + nested[1:]
    url = url_of("https://a.example/" + nested)
    assert url is not None
    assert url_of(url.key.decode()) == url
