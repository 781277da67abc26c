"""Capture as all parts know it: where a redirected caller was going, and what probes go for.

Law: the places of the probes are nobody's (RFC 5737, RFC 3849); nothing is ever forwarded to them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PROBE_V4: Final = "192.0.2.1"
PROBE_V6: Final = "2001:db8::1"
PROBE_PORT: Final = 9
"""TCP: answered by the sidecar where connections are redirected, refused where they are dropped."""
PROBE_UDP_PORT: Final = 443
"""UDP: refused wherever capture is."""
PROBE_S: Final = 10.0
"""Seconds between two probes of a watched pod."""
MISSED_PROBES: Final = 3
"""So many in a row missing, and capture counts as broken."""


class CaptureMode(StrEnum):
    """How the agent's connections are kept from going round (KUBERNETES §7)."""

    TRANSPARENT = "transparent"
    ENFORCE_DROP = "enforce-drop"
    COOPERATIVE = "cooperative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Where a redirected connection was going before it was redirected here: an IP address and a
    port, as the kernel says."""

    address: str
    port: int

    @property
    def is_probe(self) -> bool:
        """Whether it goes where only our own probes go."""
        return self.address in {PROBE_V4, PROBE_V6} and self.port == PROBE_PORT


def port_of(authority: str, default: int) -> int:
    """The port of `host[:port]` or `[v6][:port]`, `default` where it names none."""
    tail = authority.rpartition("]")[2] if authority.startswith("[") else authority
    _, colon, port = tail.rpartition(":")
    return int(port) if colon and port.isdigit() else default
