import asyncio
import os
import stat
from contextlib import suppress

import pytest

from outrider.config.limit_settings import Limits
from outrider.config.listener_settings import Listener as ListenerSettings
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.exchange import Reply
from outrider.core.vocabulary import Direction
from outrider.server.edge import Edge, EdgeParts
from outrider.server.listener import Listener
from outrider.server.overload import BufferBudget
from outrider.server.wheel import Wheel
from tests.support.peers import RecordingEvents, loopback_rules


def a_listener(exchanges=None, uids=None, **settings):
    clock, events = SystemClock(), RecordingEvents()

    async def handle(exchange):
        if exchanges is not None:
            exchanges.append(exchange)
        return Reply(status=200, headers=(), body=b"ok", settle=lambda *_: None)

    edge = Edge(
        EdgeParts(
            name="egress",
            direction=Direction.EGRESS,
            rules=loopback_rules(hosts=frozenset(("x",))),
            limits=Limits(),
            handler=handle,
            refuser=lambda refusal: Reply(status=400, headers=(), body=b"", settle=lambda *_: None),
            clock=clock,
            wheel=Wheel(clock=clock),
            events=events,
            budget=BufferBudget(limit_bytes=1 << 20, events=events),
            uids=frozenset((os.getuid(),)) if uids is None else uids,
        )
    )
    return Listener(edge=edge, settings=ListenerSettings(**settings))


async def stopped(listener):
    # asyncio leaks what it accepts in the moment its server closes: let probes come in first
    await asyncio.sleep(0.02)
    listener.stop_accepting()
    listener.abort()
    listener.edge.wheel.close()
    await asyncio.sleep(0.02)


async def said(path):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_unix_socket_has_its_mode_and_knows_its_peer(tmp_path):
    path, exchanges = str(tmp_path / "s"), []
    listener = a_listener(exchanges, unix=path, unix_mode=0o600)
    await listener.start()
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert (await said(path)).startswith(b"HTTP/1.1 200")
    peer = exchanges[0].peer
    assert (peer.transport, peer.uid, peer.pid) == ("unix", os.getuid(), os.getpid())
    await stopped(listener)
    with pytest.raises(ConnectionRefusedError):
        await said(path)


async def test_a_peer_of_another_uid_is_not_accepted(tmp_path):
    path, exchanges = str(tmp_path / "s"), []
    listener = a_listener(exchanges, unix=path, uids=frozenset((12345,)))
    await listener.start()
    assert (await said(path), exchanges) == (b"", [])
    assert ("refused", "peer_uid") in listener.edge.events.log
    await stopped(listener)


async def test_who_connected_before_a_unix_socket_was_closed_is_still_served(tmp_path):
    path = str(tmp_path / "s")
    listener = a_listener(unix=path)
    await listener.start()
    before = asyncio.create_task(said(path))
    await asyncio.sleep(0)
    await asyncio.to_thread(listener.turn_away)
    with pytest.raises(FileNotFoundError):
        await said(path)
    assert (await before).startswith(b"HTTP/1.1 200")
    await stopped(listener)


async def test_the_name_of_the_next_start_is_left_alone(tmp_path):
    path = str(tmp_path / "s")
    first = a_listener(unix=path)
    await first.start()
    await asyncio.to_thread((tmp_path / "s").unlink)
    second = a_listener(unix=path)
    await second.start()
    await asyncio.to_thread(first.turn_away)
    assert (await said(path)).startswith(b"HTTP/1.1 200")
    await stopped(first)
    await stopped(second)


async def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = str(tmp_path / "s")
    first = a_listener(unix=path)
    await first.start()
    with pytest.raises(ConfigError):
        await a_listener(unix=path).start()
    await stopped(first)
    second = a_listener(unix=path)
    await second.start()
    assert (await said(path)).startswith(b"HTTP/1.1 200")
    await stopped(second)


async def test_an_address_in_use_is_named():
    first = a_listener(addresses=("127.0.0.1:0",))
    await first.start()
    with pytest.raises(ConfigError, match=f"127.0.0.1:{first.ports[0]}"):
        await a_listener(addresses=("127.0.0.1:0", f"127.0.0.1:{first.ports[0]}")).start()
    await stopped(first)


async def test_what_is_no_address_is_named():
    with pytest.raises(ConfigError, match="localhost"):
        await a_listener(addresses=("localhost:1",)).start()
