"""The way to one OPA: how a connection to it is made, and whether one may still be used."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from outrider.core.ports import Failed
from outrider.core.vocabulary import Reason

CONNECT_S: Final = 0.05
UNKNOWN_PEER: Final = -1
"""Whose socket it is, where the system does not say."""

_PEER: Final = struct.Struct("3i")
UNPROVEN: Final = Failed(
    code=Reason.POLICY_UNAVAILABLE, detail="OPA's identity, or ours, does not hold"
)
_STRANGER: Final = Failed(code=Reason.POLICY_UNAVAILABLE, detail="another process has the socket")


class Door(Protocol):
    """All members hold for every connection of one OPA. `host` is what its requests name, `where`
    what people look for it under."""

    @property
    def host(self) -> str: ...

    @property
    def where(self) -> str: ...

    @property
    def connect_s(self) -> float:
        """Seconds that `open` may take; the client keeps them."""

    async def open(self, protocol: asyncio.Protocol) -> Failed | None:
        """Connect `protocol`; why it must not be used, where it must not.

        Raises `OSError` where nobody can be reached: nothing was written then. On failure and on
        cancellation whoever called closes what `protocol` was given.
        """

    def holds(self, tls: ssl.SSLObject | None) -> bool:
        """Whether what the other end proved when it was connected still holds."""


class UnixDoor:
    """OPA on a Unix socket. `owns` is asked for each new connection with the process at its other
    end; without it the folder's mode guards the socket."""

    host: Final = "opa"
    connect_s: Final = CONNECT_S

    def __init__(self, path: Path, owns: Callable[[int], bool] | None = None) -> None:
        self.where: Final = str(path)
        self._owns = owns

    async def open(self, protocol: asyncio.Protocol) -> Failed | None:
        """As the port says."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(lambda: protocol, self.where)
        if self._owns is None or self._owns(peer_pid(transport)):
            return None
        return _STRANGER

    def holds(self, tls: ssl.SSLObject | None) -> bool:
        """A process that is gone took its connections with it."""
        del tls
        return True


def peer_pid(transport: asyncio.BaseTransport) -> int:
    """The process that listens at the other end, or `UNKNOWN_PEER`."""
    made = transport.get_extra_info("socket")
    if made is None or not hasattr(socket, "SO_PEERCRED"):
        return UNKNOWN_PEER
    pid: int = _PEER.unpack(made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
    return pid
