"""What a connection opens with is known from its first bytes, however they come."""

import pytest

from outrider.core.capture import Meant
from outrider.protocols.gate import GateCause, GateError, GateRules
from outrider.server.opening import EARLY_BYTES, Opening, TunnelAsk
from tests.support.hellos import ECH, a_hello, a_message, records, server_name

RULES = GateRules(hosts=frozenset(("127.0.0.1:15001",)), tunnels=True)
ELSEWHERE = Meant(address="203.0.113.7", port=8443)
CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"


def opened(data, *, meant=None, rules=RULES, size=None):
    opening = Opening(rules, meant)
    step = size or len(data)
    found = None
    for at in range(0, len(data), step):
        assert found is None, "known before its end"
        found = opening.feed(data[at : at + step])
    return found


def cause_of(data, **how):
    with pytest.raises(GateError) as caught:
        opened(data, **how)
    return caught.value.cause


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="get"),
        pytest.param(b"CONNECTED / HTTP/1.1\r\n", id="begins-like-connect"),
        pytest.param(b"PRIVATE / HTTP/1.1\r\n", id="begins-like-the-preface"),
        pytest.param(b"C", id="one-byte-of-it-is-not-known"),
    ],
)
@pytest.mark.parametrize("meant", [None, ELSEWHERE], ids=["explicit", "captured"])
def test_a_request_is_handed_on_whole(data, meant):
    found = opened(data, meant=meant)
    assert found == (None if data == b"C" else data)


@pytest.mark.parametrize("size", [None, 1, 9])
def test_a_connect_is_asked_for_when_its_head_is_whole(size):
    found = opened(CONNECT, size=size)
    assert isinstance(found, TunnelAsk)
    assert (found.head.host, found.raw, found.early) == ("a.example:443", False, b"")


def test_what_comes_behind_a_connect_is_held_and_bounded():
    found = opened(CONNECT + b"\x16\x03\x01")
    assert isinstance(found, TunnelAsk)
    assert found.early == b"\x16\x03\x01"
    assert cause_of(CONNECT + b"x" * (EARLY_BYTES + 1)) is GateCause.BODY_LENGTH


@pytest.mark.parametrize("size", [None, 1, 100])
def test_a_captured_handshake_is_a_connect_to_its_name_and_original_port(size):
    hello = a_hello("a.example")
    found = opened(hello, meant=ELSEWHERE, size=size)
    assert isinstance(found, TunnelAsk)
    assert (found.head.host, found.raw, found.early) == ("a.example:8443", True, hello)


@pytest.mark.parametrize(
    ("data", "how", "cause"),
    [
        pytest.param(a_hello(), {}, GateCause.TLS, id="a-handshake-that-was-going-to-us"),
        pytest.param(CONNECT, {"meant": ELSEWHERE}, GateCause.CONNECT, id="anothers-proxy"),
        pytest.param(
            CONNECT, {"rules": GateRules(hosts=frozenset())}, GateCause.CONNECT, id="not-offered"
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n", {}, GateCause.PREFACE, id="http-2"),
        pytest.param(
            b"CONNECT a.example:443 HTTP/1.1\r\nx: " + b"y" * 40_000,
            {},
            GateCause.HEAD_LENGTH,
            id="endless",
        ),
        pytest.param(
            records(a_message((10, b""))), {"meant": ELSEWHERE}, GateCause.SERVER_NAME, id="no-sni"
        ),
        pytest.param(
            records(a_message(server_name("10.0.0.1"))),
            {"meant": ELSEWHERE},
            GateCause.SERVER_NAME,
            id="an-address",
        ),
        pytest.param(
            records(a_message(server_name("a.example"), (ECH, b""))),
            {"meant": ELSEWHERE},
            GateCause.ENCRYPTED_HELLO,
            id="ech",
        ),
        pytest.param(
            b"\x16\x03\x01\x00\x01\x02", {"meant": ELSEWHERE}, GateCause.CLIENT_HELLO, id="garbage"
        ),
    ],
)
def test_what_is_neither_is_refused(data, how, cause):
    assert cause_of(data, **how) is cause


def test_who_speaks_tls_is_known_to_read_no_http():
    opening = Opening(RULES, None)
    assert not opening.has_begun
    with pytest.raises(GateError):
        opening.feed(b"\x16")
    assert (opening.is_tls, opening.has_begun) == (True, True)
