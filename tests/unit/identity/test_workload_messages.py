"""What an agent's messages say: whole and checked, or nothing."""

import dataclasses
import time

import pytest

from outrider.identity import workload_messages, workload_proto as proto
from outrider.identity.workload_messages import (
    MalformedUpdateError,
    X509Reader,
    chosen,
    read_jwt_bundles,
)
from tests.support import jwt
from tests.support.fake_workload_api import an_entry
from tests.support.spiffe_ca import a_ca, ed448_of_a_short_seed, unloadable_ca

A, B, OTHER = a_ca("a.test"), a_ca("b.test"), a_ca("a.test", common="another root")
ENTRY = an_entry(A)
KEY = jwt.a_key()
DAY_S = 24 * 3600


def _entry(**changes):
    return dataclasses.replace(ENTRY, **changes)


def _message(*entries, federated=None, crl=()):
    svids = [
        {
            "spiffe_id": entry.spiffe_id,
            "x509_svid": entry.chain,
            "x509_svid_key": entry.key,
            "bundle": entry.bundle,
            "hint": entry.hint,
        }
        for entry in entries
    ]
    return proto.encoded(
        "X509SVIDResponse", svids=svids, federated_bundles=federated or {}, crl=list(crl)
    )


def _read(data):
    return X509Reader().read(data, now_unix_s=time.time())


def _domains(state):
    return {
        name: {each.subject for each in bundle.x509_authorities}
        for name, bundle in state.bundles.items()
    }


# --- X.509: what is taken ---


def test_an_svid_and_its_bundle_are_read():
    state = _read(_message(ENTRY))
    assert [svid.spiffe_id.text for svid in state.svids] == ["spiffe://a.test/planner"]
    assert _domains(state) == {"a.test": {A.certificate.subject}}
    assert (state.unread, state.crls) == (0, 0)


def test_an_svid_through_an_intermediate_is_read():
    assert len(_read(_message(an_entry(A.below()))).svids) == 1


def test_W_11_every_concatenated_authority_is_read():
    state = _read(_message(_entry(bundle=OTHER.der + A.der)))
    assert _domains(state) == {"a.test": {A.certificate.subject, OTHER.certificate.subject}}


def test_federated_bundles_are_read_under_their_own_name():
    state = _read(_message(ENTRY, federated={"spiffe://b.test": B.der}))
    assert _domains(state)["b.test"] == {B.certificate.subject}


def test_a_federated_entry_never_replaces_our_own_domains_bundle():
    state = _read(_message(ENTRY, federated={"spiffe://a.test": OTHER.der}))
    assert _domains(state) == {"a.test": {A.certificate.subject}}


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"nonsense", id="nonsense"),
        pytest.param(B.der[:-1], id="truncated"),
        pytest.param(B.der + b"\x00", id="trailing-byte"),
        pytest.param(B.svid().der, id="no-authority"),
        pytest.param(B.der * 65, id="more-than-64-authorities"),
    ],
)
def test_a_malformed_federated_bundle_costs_its_own_domain_alone(der):
    others = {"spiffe://b.test": der, "spiffe://c.test": a_ca("c.test").der}
    state = _read(_message(ENTRY, federated=others))
    assert (set(state.bundles), state.unread) == ({"a.test", "c.test"}, 1)


def test_S6_revocation_lists_are_counted_and_change_nothing():
    assert _read(_message(ENTRY, crl=[b"x", b"y"])).crls == 2


def test_svids_of_two_trust_domains_bring_a_bundle_each():
    state = _read(_message(ENTRY, an_entry(B)))
    assert set(state.bundles) == {"a.test", "b.test"}
    assert _domains(state)["b.test"] == {B.certificate.subject}


def test_the_bounds_themselves_are_taken():
    domains = {f"spiffe://d{number}.test": B.der for number in range(1024)}
    state = _read(_message(*[_entry(hint="h" * 1024)] * 64, federated=domains))
    assert (len(state.svids), len(state.bundles)) == (64, 1025)


def test_bundles_in_the_same_bytes_are_not_parsed_again():
    reader = X509Reader()
    first = reader.read(
        _message(ENTRY, federated={"spiffe://b.test": B.der}), now_unix_s=time.time()
    )
    again = reader.read(
        _message(an_entry(A), federated={"spiffe://b.test": B.der}), now_unix_s=time.time()
    )
    assert again.bundles["b.test"] is first.bundles["b.test"]
    assert again.svids[0].leaf_sha256 != first.svids[0].leaf_sha256
    reader.read(_message(ENTRY), now_unix_s=time.time())
    assert {domain for domain, _ in reader._known} == {"a.test"}


def test_the_same_authority_under_two_names_is_two_bundles():
    state = _read(_message(ENTRY, federated={"spiffe://b.test": A.der}))
    assert str(state.bundles["b.test"].trust_domain) == "b.test"


