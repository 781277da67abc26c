"""Forward-proxy mode: whole URLs, as clients send them that HTTP_PROXY tells of us."""

import asyncio
import shutil

import pytest

from tests.support.tunnels import HOST, a_tunnel_world


def absolute(url: str, host: str) -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: {host}\r\nProxy-Connection: Keep-Alive\r\n\r\n".encode()


async def test_a_whole_url_is_an_exchange_like_any_other():
    async with a_tunnel_world(desk_host=HOST) as tunnels:
        place = f"{HOST}:{tunnels.world.desk.port}"
        answer = await tunnels.world.raw(absolute(f"http://{place}/tickets", place))
        assert answer.status == 200
        await tunnels.world.quiet()
        (seen,) = tunnels.world.desk.seen
        assert seen.line == "GET /desk/tickets HTTP/1.1"
        assert seen.field("proxy-connection") is None


@pytest.mark.parametrize(
    ("url", "host", "status"),
    [
        pytest.param("http://evil.example/", "evil.example", 421, id="a-stranger"),
        pytest.param("http://evil.example/", "{place}", 400, id="host-of-another"),
        pytest.param("http://{place}/tickets", "evil.example", 400, id="another-host"),
        pytest.param("http://u@{place}/tickets", "u@{place}", 400, id="userinfo"),
        pytest.param(
            "https://{place}/tickets", "{place}", 400, id="a-scheme-we-do-not-speak-there"
        ),
        pytest.param("ftp://{place}/tickets", "{place}", 400, id="another-scheme"),
        pytest.param("http://127.0.0.1:{own}/desk/tickets", "127.0.0.1:{own}", 404, id="to-us"),
    ],
)
async def test_what_no_route_has_is_refused(url, host, status):
    async with a_tunnel_world(desk_host=HOST) as tunnels:
        words = {"place": f"{HOST}:{tunnels.world.desk.port}", "own": tunnels.world.port}
        answer = await tunnels.world.raw(absolute(url.format(**words), host.format(**words)))
        assert answer.status == status
        assert tunnels.world.desk.seen == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_goes_by_its_environment(scheme):
    async with a_tunnel_world(desk_host=HOST) as tunnels:
        ca = tunnels.world.room / "ca.pem"
        ca.write_bytes(tunnels.authority.pem)
        port = tunnels.world.desk.port if scheme == "http" else tunnels.api.port
        proxy = f"http://127.0.0.1:{tunnels.world.port}"
        tunnels.api.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        done = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-m", "10", "--cacert", str(ca), f"{scheme}://{HOST}:{port}/tickets",
            env={"http_proxy": proxy, "https_proxy": proxy, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, wrong = await done.communicate()
        assert (said, wrong) == (b"ok", b"")
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["action"]["protocol"] == ("http" if scheme == "http" else "connect")
