"""The keeper: one snapshot, swapped whole; who is told of it; how the source is."""

import asyncio
import time

import pytest

from outrider.identity.bundles import Bundles, TrustBundle
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import SourceState
from tests.support.builders import FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import Trust, a_ca, bundle_of

A, B = a_ca("a.test"), a_ca("b.test")
JWT = TrustBundle(trust_domain="a.test", jwt_keys=())
OTHER_JWT = TrustBundle(trust_domain="a.test", jwt_keys=(), sequence=2)


class _Kept:
    """A keeper with its clock, what it counted, and every snapshot it told of."""

    def __init__(self):
        self.clock = FixedClock(now_unix_s=time.time())
        self.events = RecordingIdentityEvents()
        self.keeper = IdentityKeeper(clock=self.clock, events=self.events)
        self.told = []
        self.keeper.tell(self.told.append)

    def take(self, own, *bundles):
        Trust(own=own, bundles=list(bundles)).give(self.keeper)


@pytest.fixture
def kept():
    return _Kept()


# --- the snapshot ---


def test_what_a_source_says_is_the_whole_of_it(kept):
    own = A.own()
    kept.take(own, bundle_of(A), bundle_of(B))
    snapshot = kept.keeper.snapshot()
    assert (snapshot.generation, snapshot.svid) == (1, own)
    assert set(snapshot.x509) == set(snapshot.anchors) == {"a.test", "b.test"}
    assert kept.told == [snapshot]


def test_W_6_a_bundle_that_is_no_longer_said_is_gone(kept):
    own = A.own()
    kept.take(own, bundle_of(A), bundle_of(B))
    kept.take(own, bundle_of(A))
    assert set(kept.keeper.snapshot().x509) == set(kept.keeper.snapshot().anchors) == {"a.test"}
    assert kept.keeper.snapshot().generation == 2


def test_W_11_an_authority_that_is_removed_is_no_anchor(kept):
    own, other = A.own(), a_ca("a.test", common="second")
    kept.take(own, bundle_of(A, other))
    assert len(kept.keeper.snapshot().anchors["a.test"]) == 2
    kept.take(own, bundle_of(A))
    assert len(kept.keeper.snapshot().anchors["a.test"]) == 1


def test_equal_content_changes_no_generation_and_is_not_told(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    before = kept.keeper.snapshot()
    kept.take(own, bundle_of(A))
    assert kept.keeper.snapshot() is before
    assert kept.told == [before]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda own: (A.own(), [bundle_of(A)]), id="another-leaf"),
        pytest.param(lambda own: (own, [bundle_of(A), bundle_of(B)]), id="another-bundle"),
        pytest.param(lambda own: (None, [bundle_of(A)]), id="no-svid"),
    ],
)
def test_any_change_is_a_new_generation(kept, changed):
    own = A.own()
    kept.take(own, bundle_of(A))
    after, bundles = changed(own)
    kept.take(after, *bundles)
    assert kept.keeper.snapshot().generation == 2
    assert len(kept.told) == 2


def test_an_intermediate_that_is_renewed_under_the_same_leaf_is_a_change(kept):
    between = A.below()
    svid = between.svid()
    again = a_ca("a.test", over=A, key=between.key, common="a.test intermediate")

    def own(chain):
        from outrider.identity.x509 import read_own_svid  # noqa: PLC0415 - used here alone

        return read_own_svid(
            spiffe_id="spiffe://a.test/planner",
            chain=chain,
            key=svid.key_der,
            bundle=bundle_of(A),
            hint="",
            now_unix_s=kept.clock.unix_s(),
        )

    kept.take(own(svid.der + between.der), bundle_of(A))
    kept.take(own(svid.der + again.der), bundle_of(A))
    assert kept.keeper.snapshot().generation == 2


def test_colliding_authorities_are_counted_and_ours_stays(kept):
    twin = a_ca("b.test", common="a.test root", subject_key_id=False)
    kept.take(A.own(), bundle_of(A), bundle_of(twin))
    assert kept.events.collisions == 1
    assert len(kept.keeper.snapshot().anchors["a.test"]) == 1
    assert kept.keeper.snapshot().anchors["b.test"] == frozenset()


