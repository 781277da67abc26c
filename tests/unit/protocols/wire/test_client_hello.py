"""RFC 8446 §4.1.2 and RFC 6066 §3 as far as a name takes: what is not plainly one is refused."""

import pytest

from outrider.protocols.wire.client_hello import (
    HELLO_BYTES,
    RAW_BYTES,
    HelloError,
    HelloFault,
    HelloReader,
)
from tests.support.hellos import (
    EARLY,
    ECH,
    GREASE,
    GROUPS,
    PSK,
    SNI,
    a_hello,
    a_message,
    real_hello,
    records,
    server_name,
    vector,
)

NAME = "api.example.com"
GOOD = a_message(server_name(NAME))


def read(data: bytes) -> str:
    found = HelloReader().feed(data)
    assert found is not None
    assert found.raw == data
    return found.server_name


def fault_of(data: bytes) -> HelloFault:
    with pytest.raises(HelloError) as caught:
        HelloReader().feed(data)
    return caught.value.fault


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(real_hello(), id="openssl"),
        pytest.param(a_hello(), id="grease-among-the-extensions"),
        pytest.param(records(GOOD, version=b"\x03\x03"), id="record-of-1.2"),
        pytest.param(records(GOOD, [1, 2, 3, 5, 40, 60]), id="fragmented"),
        pytest.param(records(GOOD, range(1, len(GOOD))), id="a-byte-a-record"),
        pytest.param(records(a_message(server_name("API.Example.COM"))), id="any-case"),
        pytest.param(records(a_message(server_name(NAME), session=b"")), id="no-session"),
        pytest.param(
            records(a_message(server_name(NAME), (EARLY, b""), (PSK, b"x"))), id="early-data"
        ),
        pytest.param(a_hello() + b"\x17\x03\x03\x00\x01x", id="early-data-behind-it"),
        pytest.param(records(a_message(server_name(NAME), version=b"\x03\x01")), id="of-tls-1.0"),
    ],
)
def test_a_plain_name_is_read(data):
    assert read(data) == NAME


