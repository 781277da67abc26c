import pytest

from outrider.protocols.gate_names import KNOWN, Kind, field_of


@pytest.mark.parametrize(
    ("raw", "name", "kind"),
    [
        (b"Host", "host", Kind.CHECK),
        (b"hOsT", "host", Kind.CHECK),
        (b"X-Envoy-Whatever", "x-envoy-whatever", Kind.DROP),
        (b"Mcp-Session-Id", "mcp-session-id", Kind.ONE),
        (b"Mcp-Param-City", "mcp-param-city", Kind.ONE),
        (b"Proxy-Anything", "proxy-anything", Kind.HOP),
        (b"Outrider-Anything", "outrider-anything", Kind.REFUSE),
        (b"Outrider-Instance", "outrider-instance", Kind.CHECK),
        (b"X-Mine", "x-mine", Kind.KEEP),
        (b"x-forwarded", "x-forwarded", Kind.KEEP),
        (b"X-Forwarded-User", "x-forwarded-user", Kind.DROP),
        (b"SSL-Client-Verify", "ssl-client-verify", Kind.DROP),
        (b"X-Middleware-Subrequest", "x-middleware-subrequest", Kind.DROP),
        (b"x.ssl.client.cert", "x.ssl.client.cert", Kind.REFUSE),
        (b"x.real.ip", "x.real.ip", Kind.REFUSE),
        (b"a.b", "a.b", Kind.KEEP),
    ],
)
def test_a_name_has_one_kind_in_every_spelling(raw, name, kind):
    assert field_of(raw) == (name, kind)


@pytest.mark.parametrize("raw", [b"", b"a_b", b"a b", b"a:b", b"\xff", b"a\x00"])
def test_what_is_no_token_has_none(raw):
    assert field_of(raw) is None


def test_the_table_of_spellings_agrees_with_the_slow_way():
    assert all(field_of(raw) == field for raw, field in KNOWN.items())
