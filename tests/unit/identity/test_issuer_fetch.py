"""How documents of issuers are fetched: over TLS that is verified, bounded, from nowhere else."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.config.identity_settings import OidcIssuer
from outrider.core.errors import ConfigError
from outrider.identity.issuer_fetch import fetchers_of
from outrider.identity.issuer_keys import DOCUMENT_BYTES, FetchError
from tests.support.oidc import FakeIssuer, answer
from tests.support.tls import an_authority

CA = an_authority()
SERVED = CA.issue("127.0.0.1")


def _fetch(tmp_path, authority=CA):
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    settings = OidcIssuer(issuer="https://127.0.0.1", audience="us", ca_file="ca.pem")
    return fetchers_of({"corp": settings}, lambda name: tmp_path / name)["corp"]


@asynccontextmanager
async def _issuer(said, certificate=SERVED):
    async with FakeIssuer(tls=certificate.server(), says=lambda _path: said) as issuer:
        yield issuer


@pytest.fixture
def fetch(tmp_path):
    return _fetch(tmp_path)


async def test_a_document_is_fetched_as_it_is(fetch):
    async with _issuer(answer(b'{"keys":[]}')) as issuer:
        assert await fetch(issuer.url + "/keys?a=b") == b'{"keys":[]}'
        (seen,) = issuer.seen
    assert seen.line == "GET /keys?a=b HTTP/1.1"
    assert (seen.field("accept-encoding"), seen.field("user-agent")) == ("identity", "outrider")
    assert seen.field("cookie") is None


async def test_nothing_is_remembered_between_two(fetch):
    said = answer(b"{}", "200 OK", "Set-Cookie: a=b; Path=/", "Cache-Control: max-age=9999")
    async with _issuer(said) as issuer:
        await fetch(issuer.url)
        await fetch(issuer.url)
        assert (issuer.connections, issuer.seen[1].field("cookie")) == (2, None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(
            answer(b"{}", "302 Found", "Location: https://127.0.0.1/x"), "302", id="redirect"
        ),
        pytest.param(answer(b"{}", "500 Oh"), "500", id="fault"),
        pytest.param(answer(b"", "204 None"), "204", id="nothing"),
        pytest.param(
            answer(b"{}", "200 OK", "Content-Encoding: gzip"), "compressed", id="compressed"
        ),
        pytest.param(answer(b"x" * (DOCUMENT_BYTES + 1)), "larger", id="too-large"),
        pytest.param(b"nonsense\r\n\r\n", "reached", id="not-http"),
    ],
)
async def test_any_other_answer_is_none(fetch, said, told):
    async with _issuer(said) as issuer:
        with pytest.raises(FetchError, match=told):
            await fetch(issuer.url)
        assert len(issuer.seen) == 1


async def test_a_server_under_another_authority_is_not_asked(tmp_path):
    fetch = _fetch(tmp_path, an_authority("Another"))
    async with _issuer(answer(b"{}")) as issuer:
        with pytest.raises(FetchError, match="not trusted"):
            await fetch(issuer.url)
        assert issuer.seen == []


async def test_a_server_of_another_name_is_not_asked(fetch):
    async with _issuer(answer(b"{}"), CA.issue("login.corp.test")) as issuer:
        with pytest.raises(FetchError, match="not trusted"):
            await fetch(issuer.url)
        assert issuer.seen == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "file:///etc/passwd", "https://", "HTTPS://a"]
)
async def test_what_is_no_https_address_is_not_fetched(fetch, url):
    with pytest.raises(FetchError):
        await fetch(url)


async def test_the_environment_names_no_proxy(fetch, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with _issuer(answer(b"{}")) as issuer:
        assert await fetch(issuer.url) == b"{}"


async def test_who_is_not_there_cannot_be_reached(fetch):
    async with _issuer(answer(b"{}")) as issuer:
        gone = issuer.url
    with pytest.raises(FetchError, match="reached"):
        await fetch(gone)


def test_without_a_file_the_systems_authorities_decide():
    settings = OidcIssuer(issuer="https://127.0.0.1", audience="us")
    assert list(fetchers_of({"corp": settings}, Path)) == ["corp"]


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_file_without_authorities_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    settings = OidcIssuer(issuer="https://127.0.0.1", audience="us", ca_file="ca.pem")
    with pytest.raises(ConfigError, match=r"identity\.oidc\.corp\.ca_file"):
        fetchers_of({"corp": settings}, lambda name: tmp_path / name)
