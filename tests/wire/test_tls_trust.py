"""Which servers an https upstream is taken for, on either loop: the tables of tls_cases."""

from pathlib import Path

import pytest

from tests.support.net import RecordingUpstream
from tests.support.peers import whole
from tests.support.tls import HOST, Trust, listen_for_names, refused_by, secure_pool
from tests.support.tls_cases import GOOD, IDENTITY, IP, TLS


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust.made(tmp_path)


@pytest.mark.parametrize(("host", "server"), GOOD.values(), ids=GOOD)
async def test_a_server_that_proves_to_be_the_configured_host_is_spoken_to(trust, host, server):
    context = server(trust.authority)
    names = listen_for_names(context)
    async with (
        RecordingUpstream(tls=context) as upstream,
        secure_pool(upstream.port, trust.file, host=host) as pool,
    ):
        assert await whole(await pool.send()) == b"ok"
        assert names == [None if host == IP else host]
        assert upstream.seen[0].field("host") == f"{host}:{upstream.port}"
        assert pool.events.log == [("answered", "2xx")]


@pytest.mark.parametrize(("why", "host", "server"), IDENTITY.values(), ids=IDENTITY)
async def test_a_server_that_does_not_gets_no_byte_of_a_request(trust, why, host, server, caplog):
    async with (
        RecordingUpstream(tls=server(trust.authority)) as upstream,
        secure_pool(upstream.port, trust.file, host=host) as pool,
    ):
        error = await refused_by(pool)
        assert error.cause == "identity"
        assert why in error.__cause__.verify_message
        assert [why in record.verify_message for record in caplog.records] == [True]
        assert (upstream.connections, upstream.seen) == (0, [])
        assert pool.events.log == [("fault", "identity"), ("answered", "none")]


@pytest.mark.parametrize(("host", "server"), TLS.values(), ids=TLS)
async def test_a_server_without_tls_that_will_do_gets_none_either(trust, host, server):
    async with (
        RecordingUpstream(tls=server(trust.authority)) as upstream,
        secure_pool(upstream.port, trust.file, host=host) as pool,
    ):
        assert (await refused_by(pool)).cause == "tls"
        assert (upstream.connections, upstream.seen) == (0, [])
        assert pool.events.log == [("fault", "tls"), ("answered", "none")]


async def test_the_systems_cas_do_not_vouch_for_an_upstream_with_cas_of_its_own(
    trust, tmp_path, monkeypatch
):
    """And the other way round: a CA of our own vouches where it alone is named."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.file))
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    other = Trust.made(tmp_path / "none")
    async with RecordingUpstream(tls=trust.authority.issue(HOST).server()) as upstream:
        async with secure_pool(upstream.port, other.file) as pool:
            assert (await refused_by(pool)).cause == "identity"
        async with secure_pool(upstream.port, None) as pool:
            assert await whole(await pool.send()) == b"ok"
