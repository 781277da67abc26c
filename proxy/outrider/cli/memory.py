"""What is in the process's memory stays there: keys, tokens and credentials (HARDENING, image)."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def keep_memory_private() -> None:
    """No core file is written, and no other process of our user may trace or read this one
    (prctl(2), PR_SET_DUMPABLE). What the process starts is not bound by it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