@pytest.mark.parametrize("size", [1, 2, 7])
def test_bytes_may_come_as_they_like(size):
    data, reader = records(GOOD, [4, 50]), HelloReader()
    found = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert found[-1] is not None
    assert found[-1].server_name == NAME
    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1].raw == data


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", HelloFault.NOT_TLS, id="http"),
        pytest.param(b"SSH-2.0-x\r\n", HelloFault.NOT_TLS, id="ssh"),
        pytest.param(b"\x80\x2e\x01\x03\x01", HelloFault.NOT_TLS, id="ssl-2"),
        pytest.param(records(GOOD, version=b"\x03\x04"), HelloFault.NOT_TLS, id="record-version"),
        pytest.param(b"\x16\x03\x01\x00\x00", HelloFault.MALFORMED, id="empty-record"),
        pytest.param(b"\x16\x03\x01\x40\x01", HelloFault.MALFORMED, id="record-too-long"),
        pytest.param(b"\x16\x03\x01\x00\x01\x02", HelloFault.MALFORMED, id="another-message"),
        pytest.param(
            records(GOOD, [9])[:14] + b"\x15\x03\x01\x00\x02\x01\x00",
            HelloFault.MALFORMED,
            id="an-alert-between",
        ),
        pytest.param(records(GOOD + b"\x01"), HelloFault.MALFORMED, id="more-in-the-record"),
        pytest.param(
            records(b"\x01" + (HELLO_BYTES + 1).to_bytes(3)), HelloFault.TOO_LONG, id="too-long"
        ),
        pytest.param(
            records(b"\x01\x00\x30\x00" + b"x" * 9000, range(1, 9001)),
            HelloFault.TOO_LONG,
            id="too-many-fragments",
        ),
        pytest.param(
            records(a_message(server_name(NAME), session=b"s" * 33)),
            HelloFault.MALFORMED,
            id="session-too-long",
        ),
        pytest.param(
            records(a_message(server_name(NAME), suites=b"\x13")), HelloFault.MALFORMED, id="odd"
        ),
        pytest.param(
            records(a_message(server_name(NAME), suites=b"")), HelloFault.MALFORMED, id="no-suites"
        ),
        pytest.param(
            records(a_message(server_name(NAME), compressions=b"\x01")),
            HelloFault.MALFORMED,
            id="only-compressed",
        ),
        pytest.param(
            records(a_message(server_name(NAME), version=b"\x02\x00")),
            HelloFault.MALFORMED,
            id="version",
        ),
        pytest.param(
            records(a_message(server_name(NAME), tail=b"x")),
            HelloFault.MALFORMED,
            id="behind-the-extensions",
        ),
        pytest.param(records(b"\x01\x00\x00\x01\x03"), HelloFault.MALFORMED, id="cut-short"),
        pytest.param(
            records(a_message(server_name(NAME), server_name("evil.example"))),
            HelloFault.MALFORMED,
            id="two-of-a-kind",
        ),
        pytest.param(
            records(a_message((PSK, b"x"), server_name(NAME))),
            HelloFault.MALFORMED,
            id="behind-the-last",
        ),
        pytest.param(records(a_message()), HelloFault.NO_NAME, id="no-extensions"),
        pytest.param(records(a_message((GROUPS, b""))), HelloFault.NO_NAME, id="no-name"),
        pytest.param(
            records(a_message(server_name(NAME), (ECH, b"\x00"))), HelloFault.ENCRYPTED, id="ech"
        ),
        pytest.param(
            records(a_message(server_name(NAME), (0xFFCE, b""))), HelloFault.ENCRYPTED, id="esni"
        ),
        pytest.param(
            records(a_message((GREASE, b""), (ECH, b""))), HelloFault.ENCRYPTED, id="ech-alone"
        ),
        pytest.param(
            records(a_message(server_name(NAME, "b.example"))), HelloFault.NAME, id="two-names"
        ),
        pytest.param(
            records(a_message(server_name(NAME, kind=1))), HelloFault.NAME, id="kind-of-name"
        ),
        pytest.param(
            records(a_message((SNI, vector(b"", 2)))), HelloFault.MALFORMED, id="no-entry"
        ),
        pytest.param(records(a_message((SNI, b""))), HelloFault.MALFORMED, id="an-answer's-form"),
        pytest.param(
            records(a_message((SNI, vector(b"\0" + vector(b"a.b", 2), 2) + b"x"))),
            HelloFault.NAME,
            id="behind-the-name",
        ),
        *(
            pytest.param(records(a_message(server_name(name))), HelloFault.NAME, id=label)
            for label, name in {
                "rooted": "api.example.com.",
                "v4": "10.0.0.1",
                "number": "2130706433",
                "hex": "0x7f.1",
                "v6": "::1",
                "bracketed": "[::1]",
                "zero-byte": b"api.example.com\0.evil",
                "not-ascii": "bücher.example".encode(),
                "blank": "api example.com",
                "slash": "api.example.com/x",
                "port": "api.example.com:443",
                "empty-label": "api..example.com",
                "mixed-scripts": "xn--pple-43d.com",
                "name-too-long": ("a" * 60 + ".") * 5 + "com",
            }.items()
        ),
    ],
)
def test_what_is_no_plain_name_is_refused(data, fault):
    assert fault_of(data) is fault


def test_what_never_ends_is_refused_before_it_is_large():
    reader = HelloReader()
    sent = bytearray(b"\x16\x03\x01\x00\x01\x01")
    reader.feed(bytes(sent))
    piece = b"\x16\x03\x01\x00\x01\x00"
    refused = False
    while not refused and len(sent) < 10 * RAW_BYTES:
        sent += piece
        try:
            reader.feed(piece)
        except HelloError:
            refused = True
    assert refused
    assert len(sent) <= RAW_BYTES + len(piece)
