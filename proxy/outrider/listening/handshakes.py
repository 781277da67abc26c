"""TLS handshakes with callers: counted and bounded apart from the connections they become.

Laws: a handshake takes a place of its own, never a connection's; where places are full the oldest
handshake makes room for the newcomer, since an honest one takes milliseconds; one source has half
of the places at most, so that it crowds out nobody but itself.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider.core.errors import is_panic
from outrider.listening.sockets import let_go

logger = logging.getLogger("outrider.listening")

_RETRY_S: Final = 1.0
_HURRIED: Final = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)
"""What `accept` says of one caller alone; anything else is the machine's and takes time to pass."""
_NETWORK_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeBounds:
    """How many handshakes are under way at once, and for how long."""

    places: int
    handshake_s: float
    """From the connection to the end of its handshake."""
    shutdown_s: float
    """Of the orderly end of a connection that came of one."""


@dataclass(slots=True, eq=False)
class _Newcomer:
    """A connection that is none yet."""

    source: str
    sock: socket.socket
    begun: bool = False
    task: "asyncio.Task[None] | None" = None


def _nobody_asks() -> None:
    """Nothing counts them."""


class Doorkeeper:
    """Accepts on a listener's sockets and shakes hands under `tls`.

    `bounds` are asked for at each newcomer; `turned_away` is called for each handshake that had to
    make room.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        bounds: Callable[[], HandshakeBounds],
        turned_away: Callable[[], None] = _nobody_asks,
    ) -> None:
        self._tls = tls
        self._bounds = bounds
        self._turned_away = turned_away
        # Both in the order of coming, so that the first is the oldest.
        self._under_way: dict[_Newcomer, None] = {}
        self._of_source: defaultdict[str, dict[_Newcomer, None]] = defaultdict(dict)
        self._accepting: dict[socket.socket, asyncio.Task[None] | None] = {}

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    async def serve(self, sock: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept at `sock`, which listens, until `stop`; ends with its last handshake."""
        if sock.fileno() < 0:  # stopped before it began
            return
        async with asyncio.TaskGroup() as group:
            self._accepting[sock] = group.create_task(self._accept(sock, make, group))

    def stop(self, sock: socket.socket) -> None:
        """Accept nobody at `sock` from now on, and close it; handshakes go on."""
        task = self._accepting.pop(sock, None)
        if task is None:
            sock.close()
            return
        task.cancel()
        asyncio.get_running_loop().call_soon(sock.close)  # once the loop no longer looks at it

    def abort(self) -> None:
        """Give up every handshake."""
        for newcomer in list(self._under_way):
            self._give_up(newcomer)

    # --- inside ---

    async def _accept(
        self,
        sock: socket.socket,
        make: Callable[[], asyncio.Protocol],
        group: asyncio.TaskGroup,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, address = await loop.sock_accept(sock)
            except OSError as fault:
                if fault.errno not in _HURRIED:
                    logger.warning("nobody can be accepted", extra={"event": "accept_failed"})
                    await asyncio.sleep(_RETRY_S)
                continue
            self._begin(_Newcomer(_source(taken, address), taken), make, group)
            await asyncio.sleep(0)  # one at a time: whoever came before has his turn in between

    def _begin(
        self,
        newcomer: _Newcomer,
        make: Callable[[], asyncio.Protocol],
        group: asyncio.TaskGroup,
    ) -> None:
        most = self._bounds().places
        neighbours = self._of_source[newcomer.source]
        if len(neighbours) >= max(1, most // 2):
            self._make_room(next(iter(neighbours)))
        elif len(self._under_way) >= most:
            self._make_room(next(iter(self._under_way)))
        self._under_way[newcomer] = None
        self._of_source[newcomer.source][newcomer] = None
        newcomer.task = group.create_task(self._shake(newcomer, make))
        newcomer.task.add_done_callback(lambda _: self._ended(newcomer))

    def _make_room(self, oldest: _Newcomer) -> None:
        self._turned_away()
        self._give_up(oldest)

    def _give_up(self, newcomer: _Newcomer) -> None:
        self._forget(newcomer)
        if newcomer.task is not None:
            newcomer.task.cancel()

    async def _shake(self, newcomer: _Newcomer, make: Callable[[], asyncio.Protocol]) -> None:
        bounds = self._bounds()
        newcomer.begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make,
                newcomer.sock,
                ssl=self._tls,
                ssl_handshake_timeout=bounds.handshake_s,
                ssl_shutdown_timeout=bounds.shutdown_s,
            )
        except BaseException as fault:  # whatever a stranger makes fail ends his handshake alone
            let_go(newcomer.sock)
            if not isinstance(fault, Exception) and not is_panic(fault):
                raise

    def _ended(self, newcomer: _Newcomer) -> None:
        if not newcomer.begun:
            newcomer.sock.close()
        self._forget(newcomer)

    def _forget(self, newcomer: _Newcomer) -> None:
        self._under_way.pop(newcomer, None)
        neighbours = self._of_source.get(newcomer.source)
        if neighbours is not None:
            neighbours.pop(newcomer, None)
            if not neighbours:
                del self._of_source[newcomer.source]


def _source(sock: socket.socket, address: object) -> str:
    """Who is counted as one: an address, of IPv6 its network, and whoever is on a Unix socket."""
    if not isinstance(address, tuple) or sock.family == socket.AF_UNIX:
        return "unix"
    host = str(address[0])
    if sock.family != socket.AF_INET6:
        return host
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:_NETWORK_BYTES].hex()
