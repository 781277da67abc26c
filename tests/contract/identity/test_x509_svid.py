"""conf_XS, conf_XV, conf_XF and the X.509 samples of conf_ID: SVIDs shown and peers judged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from outrider.identity.reasons import HandshakeReason, Role
from tests.contract.identity.stage import AWAY, HOME, End, Stage, staged
from tests.support.spiffe_ca import Ca, Svid, a_ca

HOUR_S = 3600.0


# --- XS: what it shows, and whom its own bundle makes it trust ---


async def test_conf_XS_1_the_svid_of_the_workload_api_is_shown() -> None:
    async with staged() as stage:
        svid = stage.ca.svid("/xs-1")
        stage.give(svid)
        # OpenSSL may put the authority behind a leaf that stands alone
        assert (await stage.shows("/xs-1")).chain[0] == svid.der


async def test_conf_XS_2_intermediates_are_shown_behind_the_leaf() -> None:
    async with staged() as stage:
        between = stage.ca.below()
        svid = between.svid("/xs-2")
        stage.give(svid)
        # the probe trusts the root alone
        assert (await stage.shows("/xs-2")).chain == (svid.der, between.der)


async def test_conf_XS_3_a_rotated_svid_is_shown_to_whoever_comes_next() -> None:
    async with staged() as stage:
        for path in ("/xs-3-a", "/xs-3-b"):
            stage.give(stage.ca.svid(path))
            assert (await stage.shows(path)).line == f"{HOME}/probe"


async def test_conf_XS_4_every_authority_of_a_bundle_is_trusted() -> None:
    async with staged() as stage:
        second = a_ca("a.test", common="a.test second")
        assert await stage.takes(End.SERVER, second.svid("/xs-4")) is None
        await stage.settle(authorities=(stage.ca, second))
        assert await stage.takes(End.SERVER, stage.ca.svid("/xs-4-1")) == f"{HOME}/xs-4-1"
        assert await stage.takes(End.SERVER, second.svid("/xs-4-2")) == f"{HOME}/xs-4-2"


async def test_conf_XS_5_an_authority_that_left_the_bundle_is_not_trusted() -> None:
    async with staged() as stage:
        second = a_ca("a.test", common="a.test second")
        await stage.settle(path="/both", authorities=(stage.ca, second))
        assert await stage.takes(End.SERVER, second.svid("/xs-5")) == f"{HOME}/xs-5"
        await stage.settle(path="/one", authorities=(stage.ca,))
        assert await stage.takes(End.SERVER, stage.ca.svid("/xs-5")) == f"{HOME}/xs-5"
        assert await stage.takes(End.SERVER, second.svid("/xs-5")) is None


# --- XV: peers, at both ends ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer of our trust domain; `reason` is None for one that is taken under `spiffe_id`."""

    made: Callable[[Ca], Svid]
    spiffe_id: str = ""
    reason: HandshakeReason | None = None


def right(path: str, made: Callable[[Ca], Svid]) -> Peer:
    return Peer(made=made, spiffe_id=f"{HOME}{path}")


def wrong(reason: HandshakeReason, made: Callable[[Ca], Svid]) -> Peer:
    return Peer(made=made, reason=reason)


DNS = (x509.DNSName("xv.a.test"),)
SIGNS = ("digital_signature", "key_cert_sign")
REVOKES = ("digital_signature", "crl_sign")
TWO = (f"{HOME}/xv", f"{HOME}/xv-second")
LEAF, NAME = HandshakeReason.LEAF, HandshakeReason.SPIFFE_ID
PEERS = {
    "XV-1": right("/xv", lambda ca: ca.svid("/xv")),
    "XV-2": right("/xv", lambda ca: ca.below().svid("/xv")),
    "XV-3": right("/xv", lambda ca: ca.svid("/xv", names=DNS)),
    "XV-4": right("/xv", lambda ca: ca.svid("/xv", common=None)),
    "XV-5": wrong(HandshakeReason.UNKNOWN_AUTHORITY, lambda _: a_ca("a.test").svid("/xv")),
    "XV-6": wrong(
        HandshakeReason.EXPIRED, lambda ca: ca.svid("/xv", seconds=(-2 * HOUR_S, -HOUR_S))
    ),
    "XV-7": wrong(
        HandshakeReason.NOT_YET_VALID, lambda ca: ca.svid("/xv", seconds=(HOUR_S, 2 * HOUR_S))
    ),
    "XV-8": wrong(LEAF, lambda ca: ca.svid("/xv", basics=True)),
    "XV-9": wrong(LEAF, lambda ca: ca.svid("/xv", usages=SIGNS)),
    "XV-10": wrong(LEAF, lambda ca: ca.svid("/xv", usages=REVOKES)),
    "XV-11": wrong(LEAF, lambda ca: ca.svid(uris=TWO)),
    "XV-12": wrong(LEAF, lambda ca: ca.svid(uris=(), names=DNS)),
    "XV-13": wrong(NAME, lambda ca: ca.svid(uris=("https://a.test/xv",))),
    "XV-14": wrong(NAME, lambda ca: ca.svid("")),
    "XV-15": wrong(HandshakeReason.NO_BUNDLE, lambda ca: ca.svid(uris=("spiffe://c.test/xv",))),
}
NAMES = {
    "ID-1/x509-query": f"{HOME}/a?x=1",
    "ID-1/x509-percent-encoded": f"{HOME}/%41",
    "ID-1/x509-trailing-slash": f"{HOME}/a/",
    "ID-1/x509-port": f"{HOME}:8080/a",
}


