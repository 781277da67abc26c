"""One GET over real sockets: bounded, whole or nothing, and to no other place."""

import ssl

import pytest

from outrider.policy.sources.origin import FetchError
from outrider.policy.sources.wire import HttpWire
from tests.support.bundles import FakeWeb, reply
from tests.support.tls import an_authority

CA = an_authority()
SERVER = CA.issue("127.0.0.1").server()


async def got(answer, *, limit_bytes=1000, context=None, tls=None, **fields):
    async with FakeWeb(says=lambda _: answer, tls=tls) as web:
        found = await HttpWire(context).get(web.url, fields, limit_bytes)
        return found, web


async def test_gives_status_fields_and_body():
    found, web = await got(reply("200 OK", b"hello", ETag='"1"'), Accept="a/b")
    assert (found.status, found.body, found.fields["etag"]) == (200, b"hello", '"1"')
    (seen,) = web.seen
    assert (seen.field("accept"), seen.field("accept-encoding")) == ("a/b", "identity")
    assert seen.field("user-agent") == "outrider"
    assert seen.field("cookie") is None


async def test_follows_no_redirect_and_reads_no_body_but_of_200():
    moved = reply("302 Found", b"x" * 5000, Location="http://127.0.0.1:1/")
    found, web = await got(moved)
    assert (found.status, found.body, len(web.seen)) == (302, b"", 1)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(reply("200 OK", b"x" * 1001), "larger than 1000", id="too-large-as-said"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001
            + b"\r\n0\r\n\r\n", "larger than 1000", id="too-large-unsaid",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "cut off", id="truncated"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", "cut off",
            id="truncated-chunk",
        ),
        pytest.param(
            reply("200 OK", b"x", Content_Encoding="gzip"), "compressed", id="compressed"
        ),
        pytest.param(b"nonsense\r\n\r\n", "could not be reached", id="no-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
                     "could not be reached", id="a-field-too-long"),
        pytest.param(b"", "could not be reached", id="nothing"),
    ],
)  # fmt: skip
async def test_refuses_an_answer(answer, told):
    with pytest.raises(FetchError, match=told):
        await got(answer)


async def test_who_is_not_there_could_not_be_reached():
    async with FakeWeb() as web:
        url = web.url
    with pytest.raises(FetchError, match="could not be reached"):
        await HttpWire(None).get(url, {}, 10)


def trusting(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    return context


async def test_a_server_proves_itself_before_it_is_told_anything():
    async with FakeWeb(content=b"x", tls=SERVER) as web:
        found = await HttpWire(trusting(CA)).get(web.url, {}, 10)
        assert found.body == b"x"
        with pytest.raises(FetchError, match="not trusted"):
            await HttpWire(trusting(an_authority("Other"))).get(web.url, {}, 10)
        assert len(web.seen) == 1
