import ssl

import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import SpiffePeer, Upstream, UpstreamTls
from outrider.core.clock import SystemClock
from outrider.core.errors import UpstreamUnavailableError
from outrider.core.vocabulary import Reason
from outrider.server.dialler import Dialler
from outrider.server.dns import Resolver
from outrider.server.origin import client_context, origin_of, pool_limits
from outrider.server.upstream_connection import Terms, UpstreamConnection
from tests.support.net import RecordingUpstream, ScriptedUpstream
from tests.support.peers import RecordingEvents
from tests.support.tls import an_authority

SPIFFE = UpstreamTls(spiffe=SpiffePeer(expect=("spiffe://acme.test/desk",)))


class Nobody:
    """An owner that keeps no books."""

    def ended(self, connection, *, reusable):
        pass

    def lost(self, connection):
        pass

    def faulted(self, fault, *, unanswered=False):
        pass

    def answered(self, status):
        pass


def _made():
    terms = Terms(
        clock=SystemClock(),
        first_byte_s=1.0,
        read_idle_s=1.0,
        sse_idle_s=1.0,
        set_cookie=False,
        decoded_bytes=1024,
    )
    return UpstreamConnection(owner=Nobody(), terms=terms, key=("", ""))


async def _dial(port, *, scheme="http", **origin):
    events = RecordingEvents()
    clock = SystemClock()
    dialler = Dialler(
        limits=pool_limits(Limits()), clock=clock, events=events, resolver=Resolver(clock=clock)
    )
    tls = origin.pop("context", None)
    settings = Upstream(url=f"{scheme}://127.0.0.1:{port}", networks=("127.0.0.0/8",), **origin)
    try:
        return await dialler.dial(origin_of("crm", settings, tls=tls), _made), events
    except UpstreamUnavailableError as fault:
        return fault, events


async def test_a_connection_is_made():
    async with RecordingUpstream() as upstream:
        made, events = await _dial(upstream.port)
        assert (made.peer, events.log, upstream.connections) == (None, [], 1)
        made.drop()


async def test_what_cannot_be_reached_is_said_so():
    async with RecordingUpstream() as upstream:
        port = upstream.port
    fault, events = await _dial(port)
    assert (fault.reason, fault.cause) == (Reason.UPSTREAM_UNAVAILABLE, "connect")
    assert events.log == [("fault", "connect")]


async def test_who_proves_no_spiffe_id_where_one_is_expected_is_not_spoken_to(tmp_path):
    """The context took its certificate, as one that verifies no SPIFFE ID would."""
    authority = an_authority()
    context = client_context(str(_written(tmp_path, authority.pem)))
    context.check_hostname = False
    server = authority.issue("127.0.0.1").server()
    async with RecordingUpstream(tls=server) as upstream:
        fault, events = await _dial(upstream.port, scheme="https", tls=SPIFFE, context=context)
        assert (fault.reason, fault.cause) == (Reason.UPSTREAM_IDENTITY, "identity")
        assert (events.log, upstream.seen) == ([("fault", "identity")], [])


@pytest.mark.parametrize(
    ("tls", "reason"),
    [
        pytest.param(SPIFFE, Reason.UPSTREAM_IDENTITY, id="spiffe"),
        pytest.param(UpstreamTls(), Reason.UPSTREAM_UNAVAILABLE, id="web-pki"),
    ],
)
async def test_a_server_that_breaks_the_handshake_off_may_not_take_our_identity(tls, reason):
    async with ScriptedUpstream(script=_hang_up) as upstream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        fault, _ = await _dial(upstream.port, scheme="https", tls=tls, context=context)
        assert fault.reason is reason


async def _hang_up(turn):
    await turn.reader.read(10)
    turn.writer.close()


def _written(room, data):
    file = room / "ca.pem"
    file.write_bytes(data)
    return file