def test_ten_thousand_updates_keep_nothing_but_the_last(kept):
    own, bundle = A.own(), bundle_of(A)
    kept.told.clear()
    keeper = IdentityKeeper(clock=kept.clock, events=kept.events)
    for turn in range(10_000):
        Trust(own=own if turn % 2 else None, bundles=[bundle]).give(keeper)
    assert keeper.snapshot().generation == 10_000
    assert len(keeper._told) == 0


# --- JWT bundles ---


def test_jwt_bundles_change_no_generation(kept):
    kept.take(A.own(), bundle_of(A))
    kept.keeper.take_jwt({"a.test": JWT})
    assert kept.keeper.snapshot().generation == 1
    assert dict(kept.keeper.snapshot().jwt.by_domain) == {"a.test": JWT}
    assert len(kept.told) == 2


def test_X_18_no_x509_bundle_comes_of_a_jwt_bundle(kept):
    kept.keeper.take_jwt({"a.test": JWT})
    assert (dict(kept.keeper.snapshot().x509), dict(kept.keeper.snapshot().anchors)) == ({}, {})


def test_equal_jwt_bundles_are_not_told_again(kept):
    kept.keeper.take_jwt({"a.test": JWT})
    kept.keeper.take_jwt({"a.test": JWT})
    assert len(kept.told) == 1


def test_a_file_in_settings_stands_before_what_the_source_says(kept):
    kept.keeper.take_listed(Bundles(by_domain={"a.test": OTHER_JWT}))
    kept.keeper.take_jwt({"a.test": JWT, "b.test": JWT})
    assert dict(kept.keeper.snapshot().jwt.by_domain) == {"a.test": OTHER_JWT, "b.test": JWT}
    kept.keeper.take_jwt({})
    assert dict(kept.keeper.snapshot().jwt.by_domain) == {"a.test": OTHER_JWT}


# --- redaction, failure, time ---


def test_W_10_redaction_takes_our_svid_and_every_x509_bundle_at_once(kept):
    kept.take(A.own(), bundle_of(A), bundle_of(B))
    kept.keeper.take_jwt({"a.test": JWT})
    kept.keeper.redact()
    snapshot = kept.keeper.snapshot()
    assert (snapshot.svid, dict(snapshot.x509), dict(snapshot.anchors)) == (None, {}, {})
    assert (snapshot.generation, kept.told[-1]) == (2, snapshot)
    assert dict(snapshot.jwt.by_domain) == {"a.test": JWT}
    assert kept.keeper.state() is SourceState.REDACTED
    assert kept.keeper.own() is None


def test_redaction_is_told_once(kept):
    kept.take(A.own(), bundle_of(A))
    kept.keeper.redact()
    kept.keeper.redact()
    assert (len(kept.told), kept.keeper.snapshot().generation) == (2, 2)


