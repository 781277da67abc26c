"""Sockets of ours: bound and not yet listening, or connected and given up.

Laws: nobody's address is taken from under a listener; a Unix socket has its mode before anyone can
connect; what cannot be bound leaves nothing behind.
"""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from outrider.core.errors import ConfigError


def bound_tcp(host: str, port: int) -> socket.socket:
    """A socket of `host`'s own family, an IP address; raises `OSError` where it cannot be bound.

    An IPv6 one takes no IPv4: each address that is listened at stands in the settings.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def bound_unix(path: Path, mode: int) -> socket.socket:
    """A Unix socket at `path`, made with `mode`. A stale socket there is removed first.

    Raises `ConfigError`, of a path that another process listens at too. May block for 0.2 s.
    """
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        mask = os.umask(0o777 & ~mode)
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        path.chmod(mode)
    except OSError as error:
        sock.close()
        raise ConfigError(f"the socket {path} cannot be bound ({error.strerror})") from error
    return sock


def let_go(sock: socket.socket) -> None:
    """Be done with a socket that was handed to the loop and came to nothing.

    asyncio's transport shares the object, so that closing it twice is harmless. uvloop's has closed
    the descriptor, and where a handshake failed at once leaves its number in the object: closing
    that would end whoever has the number by then.
    """
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        sock.close()
    else:
        sock.detach()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(0.2)
        probe.connect(str(path))
        return True
    return False
