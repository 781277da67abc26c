import pytest

from outrider.core.errors import UpstreamUnavailableError
from outrider.core.exchange import Outgoing
from tests.support.builders import a_permit, an_action, an_ask
from tests.support.net import RecordingUpstream
from tests.support.peers import running_pool, whole


async def test_a_permit_opens_its_own_upstream_alone():
    permit = a_permit(an_action(ask=an_ask(upstream="other")))
    request = Outgoing(method="GET", target="/x", headers=(), body=b"")
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamUnavailableError):
            await pool.pool.send(permit, request)
        assert (upstream.connections, upstream.seen) == (0, [])


async def test_closing_drops_every_connection():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send())
        pool.pool.close()
        assert pool.pool._lines["crm"]._all == set()


async def test_answers_are_counted_by_class():
    said = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send())
        assert pool.events.log == [("answered", "4xx")]


async def test_a_large_body_leaves_whole():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send(b"x" * 300_000, method="POST"))
        assert len(upstream.seen[0].body) == 300_000