def test_the_same_svid_after_redaction_is_a_new_generation(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    kept.keeper.redact()
    kept.take(own, bundle_of(A))
    assert (kept.keeper.snapshot().generation, kept.keeper.own()) == (3, own)


def test_an_svid_serves_to_its_end_and_its_end_is_told_once(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    kept.keeper.look()
    assert len(kept.told) == 1
    kept.clock.now_unix_s = own.expires_unix_s
    kept.keeper.look()
    kept.keeper.look()
    assert (len(kept.told), kept.keeper.own(), kept.keeper.state()) == (2, None, "expired")
    assert kept.keeper.remaining_s() == 0


@pytest.mark.parametrize(
    ("left", "degraded"),
    [
        pytest.param(0.26, False, id="above-a-quarter"),
        pytest.param(0.24, True, id="under-a-quarter"),
        pytest.param(0.0, True, id="at-its-end"),
    ],
)
def test_under_a_quarter_of_its_life_an_svid_is_degraded(kept, left, degraded):
    own = A.own()
    kept.take(own, bundle_of(A))
    kept.clock.now_unix_s = own.expires_unix_s - left * own.lifetime_s
    assert kept.keeper.is_degraded() is degraded
    assert kept.keeper.remaining_s() == pytest.approx(left * own.lifetime_s, abs=1e-3)


def test_without_an_svid_nothing_is_degraded_and_nothing_remains(kept):
    assert (kept.keeper.is_degraded(), kept.keeper.remaining_s()) == (False, 0)


def test_a_source_that_failed_leaves_what_is_held(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    kept.keeper.failed("why")
    assert (kept.keeper.state(), kept.keeper.failure) == (SourceState.FAILED, "why")
    assert kept.keeper.own() is own
    kept.take(own, bundle_of(A))
    assert kept.keeper.failure is None


# --- states ---


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        pytest.param([], SourceState.WAITING, id="nothing-yet"),
        pytest.param(["on"], SourceState.WAITING, id="heard-without-an-svid"),
        pytest.param(["on", "svid"], SourceState.SERVING, id="serving"),
        pytest.param(["on", "svid", "off"], SourceState.DISCONNECTED, id="source-gone"),
        pytest.param(["on", "svid", "off", "on"], SourceState.SERVING, id="source-back"),
        pytest.param(["redact"], SourceState.REDACTED, id="never-entitled"),
        pytest.param(["on", "svid", "redact"], SourceState.REDACTED, id="redacted"),
        pytest.param(["on", "svid", "redact", "off"], SourceState.REDACTED, id="redacted-gone"),
        pytest.param(["on", "svid", "redact", "svid"], SourceState.SERVING, id="entitled-again"),
        pytest.param(["on", "svid", "expire"], SourceState.EXPIRED, id="expired"),
        pytest.param(["on", "svid", "off", "expire"], SourceState.EXPIRED, id="gone-and-expired"),
        pytest.param(["fail"], SourceState.FAILED, id="failed"),
        pytest.param(["on", "svid", "fail"], SourceState.FAILED, id="failed-while-serving"),
    ],
)
def test_the_state_follows_what_happened(kept, steps, state):
    own = A.own()
    for step in steps:
        match step:
            case "on" | "off":
                kept.keeper.connected(on=step == "on")
            case "svid":
                kept.take(own, bundle_of(A))
            case "redact":
                kept.keeper.redact()
            case "expire":
                kept.clock.now_unix_s = own.expires_unix_s
            case "fail":
                kept.keeper.failed("why")
    assert kept.keeper.state() is state


def test_the_last_contact_is_when_the_source_was_last_heard(kept):
    assert kept.keeper.contact_unix_s is None
    kept.keeper.connected(on=True)
    heard = kept.clock.unix_s()
    kept.clock.pass_s(5)
    kept.keeper.connected(on=False)
    assert kept.keeper.contact_unix_s == heard


# --- waiting ---


async def test_who_waits_for_our_svid_gets_the_first_that_is_valid(kept):
    spent, own = A.own(seconds=(-60, 30)), A.own()
    kept.clock.pass_s(31)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(kept.keeper.wait_own()) for _ in range(2)]
        await asyncio.sleep(0)
        kept.take(spent, bundle_of(A))
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
        kept.take(own, bundle_of(A))
    assert [each.result() for each in waiting] == [own, own]


async def test_nobody_waits_where_one_is_held(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    assert await kept.keeper.wait_own() is own


def test_H1_what_serves_for_no_handshake_is_told_until_news_come(kept):
    own = A.own()
    kept.take(own, bundle_of(A))
    kept.keeper.connected(on=True)
    kept.keeper.unusable("it cannot be loaded")
    assert kept.keeper.state() is SourceState.FAILED
    assert (kept.keeper.failure, kept.keeper.unusable_why) == (None, "it cannot be loaded")
    kept.keeper.unusable(None)
    assert kept.keeper.state() is SourceState.SERVING
    kept.keeper.unusable("it cannot be loaded")
    kept.take(own, bundle_of(A), bundle_of(B))
    assert kept.keeper.state() is SourceState.SERVING


def test_M6_equal_content_is_not_compared_look_by_look(kept, monkeypatch):
    own, bundles = A.own(), (bundle_of(A), bundle_of(B))
    kept.take(own, *bundles)
    monkeypatch.setattr("outrider.identity.keeper.anchors_of", None)
    kept.take(own, *bundles)
    kept.take(own, bundle_of(A), bundle_of(B))
