"""A CA signs once it is known, and is trusted until nothing it signed is left."""

import base64
import ssl
from dataclasses import replace
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from outrider.core.secret import Secret
from outrider.injector.authority import (
    BACKDATED,
    RETIRED,
    Held,
    Retired,
    Terms,
    UnfitError,
    advanced,
    data_of,
    first,
    held_of,
    is_for,
)
from tests.support.injector import is_signed_by

NOW = 1_800_000_000.0
DAY = 86_400.0
TERMS = Terms(name="outrider-injector.outrider-system.svc", ca_s=90 * DAY, leaf_s=DAY)


def cert(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def trusts(bundle: bytes, leaf: bytes) -> bool:
    """Whether a CA of `bundle` signed `leaf`."""
    return any(is_signed_by(cert(leaf), ca) for ca in x509.load_pem_x509_certificates(bundle))


@pytest.fixture(scope="module")
def held() -> Held:
    return first(TERMS, NOW)


def test_the_first_is_a_ca_and_a_certificate_for_the_service_alone(held: Held) -> None:
    ca, leaf = cert(held.ca.certificate), cert(held.leaf.certificate)
    leaf.verify_directly_issued_by(ca)
    assert isinstance(ca.public_key(), ec.EllipticCurvePublicKey)
    assert (ca.not_valid_after_utc.timestamp() - NOW) == 90 * DAY
    assert (leaf.not_valid_after_utc.timestamp() - NOW) == DAY
    constraint = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraint.critical
    assert constraint.value.permitted_subtrees == [x509.DNSName(TERMS.name)]
    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)
    assert is_for(held.leaf, TERMS.name)
    assert not is_for(held.leaf, "outrider-injector.elsewhere.svc")


def test_a_clock_that_is_minutes_behind_takes_a_new_certificate(held: Held) -> None:
    assert cert(held.leaf.certificate).not_valid_before_utc.timestamp() <= NOW - 600


def test_nothing_is_renewed_before_it_is_due(held: Held) -> None:
    assert advanced(held, TERMS, NOW + DAY * 2 / 3 - 1, announced=True) is held


def test_a_certificate_is_renewed_at_two_thirds_by_the_same_ca(held: Held) -> None:
    later = advanced(held, TERMS, NOW + DAY * 2 / 3, announced=False)
    assert later.ca is held.ca
    assert later.leaf.certificate != held.leaf.certificate
    assert later.leaf.key.reveal() != held.leaf.key.reveal()
    assert later.bundle() == held.bundle()


def test_a_certificate_for_another_name_is_renewed_at_once(held: Held) -> None:
    moved = replace(TERMS, name="other.outrider-system.svc")
    assert is_for(advanced(held, moved, NOW, announced=False).leaf, moved.name)


def test_a_certificate_that_is_not_valid_yet_is_made_anew(held: Held) -> None:
    ahead = advanced(held, TERMS, NOW + DAY, announced=False)
    now = NOW + DAY - BACKDATED.total_seconds()
    assert advanced(ahead, TERMS, now, announced=False) is ahead
    anew = advanced(ahead, TERMS, now - 1, announced=False)
    assert anew.ca is ahead.ca
    assert anew.leaf.until_unix_s == now - 1 + DAY


def test_a_ca_that_is_not_valid_yet_starts_anew(held: Held) -> None:
    early = NOW - BACKDATED.total_seconds() - 1
    anew = advanced(held, TERMS, early, announced=False)
    assert cert(anew.ca.certificate).not_valid_before_utc.timestamp() < early
    assert cert(anew.leaf.certificate).not_valid_before_utc.timestamp() < early


def test_a_ca_to_come_is_told_of_before_it_signs(held: Held) -> None:
    due = NOW + 60 * DAY
    told = advanced(held, TERMS, due, announced=False)
    assert told.next_ca is not None
    assert told.leaf is held.leaf
    assert told.bundle() == held.bundle() + told.next_ca.certificate
    waited = advanced(told, TERMS, due + DAY, announced=False)
    assert waited.ca is held.ca


def test_the_old_ca_is_trusted_until_its_last_certificate_expired(held: Held) -> None:
    due = NOW + 60 * DAY
    told = advanced(held, TERMS, due, announced=False)
    fresh = advanced(told, TERMS, due, announced=False)
    taken = advanced(fresh, TERMS, due + 60, announced=True)
    assert taken.next_ca is None
    assert fresh.next_ca is not None
    assert taken.ca.certificate == fresh.next_ca.certificate
    assert trusts(taken.bundle(), fresh.leaf.certificate), "what others still show"
    assert trusts(taken.bundle(), taken.leaf.certificate)
    (old,) = taken.retired
    assert old.until_unix_s >= fresh.leaf.until_unix_s
    still = advanced(taken, TERMS, old.until_unix_s - 1, announced=True)
    assert held.ca.certificate in still.bundle()
    gone = advanced(still, TERMS, old.until_unix_s, announced=True)
    assert held.ca.certificate not in gone.bundle()


