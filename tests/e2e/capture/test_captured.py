"""Connections that were going elsewhere, through a whole sidecar; the kernel's word is the test's.

What the kernel itself says is tried in tests/capture.
"""

import ssl

import pytest

from tests.support.hellos import ECH, a_hello, a_message, records, server_name
from tests.support.tunnels import HOST, a_tunnel_world

BYPASS = "capture_bypass_attempts_total"


async def test_raw_tls_is_a_tunnel_to_its_name_and_original_place():
    async with a_tunnel_world() as tunnels:
        async with tunnels.captured() as client:
            await client.writer.start_tls(tunnels.trust, server_hostname=HOST)
            await client.send(b"hello")
            assert await client.reader.readexactly(5) == b"hello"
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["action"]["resource"] == f"api/{tunnels.place}"
        assert tunnels.api.names == [HOST]
        assert tunnels.world.metric(BYPASS) == 0


@pytest.mark.parametrize(
    ("address", "changes_port", "name"),
    [
        pytest.param("127.0.0.1", False, "evil.example", id="a-name-no-route-has"),
        pytest.param("127.0.0.77", False, HOST, id="an-address-the-name-has-not"),
        pytest.param("127.0.0.1", True, HOST, id="another-port"),
    ],
)
async def test_raw_tls_elsewhere_is_refused_in_tls_and_counted(address, changes_port, name):
    async with a_tunnel_world() as tunnels:
        port = tunnels.api.port + changes_port
        async with tunnels.captured(address, port) as client:
            with pytest.raises((ssl.SSLError, OSError)) as caught:
                await client.writer.start_tls(tunnels.trust, server_hostname=name)
            assert "ACCESS_DENIED" in str(caught.value).upper().replace(" ", "_")
        await tunnels.world.quiet()
        assert tunnels.api.connections == 0
        assert tunnels.world.metric(BYPASS) == 1
        record = (tunnels.world.decisions() or tunnels.world.records("outcome"))[-1]
        assert "unrecognised" in str(record)


@pytest.mark.parametrize(
    "hello",
    [
        pytest.param(records(a_message((10, b"\0\2\0\x1d"))), id="no-name"),
        pytest.param(records(a_message(server_name(HOST), (ECH, b"x"))), id="ech"),
        pytest.param(records(a_message(server_name("127.0.0.1"))), id="an-address"),
        pytest.param(b"\x16\x03\x01\x00\x01\x02", id="garbage"),
    ],
)
async def test_a_handshake_without_a_plain_name_is_refused(hello):
    async with (
        a_tunnel_world() as tunnels,
        tunnels.world.refuses("malformed"),
        tunnels.captured() as client,
    ):
        await client.send(hello)
        await client.rest()
    assert tunnels.api.connections == 0


async def test_a_handshake_that_was_going_to_us_is_refused():
    async with (
        a_tunnel_world() as tunnels,
        tunnels.world.refuses("malformed"),
        tunnels.world.client() as client,
    ):
        await client.send(a_hello(HOST))
        assert await client.rest() == b""
    assert tunnels.world.metric(BYPASS) == 0


def http(name: str, path: str = "/tickets") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()


async def test_plain_http_is_governed_by_the_host_it_names():
    async with a_tunnel_world(desk_host=HOST) as tunnels:
        port = tunnels.world.desk.port
        async with tunnels.captured("127.0.0.1", port) as client:
            await client.send(http(f"{HOST}:{port}"))
            answer = await client.answer()
        assert answer.status == 200
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["action"]["resource"] == "desk/GET /tickets"


@pytest.mark.parametrize(
    ("address", "changes_port", "name", "path", "status"),
    [
        pytest.param("127.0.0.1", False, "evil.example:{}", "/tickets", 404, id="a-stranger"),
        pytest.param("127.0.0.77", False, "localhost:{}", "/tickets", 421, id="another-address"),
        pytest.param("127.0.0.1", True, "localhost:{}", "/tickets", 421, id="another-port"),
        pytest.param("127.0.0.1", False, "localhost", "/tickets", 421, id="the-default-port"),
        pytest.param("127.0.0.1", False, "127.0.0.1:{}", "/desk/tickets", 404, id="by-a-prefix"),
        pytest.param("127.0.0.1", False, "localhost:{}", "/.outrider/task", 404, id="our-own"),
    ],
)
async def test_what_was_going_elsewhere_reaches_nothing_of_ours(
    address, changes_port, name, path, status
):
    async with a_tunnel_world(desk_host=HOST) as tunnels:
        port = tunnels.world.desk.port
        async with tunnels.captured(address, port + changes_port) as client:
            await client.send(http(name.format(port), path))
            assert (await client.answer()).status == status
        await tunnels.world.quiet()
        assert tunnels.world.desk.seen == []
        assert tunnels.world.metric(BYPASS) == 1


async def test_a_connect_to_somebody_elses_proxy_is_refused():
    async with (
        a_tunnel_world() as tunnels,
        tunnels.world.refuses("unrecognised"),
        tunnels.captured("127.0.0.1", 3128) as client,
    ):
        await client.send(tunnels.connect())
        assert (await client.answer()).status == 405
    assert tunnels.api.connections == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_a_probe_is_answered_with_who_we_are_and_is_no_exchange(address):
    async with a_tunnel_world() as tunnels:
        shown = f"[{address}]:9" if ":" in address else f"{address}:9"
        async with tunnels.captured(address, 9) as client:
            await client.send(http(shown, "/"))
            answer = await client.answer()
        assert answer.status == 200
        assert answer.body == (await tunnels.world.telemetry("/capture")).body
        assert tunnels.world.sidecar.instance.encode() in answer.body
        assert tunnels.world.metric("capture_verified_timestamp_seconds") > 0
        assert tunnels.world.decisions() == []
        assert tunnels.world.metric("capture_mode_info", mode="transparent") == 1


async def test_a_watched_sidecar_is_ready_until_probes_are_missing():
    watched = {"capture": {"mode": "transparent", "watch": True}}
    async with a_tunnel_world(settings=watched) as tunnels:
        assert (await tunnels.world.telemetry("/readyz")).status == 200
        tunnels.world.sidecar.capturing.watch._seen_s -= 60
        tunnels.world.sidecar.capturing.watch.beat()
        late = await tunnels.world.telemetry("/readyz")
        assert (late.status, b"capture" in late.body) == (503, True)
        async with tunnels.captured("192.0.2.1", 9) as client:
            await client.send(http("192.0.2.1:9", "/"))
            await client.answer()
        assert (await tunnels.world.telemetry("/readyz")).status == 200


async def test_elsewhere_than_in_mode_transparent_nobody_is_captured():
    async with a_tunnel_world(settings={"capture": {"mode": "cooperative"}}) as tunnels:
        async with tunnels.captured() as client:
            await client.send(a_hello(HOST))
            assert await client.rest() == b""
        await tunnels.world.quiet()
        assert tunnels.api.connections == 0
