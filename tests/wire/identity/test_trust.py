"""Whose authority speaks for whom, while trust changes and where it overlaps (IDENTITY §7.2)."""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from outrider.core.errors import UnauthenticatedError
from outrider.identity.bundles import TrustBundle, parse_bundle
from outrider.identity.causes import Cause
from outrider.identity.jwt_svid import Expectation, verify_jwt_svid
from outrider.identity.reasons import HandshakeReason as Reason, Role
from tests.support.jwt import SigningKey, a_bundle, mint
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, a_leaf, bundle_of
from tests.support.spiffe_wire import (
    Echo,
    Ours,
    TicketHolder,
    dialled,
    listening,
    ours,
    their_client,
    their_server,
)


async def _taken(echo: Echo, svid: Svid) -> bool:
    """Whether our listener takes a client that shows `svid`."""
    return await _taken_with(echo, their_client(svid))


async def _taken_with(echo: Echo, client: ssl.SSLContext) -> bool:
    try:
        async with dialled(echo.port, client) as connection:
            return await connection.echoes()
    except (ConnectionError, ssl.SSLError):
        return False


def _give(us: Ours, *bundles) -> None:
    Trust(own=us.trust.own, bundles=list(bundles)).give(us.keeper)


def _last(us: Ours) -> Reason:
    return us.handshakes[-1][1]


# --- nothing is resumed ---


async def test_a_plain_server_lets_a_ticket_holder_in_without_looking():
    """The control: what is closed below is open with the defaults of `ssl`."""
    us = ours()
    server = their_server(us.a.svid(), tickets=2)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=us.b.der)
    holder = TicketHolder.showing(us.b.svid())
    async with listening(server) as echo:
        assert await _taken_with(echo, holder)
        assert holder.session is not None
        assert holder.session.has_ticket
        async with dialled(echo.port, holder) as connection:
            assert await connection.echoes()
            assert connection.writer.get_extra_info("ssl_object").session_reused


async def test_a_client_is_given_no_ticket():
    us = ours()
    holder = TicketHolder.showing(us.b.svid())
    async with listening(us.server()) as echo:
        assert await _taken_with(echo, holder)
        assert holder.session is None or not holder.session.has_ticket
        async with dialled(echo.port, holder) as connection:
            assert await connection.echoes()
            assert not connection.writer.get_extra_info("ssl_object").session_reused
    assert us.handshakes == [(Role.SERVER, Reason.OK)] * 2


async def test_an_expired_client_is_not_let_in_again():
    us = ours()
    brief = us.b.svid("/brief", seconds=(-60, 2))
    holder = TicketHolder.showing(brief)
    async with listening(us.server()) as echo:
        assert await _taken_with(echo, holder)
        await _wait_ended(brief.certificate)
        assert not await _taken_with(echo, holder)
    assert us.handshakes == [(Role.SERVER, Reason.OK), (Role.SERVER, Reason.EXPIRED)]


