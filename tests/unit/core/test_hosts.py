import pytest

from outrider.core.hosts import plain_host


def _ace(label: str) -> str:
    return "xn--" + label.encode("punycode").decode("ascii")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        pytest.param("b.example", "b.example", id="name"),
        pytest.param("B.Example", "b.example", id="case"),
        pytest.param("_dmarc.b-1.example", "_dmarc.b-1.example", id="underscore"),
        pytest.param("3com.example", "3com.example", id="a-digit-first"),
        pytest.param("b.example.", None, id="trailing-dot"),
        pytest.param("b..example", None, id="empty-label"),
        pytest.param("", None, id="nothing"),
        pytest.param("127.0.0.1", "127.0.0.1", id="ipv4"),
        pytest.param("127.1", None, id="short"),
        pytest.param("2130706433", None, id="decimal"),
        pytest.param("0177.0.0.1", None, id="octal"),
        pytest.param("0x7f.0.0.1", None, id="hex-part"),
        pytest.param("0x7f000001", None, id="hex"),
        pytest.param("1.2.3.0x4", None, id="hex-last"),
        pytest.param("0x", None, id="hex-empty"),
        pytest.param("0x7f.example", "0x7f.example", id="hex-but-a-name"),
        pytest.param("1.2.3.4.5", None, id="five"),
        pytest.param("b.example.7", None, id="ends-in-a-number"),
        pytest.param("127.0.0.256", None, id="too-large"),
        pytest.param("::1", "::1", id="ipv6"),
        pytest.param("0:0:0:0:0:0:0:1", "::1", id="ipv6-long"),
        pytest.param("FE80::0001", "fe80::1", id="ipv6-case"),
        pytest.param("dead:beef:cafe", None, id="ipv6-short"),
        pytest.param("::::", None, id="ipv6-colons"),
        pytest.param("::ffff:127.0.0.1", None, id="mapped"),
        pytest.param("::ffff:7f00:1", None, id="mapped-hex"),
        pytest.param("::127.0.0.1", None, id="compatible"),
        pytest.param("64:ff9b::7f00:1", None, id="nat64"),
        pytest.param(_ace("bücher") + ".example", "xn--bcher-kva.example", id="latin"),
        pytest.param(_ace("почта") + ".example", _ace("почта") + ".example", id="cyrillic"),
        pytest.param(_ace("東京タワー"), _ace("東京タワー"), id="japanese"),
        pytest.param(_ace("abc한국"), _ace("abc한국"), id="korean-and-latin"),
        pytest.param(_ace("bü-1"), _ace("bü-1"), id="hyphen-and-digit"),
        pytest.param(_ace("col\u00b7lègi"), _ace("col\u00b7lègi"), id="catalan-middle-dot"),
        pytest.param(_ace("ä\u2022b"), None, id="a-bullet"),
        pytest.param("XN--BCHER-KVA.example", "xn--bcher-kva.example", id="punycode-case"),
        pytest.param("bücher.example", None, id="not-ascii"),
        pytest.param(_ace("p\u0430ypal") + ".example", None, id="a-cyrillic-letter"),
        pytest.param(_ace("g\u03bf\u03bfgle"), None, id="greek-letters"),
        pytest.param(_ace("東京\u0430"), None, id="cjk-and-cyrillic"),
        pytest.param(_ace("a\u200db\u00e9"), None, id="invisible"),
        pytest.param(_ace("é/x"), None, id="a-slash"),
        pytest.param(_ace("ﬁé"), None, id="ligature"),
        pytest.param(_ace("É"), None, id="upper-case-inside"),
        pytest.param(_ace("e\u0301"), None, id="decomposed"),
        pytest.param("xn--abc-", None, id="plain-letters-in-punycode"),
        pytest.param("xn--", None, id="empty-punycode"),
        pytest.param("xn--99999999", None, id="no-punycode"),
        pytest.param("a.xn--" + "9" * 59, None, id="long-punycode"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str | None) -> None:
    assert plain_host(text) == host
