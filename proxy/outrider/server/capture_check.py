"""What `outrider capture verify` does: tries to get out, and says where that goes (KUBERNETES §4).

Laws: what is sent goes to nobody (`core.capture`); an answer counts only from the sidecar of this
pod, by its instance; what cannot be tried for want of a way there is left out, and where there is
no way at all that is a fault. Blocking, each step bounded; nobody's settings or environment are
read.
"""

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from outrider.config.checks import split_address
from outrider.core.capture import (
    PROBE_PORT,
    PROBE_UDP_PORT,
    PROBE_V4,
    PROBE_V6,
    CaptureMode,
)
from outrider.core.ports import Clock

_ANSWER_BYTES: Final = 16_384
_STEP_S: Final = 3.0
_REFUSED: Final = frozenset(
    (errno.EPERM, errno.EACCES, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ECONNRESET)
)
"""How a rule that rejects is felt. Silence is not among them: that is a network without rules."""
_FORBIDDEN: Final = frozenset((errno.EPERM, errno.EACCES))
"""What a datagram gets that a rule of this pod's own refuses, and no network beyond it."""
_PLACES: Final = ((socket.AF_INET, PROBE_V4), (socket.AF_INET6, PROBE_V6))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTerms:
    """What is to hold: `mode` is any but cooperative, `telemetry` the sidecar's own listener,
    `limit_s` bounds all steps together."""

    mode: CaptureMode
    telemetry: str
    limit_s: float


class CaptureCheck:
    """One look at a pod's capture, from inside."""

    def __init__(self, terms: CheckTerms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock
        self._ends_s = 0.0

    def faults(self) -> list[str]:
        """What does not hold, a sentence each; none where capture stands."""
        self._ends_s = self._clock.monotonic_s() + self._terms.limit_s
        try:
            own = self._own()
        except (OSError, ValueError) as fault:
            return [f"the sidecar does not answer on {self._terms.telemetry}: {_word(fault)}"]
        if own.get("mode") != self._terms.mode.value:
            return [f"the sidecar runs in another mode than {self._terms.mode.value}"]
        found: list[str] = []
        reached = 0
        for family, address in _PLACES:
            if not _has_way(family, address):
                continue
            reached += 1
            found += self._tcp(family, address, own)
            found += self._udp(family, address)
        if not reached:
            found.append("there is no way out of here at all, so that nothing can be verified")
        return found

    def _own(self) -> dict[str, object]:
        split = split_address(self._terms.telemetry)
        if split is None:
            raise ValueError("no address:port")
        host, port = split
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return self._ask(family, host, port, "/capture")

    def _tcp(self, family: socket.AddressFamily, address: str, own: dict[str, object]) -> list[str]:
        try:
            said = self._ask(family, address, PROBE_PORT, "/")
        except ValueError:
            return [f"TCP to {address} was answered by a stranger"]
        except OSError as fault:
            return self._refused(address, fault)
        if self._terms.mode is not CaptureMode.TRANSPARENT:
            return [f"TCP to {address} got out: it is not refused"]
        if said.get("instance") != own.get("instance") or own.get("instance") is None:
            return [f"TCP to {address} was answered by another sidecar than this pod's"]
        return []

    def _refused(self, address: str, fault: OSError) -> list[str]:
        if self._terms.mode is CaptureMode.TRANSPARENT:
            return [f"TCP to {address} did not reach the sidecar: {_word(fault)}"]
        if fault.errno in _REFUSED:
            return []
        return [f"TCP to {address} was not refused: {_word(fault)}"]

    def _udp(self, family: socket.AddressFamily, address: str) -> list[str]:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(b"outrider", (address, PROBE_UDP_PORT))
            except OSError as fault:
                if fault.errno in _FORBIDDEN:
                    return []
                return [f"UDP to {address} was not refused by a rule: {_word(fault)}"]
        return [f"UDP to {address} got out"]

    def _ask(
        self, family: socket.AddressFamily, host: str, port: int, path: str
    ) -> dict[str, object]:
        """A GET's JSON object. Raises `OSError`, or `ValueError` for an answer that is none."""
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(self._left_s())
            sock.connect((host, port))
            request = f"GET {path} HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n"
            sock.sendall(request.encode("ascii"))
            data = b""
            while piece := sock.recv(4096):
                data += piece
                sock.settimeout(self._left_s())
                if len(data) > _ANSWER_BYTES:
                    raise ValueError("too long")
        head, _, body = data.partition(b"\r\n\r\n")
        said = orjson.loads(body)  # a `ValueError` where it is none
        if head.startswith(b"HTTP/1.1 200 ") and isinstance(said, dict):
            return said
        raise ValueError("no answer of a sidecar")

    def _left_s(self) -> float:
        """Raises `TimeoutError` where nothing is left."""
        left_s = self._ends_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return min(left_s, _STEP_S)


def _has_way(family: socket.AddressFamily, address: str) -> bool:
    """Whether a packet to `address` would leave by any interface: nothing is sent to learn it."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, PROBE_UDP_PORT))
        return True
    return False


def _word(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "timed out"
    number = fault.errno if isinstance(fault, OSError) else None
    return errno.errorcode.get(number, "failed") if number is not None else "no sidecar's answer"