async def _wait_ended(certificate: x509.Certificate) -> None:
    """Until OpenSSL, which has only the machine's clock, finds `certificate` expired."""
    left_s = (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()
    ended = asyncio.Event()
    asyncio.get_running_loop().call_later(max(0.0, left_s) + 0.05, ended.set)
    await ended.wait()


async def test_a_client_whose_authority_was_withdrawn_is_not_let_in_again():
    us = ours()
    holder = TicketHolder.showing(us.b.svid())
    async with listening(us.server()) as echo:
        assert await _taken_with(echo, holder)
        _give(us, bundle_of(us.a))
        assert not await _taken_with(echo, holder)
        assert _last(us) == Reason.UNKNOWN_AUTHORITY
        assert await _taken(echo, us.a.svid())


async def test_a_ticket_from_before_a_rotation_opens_nothing():
    us = ours()
    holder = TicketHolder.showing(us.b.svid())
    async with listening(us.server()) as echo:
        assert await _taken_with(echo, holder)
        Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
        async with dialled(echo.port, holder) as connection:
            assert await connection.echoes()
            assert not connection.writer.get_extra_info("ssl_object").session_reused
    assert us.handshakes == [(Role.SERVER, Reason.OK)] * 2


# --- rotation ---


async def test_a_new_svid_is_shown_by_the_same_listener_and_connector():
    us = ours()
    facades = us.server(), us.client()
    seen = []
    async with listening(facades[0]) as echo:
        for _ in range(3):
            async with dialled(echo.port, facades[1]) as connection:
                assert await connection.echoes()
                assert connection.peer is not None
                seen.append(connection.peer)
            Trust(own=us.a.own("/sidecar"), bundles=us.trust.bundles).give(us.keeper)
    assert len({peer.leaf_sha256 for peer in seen}) == 3
    assert [peer.generation for peer in seen] == [1, 2, 3]


async def test_a_new_authority_is_trusted_and_an_old_one_no_longer():
    us = ours()
    new = a_ca("b.test", common="b.test next")
    async with listening(us.server()) as echo:
        assert await _taken(echo, us.b.svid())
        assert not await _taken(echo, new.svid())
        _give(us, bundle_of(us.a), bundle_of(us.b, new))
        assert await _taken(echo, us.b.svid())
        assert await _taken(echo, new.svid())
        _give(us, bundle_of(us.a), bundle_of(new))
        assert not await _taken(echo, us.b.svid())
        assert await _taken(echo, new.svid())


async def test_a_connection_of_before_lives_on_and_says_of_when_it_is():
    us = ours()
    async with (
        listening(us.server()) as echo,
        dialled(echo.port, their_client(us.b.svid())) as connection,
    ):
        assert await connection.echoes()
        _give(us, bundle_of(us.a))
        assert await connection.echoes()
        (peer,) = echo.peers
        assert peer is not None
        assert peer.generation == 1
        assert peer.anchor_sha256 not in us.keeper.snapshot().anchors.get("b.test", ())


# --- domains ---


async def test_X16_the_peer_s_own_trust_domain_chooses_the_bundle():
    us = ours()
    async with listening(us.server()) as echo:
        assert await _taken(echo, us.b.svid())
        assert not await _taken(echo, a_leaf(us.b, uris=("spiffe://a.test/x",)))
        assert _last(us) == Reason.WRONG_AUTHORITY
        assert not await _taken(echo, a_leaf(us.b, uris=("spiffe://c.test/x",)))
        assert _last(us) == Reason.NO_BUNDLE


async def test_X17_bundles_are_never_merged_in_either_direction():
    us = ours()
    async with listening(us.server()) as echo:
        for ca, other in ((us.a, us.b), (us.b, us.a)):
            assert await _taken(echo, ca.svid())
            forged = a_leaf(other, uris=(f"spiffe://{ca.trust_domain}/x",))
            assert not await _taken(echo, forged)
            assert _last(us) == Reason.WRONG_AUTHORITY
            through = a_leaf(other.below(), uris=(f"spiffe://{ca.trust_domain}/x",))
            assert not await _taken(echo, through)
            assert _last(us) == Reason.WRONG_AUTHORITY


def _jwt_bundle(trust_domain: str, key: SigningKey) -> TrustBundle:
    return parse_bundle(a_bundle(key.jwk()), trust_domain)


def _signing(ca: Ca) -> SigningKey:
    assert isinstance(ca.key, ec.EllipticCurvePrivateKey)
    return SigningKey(kid="ca", alg="ES256", key=ca.key)


def _token_refused(us: Ours, ca: Ca) -> str | None:
    """Why a JWT-SVID signed with `ca`'s key is none of its trust domain; None where it is one."""
    now = int(datetime.now(UTC).timestamp())
    subject = f"spiffe://{ca.trust_domain}/x"
    token = mint(_signing(ca), {"sub": subject, "aud": ["me"], "exp": now + 60, "iat": now})
    expected = Expectation(
        audience="me", trust_domains=frozenset({ca.trust_domain}), leeway_s=5, max_life_s=3600
    )
    try:
        verify_jwt_svid(token, bundles=us.keeper.snapshot().jwt, expected=expected, now_unix_s=now)
    except UnauthenticatedError as refused:
        return refused.cause
    return None


async def test_X18_an_authority_for_tokens_is_none_for_connections():
    us = ours()
    c = a_ca("c.test")
    us.keeper.take_jwt({"c.test": _jwt_bundle("c.test", _signing(c))})
    assert _token_refused(us, c) is None
    async with listening(us.server()) as echo:
        assert not await _taken(echo, c.svid())
        assert _last(us) == Reason.UNKNOWN_AUTHORITY
        assert not await _taken(echo, a_leaf(us.a, uris=("spiffe://c.test/x",)))
        assert _last(us) == Reason.NO_BUNDLE
        _give(us, bundle_of(us.a), bundle_of(c))
        assert await _taken(echo, c.svid())


async def test_X18_an_authority_for_connections_is_none_for_tokens():
    us = ours()
    async with listening(us.server()) as echo:
        assert await _taken(echo, us.b.svid())
    assert _token_refused(us, us.b) == Cause.UNKNOWN_DOMAIN.value
    us.keeper.take_jwt({"b.test": _jwt_bundle("b.test", _signing(us.b))})
    assert _token_refused(us, us.b) is None


# --- authorities that overlap or look alike ---


def _like(ca: Ca, *, identifier: bool) -> Ca:
    """An authority of b.test with the subject of `ca` and another key."""
    held = x509.SubjectKeyIdentifier.from_public_key(ca.key.public_key()).digest
    common = ca.certificate.subject.rdns[0].rfc4514_string().removeprefix("CN=")
    return a_ca("b.test", common=common, subject_key_id=held if identifier else False)


@pytest.mark.parametrize("identifier", [True, False], ids=["same-identifier", "no-identifier"])
@pytest.mark.parametrize("first", ["a.test", "b.test"])
async def test_a_look_alike_of_our_authority_harms_no_peer_of_ours(first: str, identifier: bool):
    us = ours()
    like = _like(us.a, identifier=identifier)
    bundles = [bundle_of(us.a), bundle_of(us.b, like)]
    _give(us, *(bundles if first == "a.test" else reversed(bundles)))
    assert us.events.collisions == 1
    async with listening(us.server()) as echo:
        assert await _taken(echo, us.a.svid())
        assert await _taken(echo, us.a.below().svid())
        assert await _taken(echo, us.b.svid())
        assert not await _taken(echo, like.svid())
        assert not await _taken(echo, a_leaf(like, uris=("spiffe://a.test/x",)))


async def test_a_look_alike_of_our_own_intermediate_harms_no_peer_of_ours():
    us = ours()
    between = us.a.below(common="a.test issuing")
    like = _like(between, identifier=True)
    Trust(own=between.own("/sidecar"), bundles=[bundle_of(us.a), bundle_of(us.b, like)]).give(
        us.keeper
    )
    async with listening(us.server()) as echo:
        assert await _taken(echo, between.svid())
        assert await _taken(echo, us.b.svid())
        assert not await _taken(echo, a_leaf(like, uris=("spiffe://a.test/x",)))


@pytest.mark.parametrize("held", ["root", "intermediate"])
async def test_a_bundle_that_holds_ours_gains_nothing_over_us(held: str):
    us = ours()
    between = us.a.below()
    shared = us.a if held == "root" else between
    _give(us, bundle_of(us.a), bundle_of(us.b, shared))
    async with listening(us.server()) as echo:
        assert await _taken(echo, us.a.svid())
        assert await _taken(echo, between.svid())
        assert await _taken(echo, us.b.svid())
        assert not await _taken(echo, a_leaf(us.b, uris=("spiffe://a.test/x",)))
        assert _last(us) == Reason.WRONG_AUTHORITY
    for peer in echo.peers:
        assert peer is not None
        assert peer.anchor_sha256 in us.keeper.snapshot().anchors[peer.trust_domain]


async def test_a_chain_through_another_s_intermediate_ends_in_our_own_root():
    us = ours()
    between = us.a.below()
    _give(us, bundle_of(us.a), bundle_of(us.b, between))
    async with (
        listening(their_server(between.svid("/service"))) as echo,
        dialled(echo.port, us.client()) as connection,
    ):
        assert connection.peer is not None
        assert connection.peer.anchor_sha256 in us.keeper.snapshot().anchors["a.test"]


async def test_an_intermediate_alone_may_be_a_domain_s_authority():
    us = ours()
    between = us.b.below()
    _give(us, bundle_of(us.a), bundle_of(between))
    async with listening(us.server()) as echo:
        assert await _taken(echo, between.svid())
        assert not await _taken(echo, us.b.svid())
