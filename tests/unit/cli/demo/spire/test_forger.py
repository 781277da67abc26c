"""What the partner signs is flawless but for whose name it is; what becomes of a call is told."""

import asyncio
import ssl
from datetime import UTC, datetime

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from outrider.cli.demo.spire.forger import Answered, Partner, call
from outrider.identity.x509 import check_leaf, read_bundle
from tests.support.tls import an_authority

NOW = datetime.now(UTC).timestamp()


@pytest.fixture
def partner() -> Partner:
    return Partner("b.test", NOW)


@pytest.mark.parametrize("name", ["spiffe://b.test/partner", "spiffe://a.test/planner"])
def test_a_leaf_keeps_every_rule_for_leaves_whoever_it_names(partner: Partner, name: str) -> None:
    signed = partner.sign(name)
    leaf = x509.load_pem_x509_certificate(signed.chain)
    assert check_leaf(leaf.public_bytes(Encoding.DER)).spiffe_id.text == name
    document = orjson.loads(partner.bundle())
    (key,) = document["keys"]
    assert key["use"] == "x509-svid"
    authority = x509.load_der_x509_certificate(ssl.PEM_cert_to_DER_cert(_pem(key["x5c"][0])))
    leaf.verify_directly_issued_by(authority)
    assert read_bundle("b.test", authority.public_bytes(Encoding.DER)).x509_authorities


async def _answers(partner: Partner, *, trusts_it: bool) -> Answered:
    """What a server answers that wants a client's certificate of the partner's, or of another."""
    server = an_authority().issue("localhost").server(verify_mode=ssl.CERT_REQUIRED)
    key = orjson.loads(partner.bundle())["keys"][0]
    pem = _pem(key["x5c"][0]) if trusts_it else an_authority("Other CA").pem.decode()
    server.load_verify_locations(cadata=pem)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        mine = partner.sign("spiffe://b.test/partner")
        return await asyncio.to_thread(call, port, mine, "/people/7")


async def test_a_call_that_is_taken_has_a_status_and_one_that_is_not_has_none(
    partner: Partner,
) -> None:
    assert await _answers(partner, trusts_it=True) == Answered(status=403)
    assert await _answers(partner, trusts_it=False) == Answered(status=None)


def test_nobody_listening_is_no_status(partner: Partner) -> None:
    assert call(1, partner.sign("spiffe://b.test/x"), "/") == Answered(status=None)


@pytest.mark.parametrize("line", [b"", b"HTTP/1.1", b"SSH-2.0 200 x", b"HTTP/1.1 2x0 OK"])
def test_what_is_no_status_line_is_none(line: bytes) -> None:
    assert Answered.of(line) == Answered(status=None)


def _pem(x5c: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{x5c}\n-----END CERTIFICATE-----\n"
