"""A tunnel is one action on its host; what takes reading cannot be done to it."""

import pytest

from outrider.core.errors import MalformedError, ObligationError, TooLargeError
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits, Emit, Learn, opening_of
from outrider.core.vocabulary import BodyKind, ProtocolName, ResourceType
from outrider.protocols.adapters.connect import ConnectAdapter
from outrider.protocols.gate_connect import tunnel_head
from tests.support.builders import (
    FixedBody,
    a_get,
    a_refusal,
    a_response_head,
    a_route,
    an_inbound,
)

HEAD = tunnel_head("api.example.com", 443)
ROUTE = a_route(protocol=ProtocolName.CONNECT, host="api.example.com:443", options=None)
ADAPTER = ConnectAdapter(limit_bytes=10)


class FixedDuplex(FixedBody):
    def join(self, far):
        raise AssertionError("nobody dials here")


def parsed():
    duplex = FixedDuplex(b"")
    return ADAPTER.parse(an_inbound(HEAD, source=duplex, route=ROUTE)), duplex


def test_a_tunnel_is_one_action_on_its_host_and_port():
    conversation, _ = parsed()
    (ask,) = conversation.asks
    assert (ask.protocol, ask.name, ask.resource_type) == (
        ProtocolName.CONNECT,
        "CONNECT",
        ResourceType.HOST,
    )
    assert ask.resource_id == f"{ROUTE.upstream}/api.example.com:443"
    assert (ask.arguments, ask.body, ask.effect) == (None, BodyKind.OPAQUE, None)
    assert not conversation.runs_on
    assert conversation.task_name is None


def test_nothing_of_it_is_read():
    need = ADAPTER.need(HEAD, ROUTE)
    assert (need.judged, need.limit_bytes) == (False, 0)


@pytest.mark.parametrize(
    ("head", "source"),
    [
        pytest.param(a_get("/x"), FixedDuplex(b""), id="another-method"),
        pytest.param(HEAD, FixedBody(b""), id="no-tunnel"),
    ],
)
def test_nothing_but_a_tunnel_goes_there(head, source):
    with pytest.raises(MalformedError):
        ADAPTER.parse(an_inbound(head, source=source, route=ROUTE))


def test_what_leaves_is_the_place_and_the_callers_side():
    conversation, duplex = parsed()
    outgoing = conversation.outgoing(Edits())
    assert (outgoing.method, outgoing.target) == ("CONNECT", "api.example.com:443")
    assert outgoing.duplex is duplex
    assert outgoing.headers == ()


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param(Edits(headers=(("x", "y"),)), id="headers"),
        pytest.param(Edits(redactions=(RedactObligation(pointer="/x"),)), id="redactions"),
        pytest.param(Edits(records=5), id="records"),
    ],
)
def test_an_obligation_that_takes_reading_cannot_be_done(edits):
    with pytest.raises(ObligationError):
        parsed()[0].outgoing(edits)


def test_what_comes_back_is_unread_text_of_somebody_elses_and_bounded():
    watcher = parsed()[0].watch(a_response_head(), Edits())
    opening = opening_of(watcher)
    assert opening is not None
    assert opening() == [Learn(whole=False)]
    assert watcher.streaming
    assert watcher.feed(b"12345") == [Emit(data=b"12345")]
    with pytest.raises(TooLargeError):
        watcher.feed(b"678901")
    assert watcher.end() == []


def test_policy_may_bound_it_tighter_and_not_wider():
    watcher = parsed()[0].watch(a_response_head(), Edits(response_bytes=4))
    with pytest.raises(TooLargeError):
        watcher.feed(b"12345")
    wider = parsed()[0].watch(a_response_head(), Edits(response_bytes=400))
    with pytest.raises(TooLargeError):
        wider.feed(b"12345678901")


def test_a_refusal_is_problem_details_until_the_tunnel_stands():
    refused = ADAPTER.refuse(a_refusal(), HEAD, None, begun=False)
    assert (refused.status, b"reason" in refused.body) == (403, True)
    assert ADAPTER.refuse(a_refusal(), HEAD, None, begun=True).body == b""
