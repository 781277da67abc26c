import pytest

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Outgoing
from outrider.core.secret import Secret
from outrider.server.request_bytes import announced_length, request_head


def outgoing(**changes):
    values = {"method": "POST", "target": "/x?y=1", "headers": (), "body": b"{}"}
    return Outgoing(**values | changes)


async def nothing():
    yield b""


def test_a_head_is_what_was_judged_in_our_framing():
    request = outgoing(headers=(("x-a", "1"), ("host", "evil"), ("accept-encoding", "gzip")))
    assert request_head(request, "crm:1", 2) == (
        b"POST /x?y=1 HTTP/1.1\r\nhost: crm:1\r\nx-a: 1\r\naccept-encoding: gzip\r\n"
        b"content-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "length", "line"),
    [
        ("GET", 0, None),
        ("POST", 0, b"content-length: 0"),
        ("DELETE", 3, b"content-length: 3"),
        ("PUT", None, b"transfer-encoding: chunked"),
    ],
)
def test_a_body_has_exactly_one_length(method, length, line):
    head = request_head(outgoing(method=method), "crm", length)
    framing = [
        part
        for part in head.split(b"\r\n")
        if part.startswith((b"content-length", b"transfer-encoding"))
    ]
    assert framing == ([] if line is None else [line])


def test_a_credential_takes_the_place_of_the_agents():
    request = outgoing(
        headers=(("authorization", "Bearer agent"),),
        secret_headers=(("authorization", Secret("Bearer lease")),),
    )
    head = request_head(request, "crm", 2)
    assert head.endswith(b"\r\nauthorization: Bearer lease\r\n\r\n")
    assert b"agent" not in head


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "/x\r\nA: b"},
        {"target": "/x y"},
        {"target": "/\x00"},
        {"method": "GET /"},
        {"headers": (("a", "b\nc"),)},
        {"headers": (("a", "\x7f"),)},
        {"secret_headers": (("a", Secret(b"\r\n")),)},
    ],
)
def test_a_head_that_would_split_is_refused(changes):
    with pytest.raises(EnforcementError):
        request_head(outgoing(**changes), "crm", 2)


def test_the_length_of_a_stream_is_what_its_headers_say():
    assert announced_length(outgoing()) == 2
    assert announced_length(outgoing(body=nothing())) is None
    assert announced_length(outgoing(body=nothing(), headers=(("content-length", "7"),))) == 7
    assert announced_length(outgoing(body=nothing(), headers=(("content-length", "-7"),))) is None