# --- X.509: what is discarded whole ---


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff", id="no-message"),
        pytest.param(_message(), id="W-7-no-svid"),
        pytest.param(_message(_entry(spiffe_id="")), id="W-7-no-spiffe-id"),
        pytest.param(_message(_entry(chain=b"")), id="W-7-no-chain"),
        pytest.param(_message(_entry(key=b"")), id="W-7-no-key"),
        pytest.param(_message(_entry(bundle=b"")), id="W-7-no-bundle"),
        pytest.param(_message(ENTRY, _entry(key=b"")), id="W-7-only-the-second"),
        pytest.param(_message(_entry(chain=ENTRY.chain[:-1])), id="truncated-der"),
        pytest.param(_message(_entry(chain=ENTRY.chain + b"\x00")), id="trailing-byte"),
        pytest.param(_message(_entry(chain=b"\x30\x80\x00\x00")), id="indefinite-length"),
        pytest.param(_message(_entry(chain=ENTRY.chain + A.der * 8)), id="chain-of-nine"),
        pytest.param(_message(_entry(bundle=A.der[:-1])), id="truncated-bundle"),
        pytest.param(_message(_entry(bundle=A.der * 65)), id="65-authorities"),
        pytest.param(_message(_entry(key=b"\x30\x00")), id="no-key-at-all"),
        pytest.param(_message(_entry(key=an_entry(A).key)), id="S6-wrong-key"),
        pytest.param(_message(_entry(spiffe_id="spiffe://a.test/other")), id="S6-foreign-san"),
        pytest.param(_message(_entry(spiffe_id="spiffe://b.test/planner")), id="foreign-domain"),
        pytest.param(_message(_entry(spiffe_id="spiffe://a.test/planner\n")), id="S7-newline"),
        pytest.param(_message(_entry(spiffe_id="spiffe://a.test")), id="X-4-no-path"),
        pytest.param(_message(_entry(bundle=OTHER.der)), id="S6-not-by-its-bundle"),
        pytest.param(_message(an_entry(A, seconds=(-60, -1))), id="expired"),
        pytest.param(_message(an_entry(A, seconds=(DAY_S, 2 * DAY_S))), id="not-yet-valid"),
        pytest.param(_message(an_entry(A, usages=())), id="S10-X-10-leaf-rule"),
        pytest.param(_message(an_entry(A, usages_critical=False)), id="S10-X-9-leaf-rule"),
        pytest.param(_message(ENTRY, _entry(bundle=A.der + OTHER.der)), id="bundles-that-disagree"),
        pytest.param(_message(*[ENTRY] * 65), id="65-svids"),
        pytest.param(_message(_entry(hint="h" * 1025)), id="hint-of-1025-bytes"),
        pytest.param(_message(_entry(hint="\u00e4" * 513)), id="hint-of-1026-bytes"),
        pytest.param(
            _message(ENTRY, federated={f"spiffe://d{n}.test": B.der for n in range(1025)}),
            id="1025-trust-domains",
        ),
        pytest.param(_message(ENTRY, federated={"b.test": B.der}), id="bundle-of-a-bare-name"),
        pytest.param(_message(ENTRY, federated={"spiffe://b.test/x": B.der}), id="bundle-of-an-id"),
        pytest.param(_message(ENTRY, federated={"": B.der}), id="bundle-of-nobody"),
        pytest.param(
            _message(ENTRY, federated={"spiffe://B.test": B.der}), id="S8-bundle-in-upper-case"
        ),
    ],
)
def test_a_malformed_message_is_discarded_whole(data):
    with pytest.raises(MalformedUpdateError) as raised:
        _read(data)
    assert "BEGIN" not in str(raised.value)


def test_two_svids_may_give_their_bundle_in_another_order():
    one = _entry(bundle=A.der + OTHER.der)
    assert len(_read(_message(one, _entry(bundle=OTHER.der + A.der))).svids) == 2


# --- which SVID is ours ---


@pytest.fixture(scope="module")
def svids():
    entries = [
        an_entry(A, "/first"),
        an_entry(A, "/second", hint="internal"),
        an_entry(A, "/third", hint="internal"),
        an_entry(A, "/fourth", hint="external"),
        an_entry(A, "/fifth"),
    ]
    return _read(_message(*entries)).svids


