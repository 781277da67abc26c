"""Places for handshakes: whose they are, and who makes room."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from outrider.listening import handshakes
from outrider.listening.handshakes import Doorkeeper, HandshakeBounds
from outrider.server.jobs import Jobs


@dataclass(slots=True)
class Door:
    """A door at which nobody's handshake ends by itself."""

    places: int
    jobs: Jobs
    turned_away: int = 0
    keeper: Doorkeeper = field(init=False)
    sock: socket.socket = field(default_factory=socket.socket)

    def __post_init__(self) -> None:
        self.keeper = Doorkeeper(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            bounds=self._bounds,
            turned_away=self._count,
        )
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen()
        self.jobs.start("door", self.keeper.serve(self.sock, asyncio.Protocol))

    def _bounds(self) -> HandshakeBounds:
        return HandshakeBounds(places=self.places, handshake_s=5.0, shutdown_s=1.0)

    def _count(self) -> None:
        self.turned_away += 1

    async def knock(self, source: str = "127.0.0.1") -> socket.socket:
        caller = socket.socket()
        caller.setblocking(False)
        caller.bind((source, 0))
        loop, before = asyncio.get_running_loop(), self._came()
        await loop.sock_connect(caller, self.sock.getsockname())
        async with asyncio.timeout(5):
            while self._came() == before:  # noqa: ASYNC110 - the loop's own turn
                await asyncio.sleep(0)
        return caller

    def _came(self) -> int:
        return self.keeper.under_way + self.turned_away


@asynccontextmanager
async def _door(places: int) -> AsyncIterator[Door]:
    async with Jobs() as jobs:
        door = Door(places, jobs)
        await asyncio.sleep(0)
        try:
            yield door
        finally:
            door.keeper.stop(door.sock)
            door.keeper.abort()
            await asyncio.sleep(0.01)


async def _is_open(caller: socket.socket) -> bool:
    try:
        async with asyncio.timeout(0.1):
            return await asyncio.get_running_loop().sock_recv(caller, 1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


async def test_one_source_has_half_of_the_places_and_crowds_out_itself() -> None:
    async with _door(4) as door:
        first, second, third = [await door.knock() for _ in range(3)]
        assert (door.keeper.under_way, door.turned_away) == (2, 1)
        assert [await _is_open(one) for one in (first, second, third)] == [False, True, True]
        for one in (first, second, third):
            one.close()


async def test_where_all_places_are_taken_the_oldest_makes_room() -> None:
    async with _door(2) as door:
        callers = [await door.knock(f"127.0.0.{number}") for number in (2, 3, 4)]
        assert (door.keeper.under_way, door.turned_away) == (2, 1)
        assert [await _is_open(one) for one in callers] == [False, True, True]
        for one in callers:
            one.close()


async def test_who_leaves_gives_his_place_back() -> None:
    async with _door(2) as door:
        (await door.knock()).close()
        async with asyncio.timeout(5):
            while door.keeper.under_way:  # noqa: ASYNC110 - the loop's own turn
                await asyncio.sleep(0)
        (await door.knock()).close()
        assert door.turned_away == 0
        assert len(door.keeper._of_source) <= 1


async def test_a_door_that_was_stopped_before_it_opened_stays_shut() -> None:
    async with Jobs() as jobs:
        door = Door(2, jobs)
        door.keeper.stop(door.sock)
        await asyncio.sleep(0.01)
        assert door.sock.fileno() == -1
        assert jobs.names == frozenset()


async def test_a_machine_that_can_take_nobody_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshakes, "_RETRY_S", 0.0)
    async with _door(4) as door:
        loop = asyncio.get_running_loop()
        take, faults = loop.sock_accept, [OSError(24, "EMFILE"), ConnectionAbortedError(103, "")]

        async def failing(sock: socket.socket) -> object:
            if faults:
                raise faults.pop()
            return await take(sock)

        monkeypatch.setattr(loop, "sock_accept", failing)
        for _ in range(3):
            (await door.knock()).close()
        assert faults == []


@pytest.mark.parametrize(
    ("family", "address", "source"),
    [
        pytest.param(socket.AF_INET, ("10.0.0.7", 1), "10.0.0.7", id="v4"),
        pytest.param(
            socket.AF_INET6, ("2001:db8:1:2:3::7", 1, 0, 0), "20010db800010002", id="v6-network"
        ),
        pytest.param(
            socket.AF_INET6, ("fe80::1%eth0", 1, 0, 2), "fe80000000000000", id="v6-scoped"
        ),
        pytest.param(socket.AF_UNIX, "", "unix", id="unix"),
    ],
)
def test_a_source_is_an_address_or_its_network(
    family: socket.AddressFamily, address: object, source: str
) -> None:
    with socket.socket(family) as sock:
        assert handshakes._source(sock, address) == source
