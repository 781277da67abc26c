"""What OpenSSL would say of our SVID, asked before any peer asks it."""

import pytest
from cryptography import x509

from outrider.identity import _compat
from outrider.identity.rehearsal import loads_authorities, loads_svid, rehearsed_path
from tests.support.spiffe_ca import Ca, Svid, a_ca, a_key, unloadable_ca
from tests.support.spiffe_wire import open_descriptors

A = a_ca("a.test")


def test_a_chain_that_peers_will_take_is_given_with_its_authority():
    between = A.below()
    svid = between.svid()
    assert rehearsed_path(svid.pem, [A.certificate]) == (
        svid.certificate,
        between.certificate,
        A.certificate,
    )


def test_an_intermediate_may_be_the_authority():
    between = A.below()
    path = rehearsed_path(between.svid().pem, [between.certificate])
    assert path is not None
    assert path[-1] == between.certificate


@pytest.mark.parametrize(
    ("svid", "authorities"),
    [
        pytest.param(A.svid(), [], id="no-authority"),
        pytest.param(A.svid(), [a_ca("b.test")], id="another"),
        pytest.param(A.svid(), [a_ca("a.test")], id="same-name-other-key"),
        pytest.param(A.svid(seconds=(-120, -60)), [A], id="expired"),
        pytest.param(A.below(ca=False).svid(), [A], id="X-13-intermediate-is-no-ca"),
        pytest.param(
            A.svid(
                extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\5\0"), True)]
            ),
            [A],
            id="X-13-unknown-critical-extension",
        ),
    ],
)
def test_a_chain_that_peers_will_refuse_has_no_path(svid: Svid, authorities: list[Ca]):
    assert rehearsed_path(svid.pem, [one.certificate for one in authorities]) is None


def test_a_key_of_another_has_no_path():
    pem = Svid(certificate=A.svid().certificate, key=a_ca().key).pem
    assert rehearsed_path(pem, [A.certificate]) is None


def test_where_no_key_can_be_held_there_is_no_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    assert rehearsed_path(A.svid().pem, [A.certificate]) is None
    assert rehearsed_path(A.svid().pem, [A.certificate], on_disk=True) is not None


def test_no_descriptor_stays_open():
    before = open_descriptors()
    for _ in range(10):
        rehearsed_path(A.svid().pem, [A.certificate])
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("ders", "loads"),
    [
        pytest.param((), True, id="none"),
        pytest.param((A.der, a_ca("a.test").der), True, id="two"),
        pytest.param((A.der, A.der), True, id="one-twice"),
        pytest.param((A.der, unloadable_ca("a.test")), False, id="H1-one-odd"),
        pytest.param((A.der, b"\x30\x00"), False, id="one-that-is-none"),
        pytest.param((A.der, b""), False, id="one-that-is-nothing"),
    ],
)
def test_authorities_load_all_or_the_bundle_is_none(ders: tuple[bytes, ...], loads: bool):
    assert loads_authorities(ders) is loads


def test_an_svid_that_openssl_takes_with_its_key_loads(monkeypatch: pytest.MonkeyPatch):
    svid = A.svid()
    assert loads_svid(svid.pem)
    assert not loads_svid(Svid(certificate=svid.certificate, key=a_key()).pem)
    assert not loads_svid(b"no pem")
    monkeypatch.setattr(_compat, "HAS_MEMFD", False)
    assert loads_svid(b"nothing here can hold it for the try")