def rows() -> Iterator[object]:
    for name, peer in PEERS.items():
        for end in End:
            yield pytest.param(end, peer, id=f"conf_{name}/{end.value}")
    for name, uri in NAMES.items():
        yield pytest.param(End.SERVER, wrong(NAME, named(uri)), id=f"conf_{name}")


def named(uri: str) -> Callable[[Ca], Svid]:
    return lambda ca: ca.svid(uris=(uri,))


async def control(stage: Stage, end: End) -> None:
    """A right peer is taken."""
    assert await stage.takes(end, stage.ca.svid("/control")) == f"{HOME}/control"


@pytest.mark.parametrize(("end", "peer"), list(rows()))
async def test_a_peer_is_taken_under_its_id_or_refused_for_its_own_reason(
    end: End, peer: Peer
) -> None:
    async with staged() as stage:
        shown = peer.made(stage.ca)
        await control(stage, end)
        assert await stage.takes(end, shown) == (peer.spiffe_id or None)
        greeted = [f"{HOME}/control", *([peer.spiffe_id] if peer.spiffe_id else [])]
        assert stage.harness.greeted == (greeted if end is End.SERVER else [])
        reason = peer.reason or HandshakeReason.OK
        role = Role.SERVER if end is End.SERVER else Role.CLIENT
        assert stage.harness.events.handshakes == [(role, HandshakeReason.OK), (role, reason)]


# --- XF: federation, at both ends ---


@pytest.mark.parametrize("end", [pytest.param(end, id=f"conf_XF-1/{end.value}") for end in End])
async def test_a_peer_of_a_federated_domain_is_taken(end: End) -> None:
    async with staged() as stage:
        away = a_ca("b.test")
        assert await stage.takes(end, away.svid("/xf-1")) is None
        await stage.settle(federated={AWAY: away})
        assert await stage.takes(end, away.svid("/xf-1")) == f"{AWAY}/xf-1"


@pytest.mark.parametrize("end", [pytest.param(end, id=f"conf_XF-2/{end.value}") for end in End])
async def test_an_authority_speaks_for_no_domain_but_its_own(end: End) -> None:
    async with staged() as stage:
        away = a_ca("b.test")
        await stage.settle(federated={AWAY: away})
        await control(stage, end)
        assert await stage.takes(end, away.svid("/xf-2")) == f"{AWAY}/xf-2"
        assert await stage.takes(end, stage.ca.svid(uris=(f"{AWAY}/xf-2",))) is None
        assert await stage.takes(end, away.svid(uris=(f"{HOME}/xf-2",))) is None
        reasons = [reason for _, reason in stage.harness.events.handshakes[-2:]]
        assert reasons == [HandshakeReason.WRONG_AUTHORITY] * 2


@pytest.mark.parametrize("end", [pytest.param(end, id=f"conf_XF-3/{end.value}") for end in End])
async def test_a_federated_domain_that_is_left_out_is_trusted_no_more(end: End) -> None:
    async with staged() as stage:
        away = a_ca("b.test")
        await stage.settle(path="/with", federated={AWAY: away})
        assert await stage.takes(end, away.svid("/xf-3")) == f"{AWAY}/xf-3"
        await stage.settle(path="/without")
        await control(stage, end)
        assert await stage.takes(end, away.svid("/xf-3")) is None
        assert stage.harness.events.handshakes[-1][1] is not HandshakeReason.OK