def test_whatever_the_hours_what_is_shown_is_trusted_by_what_was_last_told() -> None:
    """Two rotations of the CA: whatever is still shown is under the bundle of that hour."""
    held, shown = first(TERMS, NOW), []
    for hour in range(0, 24 * 130, 8):
        now = NOW + hour * 3600
        told = held
        held = advanced(held, TERMS, now, announced=True)
        shown = [leaf for leaf in [*shown, held.leaf] if leaf.until_unix_s > now]
        # A new certificate is shown before the new bundle is written: the old one must do.
        assert trusts(told.bundle(), held.leaf.certificate)
        assert all(trusts(held.bundle(), leaf.certificate) for leaf in shown)
    assert len(held.retired) <= 1


def test_an_expired_ca_starts_anew(held: Held) -> None:
    anew = advanced(held, TERMS, NOW + 90 * DAY, announced=True)
    assert anew.ca.certificate != held.ca.certificate
    assert anew.retired == ()


def test_a_ca_to_come_that_waited_too_long_is_replaced(held: Held) -> None:
    due = NOW + 60 * DAY
    told = advanced(held, TERMS, due, announced=False)
    aged = replace(told, ca=replace(held.ca, until_unix_s=NOW + 900 * DAY))
    again = advanced(aged, TERMS, due + 600 * DAY, announced=False)
    assert told.next_ca is not None
    assert again.next_ca is not None
    assert again.next_ca.certificate != told.next_ca.certificate


# --- the Secret's data ---


def test_what_is_stored_is_read_again_as_the_same(held: Held) -> None:
    full = replace(
        advanced(held, TERMS, NOW + 60 * DAY, announced=False),
        retired=(Retired(certificate=held.ca.certificate, until_unix_s=NOW + 5),),
    )
    read = held_of(data_of(full))
    assert data_of(read) == data_of(full)
    assert read.bundle() == full.bundle()
    assert read.leaf.from_unix_s == full.leaf.from_unix_s


def test_a_ca_to_come_that_is_over_is_taken_away(held: Held) -> None:
    data = data_of(held)
    assert data["next-ca.crt"] is None
    assert data["next-ca.key"] is None


def test_the_pair_is_one_that_openssl_takes(held: Held, tmp_path: Any) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(held.leaf.certificate + held.leaf.key.reveal())
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)


def coded(value: bytes) -> str:
    return base64.b64encode(value).decode()


OTHER = first(TERMS, NOW)
RSA_LIKE = coded(
    ec.generate_private_key(ec.SECP384R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"tls.crt": None}, "tls.crt is missing", id="no-certificate"),
        pytest.param({"ca.key": None}, "ca.key is missing", id="no-ca-key"),
        pytest.param({"tls.crt": "€"}, "tls.crt is not base64", id="not-base64"),
        pytest.param({"tls.crt": 5}, "tls.crt is no text", id="a-number"),
        pytest.param({"tls.crt": "A" * 70_000}, "tls.crt is no text, or a long one", id="endless"),
        pytest.param({"tls.crt": coded(b"hello")}, "tls.crt is no certificate", id="no-pem"),
        pytest.param(
            {"ca.crt": coded(OTHER.leaf.certificate), "ca.key": coded(OTHER.leaf.key.reveal())},
            "ca.crt is no CA",
            id="a-leaf-for-a-ca",
        ),
        pytest.param(
            {"tls.crt": coded(OTHER.ca.certificate), "tls.key": coded(OTHER.ca.key.reveal())},
            "tls.crt is a CA",
            id="a-ca-for-a-leaf",
        ),
        pytest.param({"tls.key": coded(OTHER.ca.key.reveal())}, "tls.key is not the key", id="key"),
        pytest.param({"tls.key": RSA_LIKE}, "tls.key is not the key", id="another-curve"),
        pytest.param({"tls.key": coded(b"hello")}, "tls.key cannot be read", id="no-key"),
        pytest.param(
            {"tls.crt": coded(OTHER.leaf.certificate), "tls.key": coded(OTHER.leaf.key.reveal())},
            "tls.crt is not signed by ca.crt",
            id="anothers-certificate",
        ),
        pytest.param({"retired.json": coded(b"{")}, "retired.json is no list", id="retired-json"),
        pytest.param(
            {"retired.json": coded(orjson.dumps([{"crt": "x", "until": 1}]))},
            "retired.json is no list",
            id="retired-garbage",
        ),
        pytest.param(
            {
                "retired.json": coded(
                    orjson.dumps(
                        [{"crt": OTHER.ca.certificate.decode(), "until": 1}] * (RETIRED + 1)
                    )
                )
            },
            "retired.json names more than 8 CAs",
            id="too-many-retired",
        ),
    ],
)
def test_what_cannot_be_used_is_named_and_not_shown(
    held: Held, changes: dict[str, Any], fault: str
) -> None:
    data = {**data_of(held), **changes}
    with pytest.raises(UnfitError, match=fault):
        held_of(data)


def test_keys_do_not_print_themselves(held: Held) -> None:
    assert isinstance(held.leaf.key, Secret)
    assert "PRIVATE" not in repr(held)
