"""Which addresses are this machine's own, as the kernel has it now: in a pod, the pod's."""

import errno
import socket
from typing import Final

from outrider.server.addresses import literal

_NOT_OURS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def is_own(text: str) -> bool:
    """Whether `text` is an address of ours, but for loopback; what cannot be told counts as ours.

    A socket is bound to it, which nobody hears of: no list of ours that could be old.
    """
    address = literal(text)
    if address is None or address.is_loopback:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.bind((text, 0))
    except OSError as fault:
        return fault.errno not in _NOT_OURS
    return True
