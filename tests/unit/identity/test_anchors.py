"""Of two authorities that OpenSSL cannot tell apart, one is kept."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from spiffe import TrustDomain, X509Bundle

from outrider.identity import anchors
from outrider.identity.anchors import anchors_of, fingerprint
from tests.support.spiffe_ca import Ca, a_ca, bundle_of


def _print(ca: Ca) -> str:
    return hashlib.sha256(ca.der).hexdigest()


def _identifier(ca: Ca) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(ca.key.public_key()).digest


OURS = a_ca("a.test", common="Acme Root")


def _like(common: str = "Acme Root", *, domain: str = "b.test", identifier: bytes | bool) -> Ca:
    return a_ca(domain, common=common, subject_key_id=identifier)


def _found(*authorities: Ca, own: str | None = "a.test", before=None, between=()):
    by_domain: dict[str, list[Ca]] = {}
    for one in authorities:
        by_domain.setdefault(one.trust_domain, []).append(one)
    bundles = {name: bundle_of(*group) for name, group in by_domain.items()}
    return anchors_of(bundles, own=own, before=before or {}, between=between)


def test_a_fingerprint_is_of_the_der():
    assert fingerprint(OURS.certificate) == _print(OURS)


def test_authorities_that_differ_are_all_kept():
    other = a_ca("b.test")
    assert _found(OURS, other) == (
        {"a.test": frozenset({_print(OURS)}), "b.test": frozenset({_print(other)})},
        0,
    )


@pytest.mark.parametrize(
    "like",
    [
        pytest.param(_like(identifier=_identifier(OURS)), id="same-identifier"),
        pytest.param(_like(identifier=False), id="no-identifier"),
        pytest.param(_like("ACME  root", identifier=_identifier(OURS)), id="as-openssl-compares"),
        pytest.param(_like(" Acme Root ", identifier=False), id="spaces-around"),
    ],
)
def test_a_look_alike_of_ours_is_dropped_and_ours_is_kept(like: Ca):
    good = a_ca("b.test", common="another")
    found, dropped = _found(like, good, OURS)
    assert found == {"a.test": frozenset({_print(OURS)}), "b.test": frozenset({_print(good)})}
    assert dropped == 1


@pytest.mark.parametrize(
    "near",
    [
        pytest.param(_like(identifier=True), id="other-identifier"),
        pytest.param(_like("Acme Root 2", identifier=_identifier(OURS)), id="other-subject"),
    ],
)
def test_what_openssl_tells_apart_is_kept(near: Ca):
    found, dropped = _found(OURS, near)
    assert (found["b.test"], dropped) == (frozenset({_print(near)}), 0)


def test_the_same_key_under_two_domains_is_no_collision():
    shared = bundle_of(OURS, trust_domain="b.test")
    found, dropped = anchors_of(
        {"a.test": bundle_of(OURS), "b.test": shared}, own="a.test", before={}
    )
    assert (found["a.test"], found["b.test"], dropped) == (found["b.test"], found["a.test"], 0)


def test_two_of_one_domain_never_collide():
    twin = a_ca("a.test", common="Acme Root", subject_key_id=False)
    found, dropped = _found(OURS, twin)
    assert (found["a.test"], dropped) == (frozenset({_print(OURS), _print(twin)}), 0)


def test_between_federated_domains_the_incumbent_wins():
    first = _like("Shared", domain="c.test", identifier=False)
    second = _like("Shared", domain="b.test", identifier=False)
    before = {"c.test": frozenset({_print(first)})}
    found, dropped = _found(OURS, first, second, before=before)
    assert (found["c.test"], found["b.test"], dropped) == (before["c.test"], frozenset(), 1)
    found, dropped = _found(OURS, first, second)
    assert (found["c.test"], found["b.test"], dropped) == (
        frozenset(),
        frozenset({_print(second)}),
        1,
    )


def test_our_own_wins_against_an_incumbent():
    like = _like(identifier=False)
    found, dropped = _found(OURS, like, before={"b.test": frozenset({_print(like)})})
    assert (found["a.test"], found["b.test"], dropped) == (
        frozenset({_print(OURS)}),
        frozenset(),
        1,
    )


def test_a_look_alike_of_our_intermediate_is_dropped_though_no_bundle_names_that():
    between = OURS.below(common="Acme Issuing")
    like = _like("Acme Issuing", identifier=_identifier(between))
    assert _found(OURS, like)[1] == 0
    found, dropped = _found(OURS, like, between=[between.certificate])
    assert (found["b.test"], dropped) == (frozenset(), 1)
    assert found["a.test"] == frozenset({_print(OURS)})


def test_without_a_domain_of_our_own_nothing_comes_first():
    like = _like(identifier=False)
    found, dropped = _found(OURS, like, own=None, between=[OURS.certificate])
    assert dropped == 1
    assert found["a.test"] == frozenset({_print(OURS)})


def test_a_subject_of_bits_is_compared_too():
    bits = x509.NameAttribute(
        x509.NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\x01", x509.name._ASN1Type.BitString
    )
    ours = a_ca("a.test", subject=x509.Name([bits]))
    like = a_ca("b.test", subject=x509.Name([bits]), subject_key_id=False)
    assert _found(ours, like)[1] == 1


def test_many_of_one_name_are_told_apart_without_comparing_each_with_each():
    bundles = {
        f"d{number}.test": X509Bundle(
            TrustDomain(f"d{number}.test"),
            {_like(domain=f"d{number}.test", identifier=bytes([number, one])).certificate
             for one in range(8)},
        )
        for number in range(8)
    }  # fmt: skip
    found, dropped = anchors_of(bundles, own=None, before={})
    assert (sum(map(len, found.values())), dropped) == (64, 0)
    bundles["bare.test"] = bundle_of(_like(domain="bare.test", identifier=False))
    found, dropped = anchors_of(bundles, own=None, before=found)
    assert (found["bare.test"], dropped) == (frozenset(), 1)


def test_a_look_is_remembered_and_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(anchors, "KNOWN_LIMIT", 2)
    for _ in range(4):
        certificate = a_ca("a.test").certificate
        assert anchors.look_of(certificate) is anchors.look_of(certificate)
    assert len(anchors._looks) <= 2


def _names(found) -> set[str]:
    return {domain for domain, held in found.items() if held}


def test_M5_without_an_incumbent_a_copied_identifier_loses():
    real = a_ca("c.test", common="Acme Root")
    fake = _like(domain="b.test", identifier=_identifier(real))
    found, dropped = _found(real, fake)
    assert (_names(found), dropped) == ({"c.test"}, 1)
    found, dropped = _found(real, fake, before={"b.test": {_print(fake)}})
    assert (_names(found), dropped) == ({"b.test"}, 1)


def _digest(kind: type[hashes.HashAlgorithm], data: bytes) -> bytes:
    digest = hashes.Hash(kind())
    digest.update(data)
    return digest.finalize()


KEYS = [
    pytest.param(ec.generate_private_key(ec.SECP384R1()), id="ec"),
    pytest.param(rsa.generate_private_key(65537, 2048), id="rsa"),
    pytest.param(ed25519.Ed25519PrivateKey.generate(), id="ed25519"),
]


@pytest.mark.parametrize("key", KEYS)
def test_M5_an_identifier_that_is_of_the_key_is_known_as_such(key):
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sha1 = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    bits = next(spki[at:] for at in range(len(spki)) if _digest(hashes.SHA1, spki[at:]) == sha1)
    taken = [sha1, _digest(hashes.SHA1, spki)]
    for one in (bits, spki):
        taken += [_digest(hashes.SHA256, one), _digest(hashes.SHA256, one)[:20]]
    for identifier in taken:
        ca = a_ca("a.test", key=key, subject_key_id=identifier)
        assert anchors.look_of(ca.certificate).is_derived
    for other in (False, b"\1\2\3", sha1[:19], sha1[::-1]):
        ca = a_ca("a.test", key=key, subject_key_id=other)
        assert not anchors.look_of(ca.certificate).is_derived
