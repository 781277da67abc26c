"""Mutual TLS between SPIFFE identities over real sockets, on both event loops."""

import hashlib

from outrider.identity.reasons import HandshakeReason, Role
from tests.support.spiffe_wire import dialled, listening, ours, their_client, their_server


async def test_two_of_us_know_each_other():
    us = ours()
    async with listening(us.server()) as echo, dialled(echo.port, us.client()) as connection:
        assert await connection.echoes()
        assert connection.peer is not None
        assert connection.peer.spiffe_id == "spiffe://a.test/sidecar"
        assert echo.peers == [connection.peer]
    assert sorted(us.handshakes) == [
        (Role.CLIENT, HandshakeReason.OK),
        (Role.SERVER, HandshakeReason.OK),
    ]


async def test_a_listener_knows_its_caller():
    us = ours()
    svid = us.b.svid("/caller")
    async with listening(us.server()) as echo, dialled(echo.port, their_client(svid)) as connection:
        assert await connection.echoes()
    (peer,) = echo.peers
    assert peer is not None
    assert (peer.spiffe_id, peer.trust_domain) == ("spiffe://b.test/caller", "b.test")
    assert peer.leaf_sha256 == hashlib.sha256(svid.der).hexdigest()
    assert peer.anchor_sha256 == hashlib.sha256(us.b.der).hexdigest()
    assert peer.expires_unix_s == svid.certificate.not_valid_after_utc.timestamp()
    assert us.handshakes == [(Role.SERVER, HandshakeReason.OK)]


async def test_a_connector_knows_whom_it_dialled():
    us = ours()
    async with (
        listening(their_server(us.b.svid("/service"))) as echo,
        dialled(echo.port, us.client("spiffe://b.test/service")) as connection,
    ):
        assert await connection.echoes()
        assert connection.peer is not None
        assert connection.peer.spiffe_id == "spiffe://b.test/service"
    assert us.handshakes == [(Role.CLIENT, HandshakeReason.OK)]


async def test_what_is_set_on_the_facade_is_not_what_is_spoken():
    us = ours()
    facade = us.server()
    facade.set_alpn_protocols(["h2"])
    client = their_client(us.a.svid(), alpn=("h2", "http/1.1"))
    async with listening(facade) as echo, dialled(echo.port, client) as connection:
        assert await connection.echoes()
        spoken = connection.writer.get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == "http/1.1"
        assert spoken.version() == "TLSv1.3"
