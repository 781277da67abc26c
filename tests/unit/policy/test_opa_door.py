"""The way to an OPA on a Unix socket: whose it is, and who is told apart."""

import asyncio
import os

import pytest

from outrider.core.ports import Failed
from outrider.policy import opa_door
from outrider.policy.opa_door import UNKNOWN_PEER, UnixDoor
from tests.support.fake_opa import a_result, fake_opa
from tests.support.opa import until

OK = a_result(True)


class Seen(asyncio.Protocol):
    """Keeps the transport it is given."""

    transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport):
        self.transport = transport


async def opened(door: UnixDoor) -> Failed | None:
    seen = Seen()
    try:
        return await door.open(seen)
    finally:
        if seen.transport is not None:
            seen.transport.close()


async def test_the_process_at_the_other_end_is_asked_about():
    pids = []
    async with fake_opa(OK) as opa:
        assert await opened(UnixDoor(opa.path, lambda pid: pids.append(pid) or True)) is None
        await until(lambda: opa.connections == 1)
    assert pids == [os.getpid()]


async def test_another_process_is_not_taken():
    async with fake_opa(OK) as opa:
        fault = await opened(UnixDoor(opa.path, lambda pid: pid != os.getpid()))
        await until(lambda: opa.connections == 1)
    assert isinstance(fault, Failed)
    assert "another process" in fault.detail


async def test_without_an_owner_the_folders_mode_is_the_guard():
    async with fake_opa(OK) as opa:
        assert await opened(UnixDoor(opa.path)) is None
        await until(lambda: opa.connections == 1)


async def test_where_the_system_names_no_peer_it_is_asked_for_as_unknown(monkeypatch):
    monkeypatch.delattr(opa_door.socket, "SO_PEERCRED")
    peers = []
    async with fake_opa(OK) as opa:
        assert await opened(UnixDoor(opa.path, peers.append)) is not None
        await until(lambda: opa.connections == 1)
    assert (peers, opa.requests) == ([UNKNOWN_PEER], [])


async def test_nobody_listening_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        await UnixDoor(tmp_path / "none").open(Seen())


def test_a_socket_holds_as_long_as_its_connection(tmp_path):
    assert UnixDoor(tmp_path / "none").holds(None)
