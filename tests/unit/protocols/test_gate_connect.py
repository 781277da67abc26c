"""HARDENING §3.12: a CONNECT's head has one reading or is refused by its own cause."""

import pytest

from outrider.protocols.gate import GateCause, GateError, GateRules
from outrider.protocols.gate_connect import Connect, connect_head, tunnel_head

RULES = GateRules(hosts=frozenset(("127.0.0.1:15001",)), tunnels=True)
HOST = b"Host: api.example.com:443"


def judge(*lines: bytes, rules: GateRules = RULES) -> Connect:
    return connect_head(b"\r\n".join(lines), rules)


def line(target: bytes = b"api.example.com:443", version: bytes = b"HTTP/1.1") -> bytes:
    return b"CONNECT %b %b" % (target, version)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((HOST,), id="bare"),
        pytest.param((HOST, b"User-Agent: curl/8", b"Proxy-Connection: Keep-Alive"), id="curl"),
        pytest.param((HOST, b"Proxy-Authorization: Bearer x"), id="bearer"),
        pytest.param((HOST, b"Content-Length: 0"), id="no-body-said-so"),
        pytest.param((b"Host:api.example.com:443\t",), id="blanks-round-a-value"),
    ],
)
def test_what_clients_send_passes(fields):
    head = judge(line(), *fields).head
    assert (head.method, head.host, head.path) == ("CONNECT", "api.example.com:443", "/")
    assert head.absolute
    assert not head.has_body
    assert head.header("proxy-connection") is None


def test_case_is_folded_and_nothing_else():
    both = b"API.example.com:443"
    assert judge(line(both), b"Host: " + both).head.host == "api.example.com:443"


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        pytest.param((line(version=b"HTTP/1.0"), HOST), GateCause.VERSION, id="version-1.0"),
        pytest.param((line(version=b"HTTP/2.0"), HOST), GateCause.VERSION, id="version-2"),
        pytest.param((b"CONNECT  a:1 HTTP/1.1", HOST), GateCause.SYNTAX, id="two-blanks"),
        pytest.param((b"CONNECT a:1", HOST), GateCause.SYNTAX, id="no-version"),
        pytest.param((line(),), GateCause.HOST, id="no-host"),
        pytest.param((line(), b"Host: api.example.com"), GateCause.HOST, id="host-without-port"),
        pytest.param((line(), b"Host: evil.example:443"), GateCause.HOST, id="another-host"),
        pytest.param((line(), b"Host: API.example.com:443"), GateCause.HOST, id="another-case"),
        pytest.param((line(), HOST, HOST), GateCause.DUPLICATE, id="two-hosts"),
        pytest.param((line(b"a.b"), b"Host: a.b"), GateCause.TARGET, id="no-port"),
        pytest.param((line(b"a.b:"), b"Host: a.b:"), GateCause.TARGET, id="empty-port"),
        pytest.param((line(b"a.b:0"), b"Host: a.b:0"), GateCause.TARGET, id="port-0"),
        pytest.param((line(b"a.b:65536"), b"Host: a.b:65536"), GateCause.TARGET, id="port-65536"),
        pytest.param((line(b"a.b.:443"), b"Host: a.b.:443"), GateCause.TARGET, id="rooted"),
        pytest.param((line(b"u@a.b:443"), b"Host: u@a.b:443"), GateCause.TARGET, id="userinfo"),
        pytest.param((line(b"[::1]"), b"Host: [::1]"), GateCause.TARGET, id="v6-without-port"),
        pytest.param(
            (line(b"http://a.b:1/"), b"Host: http://a.b:1/"), GateCause.TARGET, id="a-url"
        ),
        pytest.param((line(), HOST, b" folded: x"), GateCause.SYNTAX, id="obs-fold"),
        pytest.param((line(), HOST, b"x y: z"), GateCause.SYNTAX, id="blank-in-a-name"),
        pytest.param((line(), HOST, b"x : z"), GateCause.SYNTAX, id="blank-before-colon"),
        pytest.param((line(), HOST, b"nothing"), GateCause.SYNTAX, id="no-colon"),
        pytest.param((line(), HOST, b": v"), GateCause.SYNTAX, id="no-name"),
        pytest.param((line(), HOST, b"x: a\nb: c"), GateCause.SYNTAX, id="bare-lf"),
        pytest.param((line(), HOST, b"x: a\rb"), GateCause.SYNTAX, id="bare-cr"),
        pytest.param((line(), HOST, b"x: \x00"), GateCause.SYNTAX, id="nul"),
        pytest.param((line(), HOST, b"x: \xff"), GateCause.FIELD_VALUE, id="high-byte"),
        pytest.param((line(), HOST, b"x_y: z"), GateCause.FIELD_NAME, id="underscore"),
        pytest.param((line(), HOST, b"Outrider-Subject: me"), GateCause.RESERVED, id="reserved"),
        pytest.param((line(), HOST, b"Content-Length: 5"), GateCause.BODY, id="a-body"),
        pytest.param((line(), HOST, b"Transfer-Encoding: chunked"), GateCause.BODY, id="chunked"),
        pytest.param((line(), HOST, b"Expect: 100-continue"), GateCause.EXPECT, id="expect"),
        pytest.param((line(), HOST, b"Upgrade: h2c"), GateCause.UPGRADE, id="upgrade"),
        pytest.param((line(), HOST, b"Upgrade: tls"), GateCause.UPGRADE, id="upgrade-to-tls"),
        pytest.param((line(), HOST, b"Connection: host"), GateCause.CONNECTION, id="nominated"),
        pytest.param(
            (line(), HOST, *(b"x-%d: y" % index for index in range(100))),
            GateCause.FIELD_COUNT,
            id="too-many-fields",
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(lines, cause):
    with pytest.raises(GateError) as caught:
        judge(*lines)
    assert caught.value.cause is cause


def test_where_nobody_is_reached_by_tunnels_none_is_offered():
    with pytest.raises(GateError) as caught:
        judge(line(), HOST, rules=GateRules(hosts=frozenset()))
    assert caught.value.cause is GateCause.CONNECT


def test_an_address_passes_here_as_the_name_of_no_route():
    assert judge(line(b"10.0.0.1:443"), b"Host: 10.0.0.1:443").head.host == "10.0.0.1:443"
    assert judge(line(b"[::1]:443"), b"Host: [::1]:443").head.host == "[::1]:443"


def test_a_raw_handshake_is_a_connect_to_its_name():
    head = tunnel_head("api.example.com", 8443)
    assert (head.method, head.host, head.absolute) == ("CONNECT", "api.example.com:8443", True)
