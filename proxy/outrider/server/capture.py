"""Where a redirected connection was going, as the kernel remembers it (KUBERNETES §7).

Laws: the kernel alone says it; a destination that is one of our own listeners is no destination
but a caller who means us, and is never dialled.
"""

import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from outrider.core.capture import MISSED_PROBES, PROBE_S, Meant
from outrider.core.ports import Clock
from outrider.server.addresses import literal

OriginalOf: TypeAlias = "Callable[[socket.socket], Meant | None]"

# linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h: SO_ORIGINAL_DST, of either family.
_ORIGINAL_DST: Final = 80
_LATE: Final = 0.5
"""Share of the time between two probes that one may be late."""
_V4: Final = struct.Struct("!2xH4s8x")
_V6: Final = struct.Struct("!2xHI16sI")


def kernel_original(sock: socket.socket) -> Meant | None:
    """What the kernel says of a TCP connection's first destination; None where it says nothing."""
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DST, _V6.size)
            port, _, packed, _ = _V6.unpack(raw)
            return Meant(address=str(ipaddress.IPv6Address(packed)), port=port)
        if sock.family == socket.AF_INET:
            raw = sock.getsockopt(socket.IPPROTO_IP, _ORIGINAL_DST, _V4.size)
            port, packed = _V4.unpack(raw)
            return Meant(address=str(ipaddress.IPv4Address(packed)), port=port)
    except (OSError, struct.error):
        return None  # nothing was redirected, or nothing here redirects
    return None


class CaptureReader:
    """Tells redirected connections from those of callers who mean us.

    `ports` are those that our own listeners have by now, of any address of this machine.
    """

    def __init__(
        self, *, ports: Callable[[], frozenset[int]], original: OriginalOf = kernel_original
    ) -> None:
        self._ports = ports
        self._original = original

    def meant(self, sock: socket.socket | None) -> Meant | None:
        """Where the connection was going; None where it was not redirected."""
        if sock is None:
            return None
        found = self._original(sock)
        if found is None or self._is_ours(found, sock):
            return None
        return found

    def _is_ours(self, found: Meant, sock: socket.socket) -> bool:
        """Whether it is the very place it came to, or another one of ours."""
        own = sock.getsockname()
        if (found.address, found.port) == (own[0], own[1]):
            return True
        address = literal(found.address)
        local = address is None or address.is_loopback or address.is_unspecified
        return local and found.port in self._ports()


class CaptureEvents(Protocol):
    """What is counted of capture."""

    def capture_verified(self, unix_s: float) -> None: ...

    def capture_failed(self) -> None: ...


class CaptureWatch:
    """Whether the rules that redirect are still there: they are as long as probes arrive.

    Looked at once a second (`beat`). Until the first is late nothing is amiss: who probes starts
    after this sidecar is ready. Without `watched` probes are only noted.
    """

    def __init__(self, *, clock: Clock, events: CaptureEvents, watched: bool) -> None:
        self._clock = clock
        self._events = events
        self._watched = watched
        self._seen_s = clock.monotonic_s()
        self._missed = 0

    def probed(self) -> None:
        """A probe arrived that was going to nobody's place: it was redirected."""
        self._seen_s = self._clock.monotonic_s()
        self._missed = 0
        self._events.capture_verified(self._clock.unix_s())

    def beat(self) -> None:
        """Count the probes that are overdue by now, each once."""
        if not self._watched:
            return
        late_s = self._clock.monotonic_s() - self._seen_s
        missed = int(late_s / PROBE_S - _LATE)  # one that is on its way is not missing yet
        while self._missed < missed:
            self._missed += 1
            self._events.capture_failed()

    def missing(self) -> str | None:
        """Why this pod is not ready, or None."""
        if self._missed < MISSED_PROBES:
            return None
        return "probes of capture no longer arrive: the pod's network rules may be gone"
