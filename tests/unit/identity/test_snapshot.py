"""A snapshot says what is ours now and whether a peer's proof still holds."""

import dataclasses
import time
from types import MappingProxyType

import pytest

from outrider.core.exchange import TlsPeer
from outrider.identity.snapshot import Snapshot, alive
from tests.support.spiffe_ca import a_ca

NOW = time.time()
ANCHORS = MappingProxyType({"a.test": frozenset({"aa", "bb"}), "b.test": frozenset({"cc"})})


def _peer(**changes):
    told = {
        "spiffe_id": "spiffe://a.test/a",
        "trust_domain": "a.test",
        "expires_unix_s": NOW + 10,
        "leaf_sha256": "00",
        "anchor_sha256": "aa",
        "generation": 1,
    }
    return TlsPeer(**(told | changes))


@pytest.mark.parametrize(
    ("changes", "now", "holds"),
    [
        pytest.param({}, NOW, True, id="holds"),
        pytest.param({"anchor_sha256": "bb"}, NOW, True, id="another-authority-of-its-domain"),
        pytest.param({"generation": 0}, NOW, True, id="of-an-earlier-snapshot"),
        pytest.param({}, NOW + 9.999, True, id="just-before-its-end"),
        pytest.param({}, NOW + 10, False, id="at-its-end"),
        pytest.param({"anchor_sha256": "dd"}, NOW, False, id="authority-withdrawn"),
        pytest.param({"anchor_sha256": "cc"}, NOW, False, id="X-17-another-domains-authority"),
        pytest.param({"trust_domain": "c.test"}, NOW, False, id="X-16-domain-without-a-bundle"),
    ],
)
def test_a_peer_lives_until_its_end_or_its_authoritys(changes, now, holds):
    assert alive(_peer(**changes), Snapshot(anchors=ANCHORS), now) is holds


def test_nothing_is_ours_in_an_empty_snapshot():
    assert Snapshot().own(NOW) is None


def test_our_svid_is_ours_until_its_end():
    svid = a_ca().own()
    snapshot = Snapshot(svid=svid)
    assert snapshot.own(svid.expires_unix_s - 0.001) is svid
    assert snapshot.own(svid.expires_unix_s) is None


def test_a_life_is_from_beginning_to_end():
    svid = a_ca().own(seconds=(-60, 240))
    assert svid.lifetime_s == pytest.approx(300, abs=1)


def test_a_snapshot_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Snapshot().svid = None
    with pytest.raises(TypeError):
        Snapshot().anchors["a.test"] = frozenset({"aa"})


def test_an_svid_prints_no_key():
    assert "PRIVATE" not in repr(a_ca().own())
