"""The handshake with an upstream: its time, its place, and what a server may do to it."""

import asyncio
import ssl
from pathlib import Path

import pytest

from outrider.config.limit_settings import Limits
from outrider.core.errors import UpstreamFailedError, UpstreamUnavailableError
from tests.support.net import RecordingUpstream
from tests.support.tls import HOST, HandMadeUpstream, Issued, Trust, refused_by, secure_pool

SOON = Limits(tls_s=0.2)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust.made(tmp_path)


@pytest.fixture
def leaf(trust: Trust) -> Issued:
    return trust.authority.issue(HOST)


async def _nothing(turn):
    await turn.hear()


async def _half_a_flight(turn):
    flight = await turn.flight()
    await turn.put(flight[: len(flight) // 2])


async def _drip(turn):
    for byte in await turn.flight():
        await turn.put(bytes([byte]))
        await asyncio.sleep(0.03)


async def _closes(turn):
    flight = await turn.flight()
    await turn.put(flight[: len(flight) // 2])
    turn.writer.close()


async def _closes_at_once(turn):
    turn.writer.close()


async def _garbles(turn):
    flight = bytearray(await turn.flight())
    flight[len(flight) // 2] ^= 0xFF
    await turn.put(bytes(flight))


async def _alerts(turn):
    await turn.hear()
    await turn.put(b"\x15\x03\x03\x00\x02\x02\x28")


async def _speaks_plainly(turn):
    await turn.put(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [_nothing, _half_a_flight, _drip, _closes, _closes_at_once, _garbles, _alerts, _speaks_plainly],
    ids=lambda script: script.__name__.strip("_").replace("_", "-"),
)
async def test_a_handshake_that_does_not_end_well_in_time_sends_nothing(trust, leaf, script):
    loop = asyncio.get_running_loop()
    async with (
        HandMadeUpstream(context=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file, limits=SOON) as pool,
    ):
        started_s = loop.time()
        assert (await refused_by(pool)).cause == "tls"
        assert loop.time() - started_s < 2
        assert pool.events.count("fault", "tls") == 1
        async with asyncio.timeout(5):
            await upstream.gone.wait()
        line = pool.pool._lines["crm"]
        assert (line._turnstile.inside, line._all) == (0, set())
        assert b"HTTP" not in upstream.came[0]
        assert upstream.connections == 1


async def test_a_caller_that_leaves_in_mid_handshake_leaves_nothing_behind(trust, leaf):
    async with (
        HandMadeUpstream(context=leaf.server(), script=_half_a_flight) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.send()
        async with asyncio.timeout(5):
            await upstream.gone.wait()
        assert pool.pool._lines["crm"]._turnstile.inside == 0
        assert pool.events.log == []


async def test_handshakes_that_fail_open_the_breaker(trust):
    async with (
        RecordingUpstream(tls=trust.authority.issue("other.acme.test").server()) as upstream,
        secure_pool(
            upstream.port, trust.file, limits=Limits(breaker_failures=2, breaker_open_s=60)
        ) as pool,
    ):
        causes = [(await refused_by(pool)).cause for _ in range(3)]
        assert causes == ["identity", "identity", "breaker"]
        assert (upstream.connections, upstream.seen) == (0, [])


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
async def test_an_upstream_that_wants_a_client_certificate_gets_no_request(trust, leaf, version):
    context = leaf.server(
        minimum_version=version, maximum_version=version, verify_mode=ssl.CERT_REQUIRED
    )
    context.load_verify_locations(cafile=trust.file)
    async with (
        RecordingUpstream(tls=context) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        with pytest.raises((UpstreamUnavailableError, UpstreamFailedError)) as caught:
            await pool.send(b"{}", method="POST")
        # 1.3 tells the client only after its own handshake is done: bytes have left, unread
        late = version is ssl.TLSVersion.TLSv1_3
        assert isinstance(caught.value, UpstreamFailedError) is late
        # its alert may be overtaken by the reset that bytes nobody read make of a close
        told = [what for what in pool.events.log if what[0] == "fault"]
        assert told in ([("fault", "tls")], [("fault", "reset")] if late else [])
        assert (upstream.connections, upstream.seen) == (0, [])
