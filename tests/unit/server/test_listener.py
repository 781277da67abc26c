import asyncio
import ctypes
import os
import socket
import stat
import struct
from contextlib import ExitStack, suppress

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
from tests.support.opa import until
from tests.support.peers import RecordingEvents, loopback_rules

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_NOTHING = struct.pack("HL", 1, ctypes.addressof(_DROP_ALL))


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


@pytest.fixture
def deaf():
    """Makes sockets that have begun to connect and hear no answer, until `hears`."""
    with ExitStack() as stack:

        def connecting(port):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _NOTHING)
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
            return sock

        yield connecting


def hears(sock):
    sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


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


async def test_a_handshake_under_way_is_finished_and_none_begins(deaf):
    listener = a_listener(addresses=("127.0.0.1:0",))
    await listener.start()
    begun = deaf(listener.ports[0])  # the SYN is taken, the answer to it lost
    await asyncio.to_thread(listener.turn_away)
    late = deaf(listener.ports[0])
    hears(begun)
    hears(late)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):  # the kernel says it again within two seconds
        await loop.sock_sendall(begun, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await loop.sock_recv(begun, 4096)).startswith(b"HTTP/1.1 200")
    with pytest.raises(OSError, match="not connected"):
        late.getpeername()
    await stopped(listener)


async def test_a_listener_knows_whether_somebody_waits_to_be_accepted(tmp_path):
    listener = a_listener(addresses=("127.0.0.1:0",), unix=str(tmp_path / "s"))
    await listener.start()
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", listener.ports[0])),
        (socket.AF_UNIX, str(tmp_path / "s")),
    ):
        assert listener.has_accepted_all
        with socket.socket(family) as waiting:
            waiting.connect(address)
            assert not listener.has_accepted_all
            await until(lambda: listener.has_accepted_all)
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
