"""An agent's messages are bytes of others: whatever they are, a state comes of them, or our own
refusal and nothing else; what was read before makes no difference."""

import time

import pytest
from hypothesis import given, strategies as st

from outrider.identity import workload_proto as proto
from outrider.identity.workload_messages import (
    MalformedUpdateError,
    X509Reader,
    read_jwt_bundles,
)
from tests.support import jwt
from tests.support.fake_workload_api import an_entry
from tests.support.spiffe_ca import a_ca

A, B = a_ca("a.test"), a_ca("b.test")
ENTRY = an_entry(A.below())
SVIDS = [
    {
        "spiffe_id": ENTRY.spiffe_id,
        "x509_svid": ENTRY.chain,
        "x509_svid_key": ENTRY.key,
        "bundle": ENTRY.bundle,
    }
]
X509 = proto.encoded("X509SVIDResponse", svids=SVIDS, federated_bundles={"spiffe://b.test": B.der})
JWT = proto.encoded(
    "JWTBundlesResponse",
    bundles={"spiffe://a.test": jwt.a_bundle(jwt.a_key().jwk(use=None))},
)
NOW = time.time()
READER = X509Reader()


def _cut(data, edits):
    found = bytearray(data)
    for at, length, put in edits:
        begin = at % (len(found) + 1)
        found[begin : begin + length] = put
    return bytes(found)


EDITS = st.lists(
    st.tuples(st.integers(0, 4096), st.integers(0, 4), st.binary(max_size=4)), max_size=3
)


def _outcome(reader, data):
    try:
        state = reader.read(data, now_unix_s=NOW)
    except MalformedUpdateError:
        return None
    return [svid.leaf_sha256 for svid in state.svids], state.bundles, state.unread


# The parser of certificates warns of some that it reads all the same.
@pytest.mark.filterwarnings("default")
@given(st.binary(max_size=400) | EDITS.map(lambda edits: _cut(X509, edits)))
def test_of_any_bytes_comes_a_state_or_our_refusal(data):
    outcome = _outcome(READER, data)
    assert outcome == _outcome(X509Reader(), data)
    if outcome is not None:
        leaves, bundles, unread = outcome
        assert leaves
        assert "a.test" in bundles
        assert unread <= 1


@given(st.binary(max_size=400) | EDITS.map(lambda edits: _cut(JWT, edits)))
def test_of_any_bytes_come_jwt_bundles_or_our_refusal(data):
    try:
        state = read_jwt_bundles(data, own_domain="a.test")
    except MalformedUpdateError:
        return
    assert len(state.bundles) + state.unread >= 1
    assert all(bundle.trust_domain == name for name, bundle in state.bundles.items())


def test_both_sides_of_the_law_are_reached():
    assert _outcome(READER, X509) is not None
    assert _outcome(READER, X509[:-1]) is None
    assert set(read_jwt_bundles(JWT, own_domain="a.test").bundles) == {"a.test"}
