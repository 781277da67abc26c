"""SPIFFE IDs, rule by rule (IDENTITY §7)."""

import pytest
from hypothesis import given, strategies as st

from outrider.identity.spiffe_id import SpiffeIdError, parse_spiffe_id, parse_trust_domain

TAKEN = [
    pytest.param("spiffe://acme.test/ns/support/sa/triage", "acme.test", id="SPI-01-usual"),
    pytest.param("spiffe://acme.test", "acme.test", id="SPI-02-trust-domain-alone"),
    pytest.param("spiffe://10.0.0.1/a", "10.0.0.1", id="SPI-05-like-an-address"),
    pytest.param("spiffe://a_b/c", "a_b", id="SPI-05-underscore"),
    pytest.param("spiffe://a/.../x", "a", id="SPI-06-three-dots"),
    pytest.param("spiffe://a/A-z_0.9", "a", id="SPI-07-segment"),
    pytest.param("spiffe://a/" + "x" * (2048 - 11), "a", id="SPI-08-2048-bytes"),
    pytest.param("spiffe://" + "d" * 255 + "/x", "d" * 255, id="SPI-08-domain-255"),
]
REFUSED = [
    pytest.param("https://acme.test/x", id="SPI-01-scheme"),
    pytest.param("SPIFFE://acme.test/x", id="SPI-01-scheme-case"),
    pytest.param("spiffe:/acme.test/x", id="SPI-01-one-slash"),
    pytest.param("spiffe://acme.test/x?y=1", id="SPI-01-query"),
    pytest.param("spiffe://acme.test/x#y", id="SPI-01-fragment"),
    pytest.param("", id="SPI-02-nothing"),
    pytest.param("spiffe:///x", id="SPI-02-no-domain"),
    pytest.param("spiffe://", id="SPI-02-bare"),
    pytest.param("spiffe://user@acme.test/x", id="SPI-03-userinfo"),
    pytest.param("spiffe://acme.test:443/x", id="SPI-03-port"),
    pytest.param("spiffe://Acme.test/x", id="SPI-04-upper-case"),
    pytest.param("spiffe://[::1]/x", id="SPI-04-brackets"),
    pytest.param("spiffe://acme.test/%61", id="SPI-06-percent"),
    pytest.param("spiffe://acme.test//x", id="SPI-06-empty-segment"),
    pytest.param("spiffe://acme.test/x/./y", id="SPI-06-dot"),
    pytest.param("spiffe://acme.test/x/..", id="SPI-06-dots"),
    pytest.param("spiffe://acme.test/x/", id="SPI-06-trailing"),
    pytest.param("spiffe://acme.test/", id="SPI-06-only-a-slash"),
    pytest.param("spiffe://acme.test/a b", id="SPI-07-space"),
    pytest.param("spiffe://acme.test/a*", id="SPI-07-star"),
    pytest.param("spiffe://a/" + "x" * (2048 - 10), id="SPI-08-2049-bytes"),
    pytest.param("spiffe://" + "d" * 256 + "/x", id="SPI-08-domain-256"),
    pytest.param("spiffe://acme.test/x\n", id="SPI-10-newline"),
    pytest.param("spiffe://acme.test\n/x", id="SPI-10-newline-within"),
    pytest.param("spiffe://acme.test/x\x00", id="SPI-10-nul"),
    pytest.param("spiffe://acmé.test/x", id="SPI-10-not-ascii"),
    pytest.param("spiffe://acme.test/٣", id="SPI-10-other-digits"),
]


@pytest.mark.parametrize(("text", "domain"), TAKEN)
def test_a_spiffe_id_is_taken_as_written(text, domain):
    parsed = parse_spiffe_id(text)
    assert (parsed.text, parsed.trust_domain) == (text, domain)
    assert parsed.text == f"spiffe://{domain}{parsed.path}"


@pytest.mark.parametrize("text", REFUSED)
def test_what_two_readers_could_take_differently_is_refused(text):
    with pytest.raises(SpiffeIdError):
        parse_spiffe_id(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("spiffe://acme.test/x\n", id="S7-path"),
        pytest.param("spiffe://acme.test\n", id="S7-trust-domain"),
        pytest.param("spiffe://\u212aube.example/x", id="S8-kelvin-sign"),
        pytest.param("spiffe://Kube.example/x", id="S8-upper-case"),
        pytest.param("spiffe://acme.test/../x", id="S8-dots"),
        pytest.param("spiffe://" + "d" * 300, id="S8-no-limit"),
    ],
)
def test_S7_S8_what_the_package_folds_or_overlooks_is_refused(text):
    with pytest.raises(SpiffeIdError):
        parse_spiffe_id(text)
    with pytest.raises(SpiffeIdError):
        parse_trust_domain(text.removeprefix("spiffe://"))


def test_SPI_09_paths_keep_their_case():
    assert parse_spiffe_id("spiffe://a/X") != parse_spiffe_id("spiffe://a/x")


@given(st.text(alphabet="spife:/ab.%\n@A-_", max_size=24))
def test_whatever_is_taken_is_spelt_in_one_way(text):
    try:
        parsed = parse_spiffe_id("spiffe://a" + text)
    except SpiffeIdError:
        return
    assert f"spiffe://{parsed.trust_domain}{parsed.path}" == parsed.text


@pytest.mark.parametrize("text", ["", "Acme", "a/b", "a:1", "d" * 256])
def test_a_trust_domain_is_a_bare_name(text):
    with pytest.raises(SpiffeIdError):
        parse_trust_domain(text)
    assert parse_trust_domain("acme.test") == "acme.test"
