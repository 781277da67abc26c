"""Where agents connect: sockets bound, connections made, and in the end let go.

Laws: every address is bound or none (a machine without IPv6 loses only its IPv6 loopback); a
Unix socket's mode is set before anyone can connect.
"""

import asyncio
import ctypes
import errno
import logging
import select
import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from aiohttp import web
from aiohttp.web_request import BaseRequest

from outrider.config.checks import split_address
from outrider.config.limit_settings import Limits
from outrider.config.listener_settings import Listener as ListenerSettings
from outrider.core.errors import ConfigError
from outrider.listening.handshakes import Doorkeeper, HandshakeBounds
from outrider.listening.sockets import bound_tcp, bound_unix
from outrider.server.connection import AgentConnection
from outrider.server.edge import Edge, check_parser
from outrider.server.jobs import Jobs

logger = logging.getLogger("outrider.server")

_BACKLOG: Final = 1024
_SO_ATTACH_FILTER: Final = 26
# Linux (linux/filter.h), over the TCP header (RFC 9293 §3.1): load the flags, leave SYN and ACK of
# them, and where that is SYN alone go on to "return 0", which drops the packet, else skip it.
_DROP_SYN: Final = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x30, 0, 0, 13),
        (0x54, 0, 0, 0x12),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
    )
)
_STEPS: Final = len(_DROP_SYN) // 8
_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class _Server(web.Server):
    """aiohttp's low-level server, making our connections."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(_never, handler_cancellation=True)
        self._edge = edge

    def __call__(self) -> AgentConnection:
        return AgentConnection(self, self._edge)


async def _never(request: BaseRequest) -> NoReturn:
    raise RuntimeError("requests are served by the connection itself")


class Listener:
    """One listener of the data plane, on all its addresses.

    With `tls` nothing else is spoken on it, and a connection whose handshake proved no peer
    (`spiffe_peer` of its TLS object) is not accepted; `jobs` are where its handshakes are, and end
    after this.
    """

    def __init__(
        self,
        *,
        edge: Edge,
        settings: ListenerSettings,
        tls: ssl.SSLContext | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        self._edge = edge
        self._settings = settings
        self._jobs = jobs
        if tls is not None:
            if jobs is None:
                raise ConfigError(f"listeners.{edge.name}: TLS takes jobs for its handshakes")
            edge.door = Doorkeeper(
                tls, bounds=lambda: _handshakes(edge.limits), turned_away=edge.turned_away
            )
        self._servers: list[asyncio.Server] = []
        self._socks: list[socket.socket] = []
        self._at_door: list[socket.socket] = []
        self._unix: Path | None = None
        self._unix_inode = 0
        self.ports: tuple[int, ...] = ()

    @property
    def edge(self) -> Edge:
        return self._edge

    async def start(self) -> None:
        """Bind and accept. Raises `ConfigError` naming the address that could not be bound."""
        check_parser()
        server = _Server(self._edge)
        self._socks = self._bound()
        self.ports = tuple(sock.getsockname()[1] for sock in self._socks)
        for sock in self._socks:
            await self._accept_at(sock, server)
        if self._settings.unix is not None:
            path = Path(self._settings.unix)
            sock = await asyncio.to_thread(bound_unix, path, self._settings.unix_mode)
            self._socks.append(sock)
            self._unix, self._unix_inode = path, await asyncio.to_thread(_inode, path)
            await self._accept_at(sock, server)

    async def _accept_at(self, sock: socket.socket, server: _Server) -> None:
        loop, door = asyncio.get_running_loop(), self._edge.door
        if door is not None and self._jobs is not None:
            sock.listen(_BACKLOG)
            self._at_door.append(sock)
            self._jobs.start(f"{self._edge.name} listener", door.serve(sock, server))
        elif sock.family == socket.AF_UNIX:
            self._servers.append(await loop.create_unix_server(server, sock=sock, backlog=_BACKLOG))
        else:
            self._servers.append(await loop.create_server(server, sock=sock, backlog=_BACKLOG))

    def turn_away(self) -> None:
        """Let nobody new connect, where the system can: who has begun to by now will be accepted.
        Blocking, if shortly.

        A listening socket that is closed resets whoever waits in its queue, so `stop_accepting`
        alone would fail requests that were already sent: wait for `has_accepted_all` first.
        """
        code = ctypes.create_string_buffer(_DROP_SYN)
        program = struct.pack("HL", _STEPS, ctypes.addressof(code))
        for sock in self._socks:
            if sock.family == socket.AF_UNIX:
                continue
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._take_name_away()

    @property
    def has_accepted_all(self) -> bool:
        """Whether nobody who has connected waits to be accepted."""
        waiting = select.poll()
        for sock in self._socks:
            waiting.register(sock, select.POLLIN)
        return not waiting.poll(0)

    def _take_name_away(self) -> None:
        """A Unix socket without its file lets nobody new in, and its queue is still accepted."""
        path = self._unix
        if path is not None:
            with suppress(OSError):
                if _inode(path) == self._unix_inode:  # a next start may hold the name by now
                    path.unlink()

    def stop_accepting(self) -> None:
        """New connections are refused from now on; those that are go on. Idempotent.

        A Unix socket's file may stay: nobody answers on it, and the next start replaces it.
        """
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._socks.clear()
        door = self._edge.door
        if door is not None:
            for sock in self._at_door:
                door.stop(sock)
        self._at_door.clear()

    def drain(self) -> None:
        """Every answer from now on ends its connection."""
        self._edge.draining = True

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._edge.connections)

    @property
    def asked(self) -> int:
        """How many requests were taken here."""
        return self._edge.asked

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return any(not connection.is_idle for connection in self._edge.connections)

    def close_idle(self, quiet_s: float = 0.0) -> None:
        """End the connections on which nothing was asked for the last `quiet_s` seconds."""
        for connection in list(self._edge.connections):
            connection.close_idle(quiet_s)

    def abort_largest(self) -> None:
        """Give up the stream that has sent most (HARDENING §7)."""
        streams = [connection for connection in self._edge.connections if connection.streamed]
        if streams:
            max(streams, key=lambda connection: connection.streamed).abort()

    def abort(self) -> None:
        """Cut every connection; the exchanges on them are cancelled."""
        for connection in list(self._edge.connections):
            connection.abort()
        if self._edge.door is not None:
            self._edge.door.abort()

    def _bound(self) -> list[socket.socket]:
        socks: list[socket.socket] = []
        for address in self._settings.addresses:
            split = split_address(address)
            if split is None:
                raise ConfigError(f"listeners.{self._edge.name}: {address} is no address:port")
            host, port = split
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                socks.append(bound_tcp(host, port))
            except OSError as error:
                if family is socket.AF_INET6 and error.errno in _NO_IPV6 and socks:
                    logger.warning("no IPv6 here; listening without it", extra={"event": "no_ipv6"})
                    continue
                for sock in socks:
                    sock.close()
                raise ConfigError(
                    f"listeners.{self._edge.name}: {address} cannot be bound ({error.strerror})"
                ) from error
        return socks


def _handshakes(limits: Limits) -> HandshakeBounds:
    return HandshakeBounds(
        places=limits.handshakes, handshake_s=limits.handshake_s, shutdown_s=limits.shutdown_s
    )


def _inode(path: Path) -> int:
    return path.stat().st_ino
