"""Certificates read strictly: DER, the rules of a leaf, and what a source may tell of us."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import spiffe
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from spiffe.errors import PySpiffeError

from outrider.identity.reasons import HandshakeReason as Reason, PeerRefusedError, Role
from outrider.identity.x509 import (
    SvidError,
    check_leaf,
    check_signing,
    earliest_end_s,
    exact_path,
    read_bundle,
    read_own_svid,
    split_der,
)
from tests.support.spiffe_ca import (
    CLIENT,
    SERVER,
    Ca,
    Svid,
    a_ca,
    a_key,
    a_leaf,
    bundle_of,
    ed448_of_a_short_seed,
    unloadable_ca,
)
from tests.support.spiffe_defects import ACCEPTED, DEFECTS, Defect, Odd

A, B = a_ca("a.test"), a_ca("b.test")
LONG, LONGER = (
    a_ca(
        "a.test",
        extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), body), False)],
    )
    for body in (b"x" * 14_000, b"x" * 16_384)
)
SVID = A.svid()
OF_THE_LEAF = [one for one in DEFECTS if one.reason in {Reason.LEAF, Reason.SPIFFE_ID}]


def _now() -> float:
    return datetime.now(UTC).timestamp()


# --- DER ---


def test_certificates_behind_each_other_are_split_at_their_borders():
    assert split_der(A.der + B.der + SVID.der) == (A.der, B.der, SVID.der)
    assert split_der(b"\x30\x00\x30\x01\xff") == (b"\x30\x00", b"\x30\x01\xff")
    assert split_der(b"") == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(A.der[:-1], "cut short", id="cut-short"),
        pytest.param(A.der + b"\x30", "cut short", id="half-a-header"),
        pytest.param(b"\x30\x82\x01", "cut short", id="half-a-length"),
        pytest.param(A.der + b"\x00", "row of sequences", id="a-byte-behind"),
        pytest.param(b"\n" + A.der, "row of sequences", id="a-byte-before"),
        pytest.param(A.der + b"\n" + B.der, "row of sequences", id="a-byte-between"),
        pytest.param(b"\x31\x00", "row of sequences", id="a-set"),
        pytest.param(b"\x30\x80\x00\x00", "not taken", id="indefinite"),
        pytest.param(b"\x30\xff" + b"\x01" * 127, "not taken", id="reserved"),
        pytest.param(b"\x30\x85\x00\x00\x00\x00\x01\x00", "not taken", id="five-octets"),
        pytest.param(b"\x30\x81\x01\x00", "shortest form", id="long-for-short"),
        pytest.param(b"\x30\x82\x00\x80" + b"\x00" * 128, "shortest form", id="leading-zero"),
        pytest.param(b"\x30\x83\x01\x00\x01", "longer than", id="longer-than-is-taken"),
        pytest.param(b"\x30\x84\xff\xff\xff\xff", "longer than", id="four-gigabytes"),
    ],
)
def test_der_that_is_not_exact_is_refused(data: bytes, why: str):
    with pytest.raises(SvidError, match=why):
        split_der(data)


def test_more_values_than_the_limit_are_refused():
    assert len(split_der(b"\x30\x00" * 64)) == 64
    with pytest.raises(SvidError, match="more certificates"):
        split_der(b"\x30\x00" * 65)


# --- leaf ---


@pytest.mark.parametrize("odd", [pytest.param(one, id=one.id) for one in ACCEPTED])
def test_a_leaf_that_keeps_the_rules_is_named(odd: Odd):
    svid = odd.make(A, B)
    assert check_leaf(svid.der).spiffe_id.path == "/planner"


@pytest.mark.parametrize("defect", [pytest.param(one, id=one.id) for one in OF_THE_LEAF])
def test_a_leaf_that_breaks_a_rule_is_refused_for_it(defect: Defect):
    with pytest.raises(PeerRefusedError) as refused:
        check_leaf(defect.make(A, B).der)
    assert refused.value.reason == defect.why(Role.SERVER)


def _svid(**changes: Any) -> Svid:
    return A.svid(**changes)


@pytest.mark.parametrize(
    ("svid", "reason"),
    [
        pytest.param(_svid(uris=("spiffe://a.test/a",) * 2), Reason.LEAF, id="X-1-same-twice"),
        pytest.param(
            _svid(uris=("spiffe://a.test/a", "https://a.test/")), Reason.LEAF, id="X-1-any-two"
        ),
        pytest.param(
            _svid(uris=(), names=(x509.DNSName("a.test"),)), Reason.LEAF, id="X-2-dns-alone"
        ),
        pytest.param(
            _svid(
                uris=(),
                names=(x509.RFC822Name("a@a.test"), x509.DirectoryName(A.certificate.subject)),
            ),
            Reason.LEAF,
            id="X-2-mail-alone",
        ),
        pytest.param(_svid(uris=("spiffe://a.test/",)), Reason.SPIFFE_ID, id="X-4-slash-alone"),
        pytest.param(A, Reason.LEAF, id="X-6-a-root"),
        pytest.param(A.below(), Reason.LEAF, id="X-6-an-intermediate"),
        pytest.param(_svid(usages=None), Reason.LEAF, id="X-9-absent"),
        pytest.param(_svid(usages=("content_commitment",)), Reason.LEAF, id="X-10-other-usage"),
        pytest.param(_svid(purposes=(SERVER,)), Reason.LEAF, id="X-12-servers-only"),
        pytest.param(
            _svid(purposes=(x509.ObjectIdentifier("2.5.29.37.0"),)), Reason.LEAF, id="X-12-any"
        ),
        pytest.param(_svid(uris=("SPIFFE://a.test/a",)), Reason.SPIFFE_ID, id="X-14-upper-case"),
        pytest.param(_svid(uris=("urn:spiffe",)), Reason.SPIFFE_ID, id="X-14-urn"),
        pytest.param(_svid(uris=("spiffe://a.test/a\0b",)), Reason.SPIFFE_ID, id="SPI-10-nul"),
        pytest.param(_svid(uris=("spiffe://a.test/" + "a" * 2033,)), Reason.SPIFFE_ID, id="SPI-08"),
    ],
)
def test_near_misses_of_a_leaf_are_refused(svid: Svid, reason: Reason):
    with pytest.raises(PeerRefusedError) as refused:
        check_leaf(svid.der)
    assert refused.value.reason == reason


def test_X12_more_purposes_than_the_two_do_no_harm():
    more = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")
    assert check_leaf(_svid(purposes=(more, CLIENT, SERVER)).der).spiffe_id.path == "/planner"


def test_SPI08_an_id_of_2048_bytes_is_taken():
    longest = "spiffe://a.test/" + "a" * 2032
    assert check_leaf(_svid(uris=(longest,)).der).spiffe_id.text == longest


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x00", id="empty-sequence"),
        pytest.param(SVID.der[:-1], id="cut-short"),
        pytest.param(SVID.der + b"\x00", id="a-byte-behind"),
        pytest.param(SVID.der.replace(b"spiffe:", b"spiff\xe9:"), id="non-ascii-uri"),
    ],
)
def test_what_is_no_certificate_is_refused_as_a_leaf(der: bytes):
    with pytest.raises(PeerRefusedError) as refused:
        check_leaf(der)
    assert refused.value.reason == Reason.LEAF


def test_what_is_refused_is_not_quoted():
    hostile = _svid(uris=("https://a.test/<script>",), common="<script>")
    with pytest.raises(PeerRefusedError) as refused:
        check_leaf(hostile.der)
    assert "script" not in f"{refused.value} {refused.value!r} {refused.value.detail}"


# --- signing certificates ---


@pytest.mark.parametrize(
    "ca",
    [
        pytest.param(A, id="root"),
        pytest.param(A.below(), id="intermediate"),
        pytest.param(a_ca(uris=()), id="without-an-id"),
        pytest.param(a_ca(usages=None), id="without-key-usage"),
        pytest.param(a_ca(uris=("https://ca.a.test/",)), id="with-another-uri"),
        pytest.param(a_ca(days=(-2, -1)), id="expired"),
    ],
)
def test_a_signing_certificate_may_sign(ca: Ca):
    check_signing(ca.certificate)
    assert len(bundle_of(ca).x509_authorities) == 1


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(SVID.certificate, id="a-leaf"),
        pytest.param(a_ca(ca=None).certificate, id="no-basic-constraints"),
        pytest.param(a_ca(ca=False).certificate, id="no-ca"),
        pytest.param(a_ca(usages=("crl_sign",)).certificate, id="may-not-sign-certificates"),
        pytest.param(a_ca(uris=("spiffe://a.test/ca",)).certificate, id="X-7-id-with-path"),
        pytest.param(a_ca(uris=("spiffe://A.test",)).certificate, id="X-7-no-trust-domain"),
    ],
)
def test_what_may_not_sign_is_no_signing_certificate(certificate: x509.Certificate):
    with pytest.raises(PeerRefusedError) as refused:
        check_signing(certificate)
    assert refused.value.reason == Reason.PATH
    with pytest.raises(SvidError, match="may not sign"):
        read_bundle("a.test", certificate.public_bytes(Encoding.DER))


# --- the exact check ---


def _chain(svid: Svid) -> tuple[x509.Certificate, ...]:
    return (svid.certificate, *svid.between)


def test_a_chain_ends_in_the_authority_that_made_it():
    between = A.below()
    svid = between.svid()
    assert exact_path(_chain(SVID), [B.certificate, A.certificate], _now()) == (
        SVID.certificate,
        A.certificate,
    )
    assert exact_path(_chain(svid), [A.certificate], _now()) == (
        svid.certificate,
        between.certificate,
        A.certificate,
    )


def test_an_intermediate_may_be_the_authority():
    between = A.below()
    path = exact_path(_chain(between.svid()), [between.certificate], _now())
    assert path is not None
    assert path[-1] == between.certificate


def _twins() -> Svid:
    """Two intermediates of one name above each other."""
    upper = A.below(common="twin")
    return upper.below(common="twin").svid()


def _long() -> Svid:
    ca = A
    for number in range(9):
        ca = ca.below(common=f"link {number}")
    return ca.svid()


@pytest.mark.parametrize(
    ("svid", "authorities", "ahead_s"),
    [
        pytest.param(SVID, [], 0, id="no-authority"),
        pytest.param(SVID, [B], 0, id="another-authority"),
        pytest.param(SVID, [a_ca("a.test")], 0, id="same-name-other-key"),
        pytest.param(SVID, [A], 7200, id="X-13-expired"),
        pytest.param(SVID, [A], -7200, id="X-13-not-yet-valid"),
        pytest.param(a_ca(path_length=0).below().svid(), None, 0, id="X-13-path-length"),
        pytest.param(
            _svid(
                extra=[
                    (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)
                ]
            ),
            [A],
            0,
            id="X-13-unknown-critical-extension",
        ),
        pytest.param(a_ca(ca=False).svid(), None, 0, id="X-13-issuer-is-no-ca"),
        pytest.param(A.below(ca=False).svid(), None, 0, id="X-13-intermediate-is-no-ca"),
        pytest.param(_twins(), [A], 0, id="two-of-one-name"),
        pytest.param(_long(), [A], 0, id="too-long"),
    ],
)
def test_a_chain_that_does_not_end_there_has_no_path(
    svid: Svid, authorities: list[Ca] | None, ahead_s: float
):
    trusted = [A] if authorities is None else authorities
    assert exact_path(_chain(svid), [one.certificate for one in trusted], _now() + ahead_s) is None


def test_the_earliest_end_counts():
    short = A.svid(seconds=(-60, 60))
    assert (
        earliest_end_s([A.certificate, short.certificate])
        == short.certificate.not_valid_after_utc.timestamp()
    )


# --- bundles ---


def test_W11_a_bundle_holds_every_authority():
    bundle = read_bundle("a.test", A.der + B.der)
    assert bundle.x509_authorities == {A.certificate, B.certificate}
    assert str(bundle.trust_domain) == "a.test"


@pytest.mark.parametrize(
    ("trust_domain", "der", "why"),
    [
        pytest.param("a.test", b"", "no certificate", id="empty"),
        pytest.param("a.test", A.der[:-1], "cut short", id="cut-short"),
        pytest.param("a.test", b"\x30\x00", "cannot be read", id="no-certificate"),
        pytest.param("a.test", A.der + b"\x30\x00", "cannot be read", id="one-of-two"),
        pytest.param("a.test", unloadable_ca("a.test"), "OpenSSL", id="H1-odd-to-openssl"),
        pytest.param("a.test", A.der + unloadable_ca("a.test"), "OpenSSL", id="H1-one-of-two-odd"),
        pytest.param("a.test", LONG.der * 20, "bundle longer", id="M6-longer-than-is-taken"),
        pytest.param("a.test", LONGER.der, "certificate longer", id="M6-one-too-long"),
        pytest.param("a.test", A.der * 65, "more certificates", id="sixty-five"),
        pytest.param("A.test", A.der, "no trust domain", id="S7-upper-case"),
        pytest.param("a.test\n", A.der, "no trust domain", id="S7-newline"),
        pytest.param("spiffe://a.test", A.der, "no trust domain", id="an-id"),
        pytest.param("", A.der, "no trust domain", id="no-name"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused(trust_domain: str, der: bytes, why: str):
    with pytest.raises(SvidError, match=why):
        read_bundle(trust_domain, der)


# --- our own SVID ---


def _own(svid: Svid = SVID, **changes: Any):
    values: dict[str, Any] = {
        "spiffe_id": "spiffe://a.test/planner",
        "chain": svid.chain_der,
        "key": svid.key_der,
        "bundle": bundle_of(A),
        "hint": "",
        "now_unix_s": _now(),
    }
    return read_own_svid(**values | changes)


def test_an_svid_of_ours_is_read_whole():
    own = _own(hint="internal")
    assert own.spiffe_id.text == "spiffe://a.test/planner"
    assert own.hint == "internal"
    assert own.expires_unix_s == SVID.certificate.not_valid_after_utc.timestamp()
    assert own.begins_unix_s == SVID.certificate.not_valid_before_utc.timestamp()
    assert own.svid.cert_chain == [SVID.certificate]
    assert str(own.svid.spiffe_id) == "spiffe://a.test/planner"


def test_an_svid_ends_with_the_first_of_its_chain():
    brief = A.below(days=(-1, 1 / 96))
    own = _own(brief.svid())
    assert own.expires_unix_s == brief.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(rsa.generate_private_key(65537, 2048), id="rsa"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="p-384"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="ed25519"),
    ],
)
def test_keys_that_tls_can_use_are_taken(key: Any):
    assert _own(A.svid(key=key)).svid.private_key is not None


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(a_ca(usages=None), id="root-without-key-usage"),
        pytest.param(a_ca(key=ed25519.Ed25519PrivateKey.generate()), id="ed25519-authority"),
        pytest.param(a_ca(extra=[(x509.ExtendedKeyUsage([SERVER]), False)]), id="for-servers"),
    ],
)
def test_what_tls_takes_and_the_exact_check_does_not_is_taken(root: Ca):
    svid = root.svid()
    assert exact_path(_chain(svid), [root.certificate], _now()) is None
    assert _own(svid, bundle=bundle_of(root)).expires_unix_s > _now()


def _pkcs1(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


RSA_KEY = rsa.generate_private_key(65537, 2048)
SMALL_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - refused for just that
DSA_KEY = dsa.generate_private_key(2048)


def _pkcs8(key: Any) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


SEC1 = SVID.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
LOCKED = SVID.key.private_bytes(
    Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"chain": b""}, "no certificate", id="no-chain"),
        pytest.param({"chain": SVID.der + b"\0"}, "row of sequences", id="a-byte-behind"),
        pytest.param({"chain": SVID.der * 9}, "more certificates", id="nine"),
        pytest.param({"chain": A.der}, "breaks a rule", id="X-6"),
        pytest.param({"chain": SVID.der + SVID.der}, "breaks a rule", id="leaf-as-intermediate"),
        pytest.param({"spiffe_id": "spiffe://a.test/other"}, "not the one given", id="other-id"),
        pytest.param(
            {"spiffe_id": "spiffe://a.test/planner\n"}, "not the one given", id="S7-newline"
        ),
        pytest.param({"spiffe_id": ""}, "not the one given", id="no-id"),
        pytest.param({"bundle": bundle_of(B)}, "another trust domain", id="other-domain"),
        pytest.param(
            {"bundle": bundle_of(B, trust_domain="a.test")}, "does not end", id="other-authority"
        ),
        pytest.param({"now_unix_s": _now() + 7200}, "does not end", id="expired"),
        pytest.param({"key": b""}, "not one PKCS#8", id="no-key"),
        pytest.param({"key": SVID.key_der + b"\x30\x00"}, "more certificates", id="two-keys"),
        pytest.param({"key": _pkcs1(RSA_KEY)}, "not one PKCS#8", id="pkcs1"),
        pytest.param({"key": SEC1}, "not one PKCS#8", id="sec1"),
        pytest.param({"key": LOCKED}, "not one PKCS#8", id="locked"),
        pytest.param({"key": b"\x30\x05\x02\x01\x00\x30\x00"}, "cannot be read", id="no-key-in-it"),
        pytest.param({"key": _pkcs8(a_key())}, "whose key is not", id="S10-key-of-another"),
        pytest.param({"key": _pkcs8(RSA_KEY)}, "whose key is not", id="key-of-another-kind"),
        pytest.param({"key": _pkcs8(SMALL_KEY)}, "under 2048", id="small-rsa"),
        pytest.param({"key": _pkcs8(DSA_KEY)}, "TLS cannot use", id="dsa"),
    ],
)
def test_an_svid_that_is_not_in_order_is_refused(changes: dict[str, Any], why: str):
    with pytest.raises(SvidError, match=why):
        _own(**changes)


def test_an_svid_without_its_intermediate_is_refused():
    svid = A.below().svid()
    with pytest.raises(SvidError, match="does not end"):
        _own(chain=svid.der, key=svid.key_der)


# --- defects of `spiffe` (IDENTITY §2): shown, then closed ---


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("spiffe://a.test/planner\n", id="path"),
        pytest.param("spiffe://a.test\n", id="trust-domain"),
    ],
)
def test_S7_a_newline_at_the_end_passes_there_and_not_here(text: str):
    assert spiffe.SpiffeId(text) is not None
    with pytest.raises(PeerRefusedError) as refused:
        check_leaf(_svid(uris=(text,)).der)
    assert refused.value.reason == Reason.SPIFFE_ID


@pytest.mark.parametrize(
    ("taken", "as_there"),
    [
        pytest.param("\u212aube.example", "kube.example", id="kelvin-sign"),
        pytest.param("A.Test", "a.test", id="upper-case"),
        pytest.param("spiffe://a.test/../x", "a.test", id="dots"),
        pytest.param("a" * 300, "a" * 300, id="too-long"),
    ],
)
def test_S8_names_are_folded_there_and_refused_here(taken: str, as_there: str):
    assert spiffe.TrustDomain(taken).name == as_there
    with pytest.raises(SvidError, match="no trust domain"):
        read_bundle(taken, A.der)


def _taken_there(svid: Svid) -> bool:
    try:
        spiffe.X509Svid.parse_raw(svid.chain_der, svid.key_der)
    except PySpiffeError:
        return False
    return True


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: _svid(usages_critical=False), id="key-usage-not-critical"),
        pytest.param(lambda: _svid(purposes=(CLIENT,)), id="for-clients-only"),
        pytest.param(lambda: _svid(common=None, names_critical=False), id="names-not-critical"),
        pytest.param(lambda: Svid(certificate=SVID.certificate, key=a_key()), id="key-of-another"),
    ],
)
def test_S10_what_is_not_checked_there_is_checked_here(make: Callable[[], Svid]):
    svid = make()
    assert _taken_there(SVID)
    assert _taken_there(svid)
    with pytest.raises(SvidError):
        _own(svid)


def test_M1_a_key_that_cryptography_has_no_word_for_is_a_key_that_cannot_be_read():
    with pytest.raises(SvidError, match="a key that cannot be read"):
        _own(SVID, key=ed448_of_a_short_seed())


def test_H1_an_authority_given_twice_is_one():
    assert read_bundle("a.test", A.der + A.der).x509_authorities == {A.certificate}
    assert len(read_bundle("a.test", LONG.der + A.der).x509_authorities) == 2


def test_H1_our_svid_is_loaded_by_openssl_before_it_is_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("outrider.identity.x509.loads_svid", lambda _pem: False)
    with pytest.raises(SvidError, match="OpenSSL cannot load"):
        _own(SVID)


def test_a_leaf_of_another_domain_by_our_authority_is_not_ours():
    svid = a_leaf(A, uris=("spiffe://b.test/planner",))
    with pytest.raises(SvidError, match="another trust domain"):
        _own(svid, spiffe_id="spiffe://b.test/planner")
