"""Handshakes that fail for another reason than the certificate: nothing shown, nothing of ours to
show, other protocols, people nobody expects, and faults of our own."""

import asyncio
import logging
import ssl
from dataclasses import dataclass

import pytest

from outrider.core.clock import SystemClock
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.tls import Expected, client_context, server_context
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_wire import dialled, listening, ours, their_client, their_server

OK = HandshakeReason.OK


def _quiet(caplog: pytest.LogCaptureFixture) -> bool:
    return not any(record.exc_info or record.levelno >= logging.ERROR for record in caplog.records)


@pytest.fixture
def empty() -> IdentityKeeper:
    return IdentityKeeper(clock=SystemClock(), events=RecordingIdentityEvents())


async def _sent(port: int, data: bytes) -> bytes:
    """What comes back for `data` on a connection without TLS, until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_client_that_shows_nothing_is_refused(caplog: pytest.LogCaptureFixture):
    us = ours()
    async with listening(us.server()) as echo:
        async with dialled(echo.port, their_client(us.a.svid())) as connection:
            assert await connection.echoes()
        async with dialled(echo.port, their_client(None)) as connection:
            assert not await connection.echoes()
    assert len(echo.peers) == 1
    assert us.handshakes == [(Role.SERVER, OK), (Role.SERVER, HandshakeReason.NO_CERTIFICATE)]
    assert _quiet(caplog)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", id="plaintext-http"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="plaintext-h2"),
        pytest.param(b"\x00" * 512, id="zeros"),
        pytest.param(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", id="short-hello"),
    ],
)
async def test_what_is_no_tls_is_refused(data: bytes, caplog: pytest.LogCaptureFixture):
    us = ours()
    async with listening(us.server()) as echo:
        assert b"HTTP/1" not in await _sent(echo.port, data)
    assert echo.peers == []
    assert us.handshakes == [(Role.SERVER, HandshakeReason.PROTOCOL)]
    assert _quiet(caplog)


async def test_a_client_of_tls_1_2_is_refused(caplog: pytest.LogCaptureFixture):
    us = ours()
    client = their_client(us.a.svid())
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(us.server()) as echo:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with dialled(echo.port, client):
                pass
    assert echo.peers == []
    assert us.handshakes == [(Role.SERVER, HandshakeReason.PROTOCOL)]
    assert _quiet(caplog)


async def test_a_server_of_tls_1_2_is_not_spoken_to(caplog: pytest.LogCaptureFixture):
    """It hangs up by itself at our hello: nothing for us to refuse."""
    us = ours()
    server = their_server(us.a.svid())
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(server) as old:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with dialled(old.port, us.client()):
                pass
    assert old.peers == []
    assert (Role.CLIENT, OK) not in us.handshakes
    assert _quiet(caplog)


async def test_without_an_svid_a_listener_refuses_before_it_says_a_byte(
    empty: IdentityKeeper, caplog: pytest.LogCaptureFixture
):
    us, events = ours(), RecordingIdentityEvents()
    async with listening(server_context(empty, events, SystemClock())) as echo:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with dialled(echo.port, their_client(us.a.svid())):
                pass
        assert await _sent(echo.port, b"") == b""
        us.trust.give(empty)
        async with dialled(echo.port, their_client(us.a.svid())) as connection:
            assert await connection.echoes()
    assert events.handshakes == [
        (Role.SERVER, HandshakeReason.NO_SVID),
        (Role.SERVER, HandshakeReason.NO_SVID),
        (Role.SERVER, OK),
    ]
    assert _quiet(caplog)


async def test_without_an_svid_a_connector_refuses_before_it_says_a_byte(
    empty: IdentityKeeper, caplog: pytest.LogCaptureFixture
):
    events, expect = RecordingIdentityEvents(), Expected(["spiffe://a.test/*"])
    came = bytearray()
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            came.extend(await reader.read())
        except ConnectionError:
            pass
        finally:
            gone.set()
            writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            async with dialled(port, client_context(empty, events, SystemClock(), expect=expect)):
                pass
        await gone.wait()
    assert refused.value.reason == HandshakeReason.NO_SVID
    assert bytes(came) == b""
    assert events.handshakes == [(Role.CLIENT, HandshakeReason.NO_SVID)]
    assert _quiet(caplog)


@pytest.mark.parametrize(
    ("expect", "taken"),
    [
        pytest.param("spiffe://a.test/team/service", True, id="exact"),
        pytest.param("spiffe://a.test/team/*", True, id="prefix"),
        pytest.param("spiffe://a.test/*", True, id="domain"),
        pytest.param("spiffe://a.test/team/serv", False, id="half-a-segment"),
        pytest.param("spiffe://a.test/team/service/*", False, id="prefix-below"),
        pytest.param("spiffe://a.test/Team/service", False, id="SPI-09-other-case"),
        pytest.param("spiffe://b.test/team/service", False, id="other-domain"),
    ],
)
async def test_only_whom_an_upstream_expects_is_spoken_to(expect: str, taken: bool):
    us = ours()
    facade = us.client(expect)
    async with listening(their_server(us.a.svid("/team/service"))) as service:
        if taken:
            async with dialled(service.port, facade) as connection:
                assert await connection.echoes()
        else:
            with pytest.raises(ssl.SSLCertVerificationError) as refused:
                async with dialled(service.port, facade):
                    pass
            assert refused.value.reason == HandshakeReason.NOT_EXPECTED
            assert service.peers == []
    reason = OK if taken else HandshakeReason.NOT_EXPECTED
    assert us.handshakes == [(Role.CLIENT, reason)]


@dataclass(frozen=True, slots=True)
class BrokenClock(SystemClock):
    """A clock that fails inside the judgement of a peer, and there alone."""

    def unix_s(self) -> float:
        raise ZeroDivisionError("broken")


async def test_a_fault_of_ours_refuses_the_peer_and_shows_no_traceback(
    caplog: pytest.LogCaptureFixture,
):
    us = ours()
    context = server_context(us.keeper, us.events, BrokenClock())
    async with (
        listening(context) as echo,
        dialled(echo.port, their_client(us.a.svid())) as connection,
    ):
        assert not await connection.echoes()
    assert echo.peers == []
    assert us.handshakes == [(Role.SERVER, HandshakeReason.INTERNAL)]
    assert _quiet(caplog)


async def test_a_client_that_leaves_in_the_middle_is_no_refusal(caplog: pytest.LogCaptureFixture):
    us = ours()
    async with listening(us.server()) as echo:
        assert await _left(echo.port)
        async with dialled(echo.port, their_client(us.a.svid())) as connection:
            assert await connection.echoes()
    assert us.handshakes == [(Role.SERVER, OK)]
    assert _quiet(caplog)


async def _left(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.abort()
    return writer.is_closing()