@pytest.mark.parametrize(
    ("hint", "spiffe_id", "path"),
    [
        pytest.param(None, None, "/first", id="W-8-the-first-is-default"),
        pytest.param("external", None, "/fourth", id="S6-by-hint"),
        pytest.param("internal", None, "/second", id="W-9-equal-hints-the-first"),
        pytest.param(None, "spiffe://a.test/fifth", "/fifth", id="S6-by-spiffe-id"),
        pytest.param("external", "spiffe://a.test/fourth", "/fourth", id="by-both"),
        pytest.param(None, "spiffe://a.test/third", None, id="W-9-passed-over"),
        pytest.param("absent", None, None, id="hint-of-nobody"),
        pytest.param("extern", None, None, id="hint-in-part"),
        pytest.param(None, "spiffe://a.test/absent", None, id="id-of-nobody"),
        pytest.param(None, "spiffe://a.test/First", None, id="SPI-09-case"),
        pytest.param("internal", "spiffe://a.test/fourth", None, id="one-of-both"),
    ],
)
def test_settings_choose_the_svid_and_no_other_takes_its_place(svids, hint, spiffe_id, path):
    found = chosen(svids, hint=hint, spiffe_id=spiffe_id)
    assert (found.spiffe_id.path if found else None) == path


def test_H1_a_federated_bundle_that_openssl_cannot_load_costs_its_own_domain_alone():
    state = _read(
        _message(
            ENTRY,
            federated={"spiffe://b.test": B.der + unloadable_ca(), "spiffe://c.test": B.der},
        )
    )
    assert (set(state.bundles), state.unread) == ({"a.test", "c.test"}, 1)


def test_H1_an_own_bundle_that_openssl_cannot_load_discards_the_message():
    with pytest.raises(MalformedUpdateError, match="OpenSSL"):
        _read(_message(_entry(bundle=A.der + unloadable_ca("a.test"))))


def test_M1_a_key_that_cryptography_has_no_word_for_discards_the_message():
    with pytest.raises(MalformedUpdateError, match="a key that cannot be read"):
        _read(_message(_entry(key=ed448_of_a_short_seed())))


def test_M6_authorities_are_bounded_over_all_domains(monkeypatch):
    monkeypatch.setattr(workload_messages, "AUTHORITIES_TOTAL", 3)
    federated = {"spiffe://b.test": B.der, "spiffe://c.test": B.der}
    assert len(_read(_message(ENTRY, federated=federated)).bundles) == 3
    with pytest.raises(MalformedUpdateError, match="more than 3 authorities in all"):
        _read(_message(ENTRY, federated=federated | {"spiffe://d.test": B.der}))


# --- JWT bundles ---


def _jwt_message(**bundles):
    return proto.encoded(
        "JWTBundlesResponse",
        bundles={f"spiffe://{name}.test": document for name, document in bundles.items()},
    )


def _kids(state):
    return {name: [key.kid for key in bundle.jwt_keys] for name, bundle in state.bundles.items()}


def test_jwt_bundles_are_read_by_domain():
    state = read_jwt_bundles(
        _jwt_message(a=jwt.a_bundle(KEY.jwk()), b=jwt.a_bundle(KEY.jwk(kid="other"))),
        own_domain="a.test",
    )
    assert (_kids(state), state.unread) == ({"a.test": ["key-1"], "b.test": ["other"]}, 0)


@pytest.mark.parametrize(
    ("use", "taken"),
    [
        pytest.param(None, True, id="J-10-absent-as-spire-sends-it"),
        pytest.param("jwt-svid", True, id="J-10-named"),
        pytest.param("x509-svid", False, id="S9-X-18-x509"),
        pytest.param("wit-svid", False, id="S9-wit"),
    ],
)
def test_use_decides_which_keys_of_the_workload_api_count(use, taken):
    state = read_jwt_bundles(_jwt_message(a=jwt.a_bundle(KEY.jwk(use=use))), own_domain="a.test")
    assert _kids(state) == {"a.test": ["key-1"] if taken else []}


def test_S9_a_key_without_kid_costs_no_bundle():
    state = read_jwt_bundles(_jwt_message(a=jwt.a_bundle(KEY.jwk(kid=None))), own_domain="a.test")
    assert _kids(state) == {"a.test": [None]}


def test_another_domains_malformed_keys_cost_that_domain_alone():
    data = _jwt_message(a=jwt.a_bundle(KEY.jwk()), b=b"nonsense", c=b"")
    state = read_jwt_bundles(data, own_domain="a.test")
    assert (set(state.bundles), state.unread) == ({"a.test"}, 2)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff", id="no-message"),
        pytest.param(_jwt_message(), id="W-7-no-bundles"),
        pytest.param(_jwt_message(a=b"nonsense"), id="our-own-is-nonsense"),
        pytest.param(_jwt_message(a=b""), id="W-7-our-own-is-empty"),
        pytest.param(
            proto.encoded("JWTBundlesResponse", bundles={"a.test": jwt.a_bundle()}),
            id="bundle-of-a-bare-name",
        ),
        pytest.param(
            proto.encoded(
                "JWTBundlesResponse", bundles={f"spiffe://d{n}.test": b"{}" for n in range(1025)}
            ),
            id="1025-trust-domains",
        ),
    ],
)
def test_malformed_jwt_bundles_are_discarded_whole(data):
    with pytest.raises(MalformedUpdateError):
        read_jwt_bundles(data, own_domain="a.test")
