"""CONNECT through a whole sidecar: who may, to where, what leaves, and how it ends."""

from tests.support.tunnels import HOST, a_tunnel_world


async def test_an_allowed_tunnel_carries_tls_that_the_sidecar_does_not_read():
    async with a_tunnel_world() as tunnels:
        async with tunnels.tunnel() as client:
            await client.send(b"hello there")
            assert await client.reader.readexactly(11) == b"hello there"
            assert tunnels.world.metric("tunnels") == 1
        await tunnels.world.quiet()
        (decision,) = tunnels.world.decisions("allow")
        assert decision["action"]["resource"] == f"api/{tunnels.place}"
        assert decision["action"]["protocol"] == "connect"
        (outcome,) = tunnels.world.records("outcome")
        assert outcome["outcome"]["bytes_sent"] > 400
        assert outcome["outcome"]["bytes_in"] > 400
        assert tunnels.api.names == [HOST]
        assert bytes(tunnels.api.heard) == b"hello there"
        await tunnels.world.until(lambda: tunnels.world.metric("tunnels") == 0)
        assert tunnels.world.metric("tunnel_bytes_total", upstream="api", way="out") > 400
