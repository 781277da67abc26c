"""The files that say what names mean: as they were when this pod began, or no name means anything.

The containers of a pod share `/etc/hosts` and `/etc/resolv.conf`, and an agent that may write
there could have a granted name mean a place of its own. Where TLS with an upstream is ours, its
certificate tells; everywhere else the name is all there is. The kubelet writes `/etc/hosts` again,
the same, whenever a container of the pod starts: that is no change, but a look-up that it falls
into is not believed. Nor is one that could not tell, since the kernel's times are coarse.

The kubelet writes a line of its own there: the pod's address and what its author called it. A pod
may be called as an upstream is, so an answer that is the pod itself is none.
"""

import asyncio
import hashlib
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from outrider.core.ports import Clock
from outrider.server.dns import Lookup, system_lookup
from outrider.server.own_addresses import is_own

logger = logging.getLogger("outrider.server")

SHARED: Final = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
_MOST_BYTES: Final = 1 << 20
_SETTLED_S: Final = 0.05
"""Older than any step of the kernel's file times: a change after it shows."""
_State = tuple[int, int, int]
"""When it was changed, which file it is, how long it is."""
_NOTHING: Final[_State] = (0, 0, 0)


class FirstLook(Protocol):
    """What the first look of this pod found, over the lives of this process in it. Blocking."""

    def recall(self) -> str | None: ...

    def remember(self, digest: str) -> None: ...


class NoMemory:
    """For processes that are in no pod: each life begins anew."""

    def recall(self) -> str | None:
        return None

    def remember(self, digest: str) -> None:
        del digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    digest: str
    states: tuple[_State, ...]

    def is_young(self, unix_s: float) -> bool:
        return any(abs(unix_s - one[0] / 1e9) < _SETTLED_S for one in self.states)

    @property
    def is_emptied(self) -> bool:
        return any(one != _NOTHING and one[2] == 0 for one in self.states)


class NameFiles:
    """A lookup that answers nothing once one of `paths` was another than at the first look, for as
    long as this process lives; and never with an address that `own` knows."""

    def __init__(
        self,
        *,
        clock: Clock,
        paths: tuple[Path, ...] = SHARED,
        lookup: Lookup = system_lookup,
        memory: FirstLook | None = None,
        own: Callable[[str], bool] = is_own,
    ) -> None:
        self._clock = clock
        self._paths = paths
        self._lookup = lookup
        self._memory = memory or NoMemory()
        self._own = own
        self._first: str | None = None
        self._changed = False
        self._told_own = False

    def take(self) -> None:
        """The first look, before the agent begins; later ones change nothing. Blocking.

        Where this pod was looked at in an earlier life of this process, that look is the first.
        Raises `ConfigError` where it cannot be kept.
        """
        if self._first is not None:
            return
        look = self._look()
        first = self._memory.recall()
        if first is None:
            first = look.digest
            self._memory.remember(first)
        self._first = first
        if look.digest != first:
            self._change()

    async def lookup(self, host: str, port: int) -> list[str]:
        """The system's answer, if names meant the same before, after and between.

        Raises `OSError`.
        """
        before = await self._check()
        found = await self._lookup(host, port)
        after = await self._check()
        if before.states != after.states:
            raise OSError("what names mean was written during the look-up")
        if any(map(self._own, found)):
            self._tell_own()
            raise OSError("the name means this pod itself")
        return found

    async def _check(self) -> _Look:
        if self._first is None:
            raise OSError("what names mean was not looked at yet")
        look = await asyncio.to_thread(self._look)
        is_young = look.is_young(self._clock.unix_s())
        # the kubelet empties the file before it writes it anew
        if look.digest != self._first and not (is_young and look.is_emptied):
            self._change()
        if self._changed:
            raise OSError("names mean something else than at the start")
        if is_young:
            raise OSError("what names mean was written just now")
        return look

    def _change(self) -> None:
        if not self._changed:
            logger.warning(
                "what names mean was changed in this pod; no name is looked up without TLS of ours",
                extra={"event": "names_changed"},
            )
        self._changed = True

    def _tell_own(self) -> None:
        if not self._told_own:
            logger.warning(
                "a name that nothing else proves means this pod itself, and is not looked up: the "
                "pod may be called as an upstream is, or the upstream be meant by localhost",
                extra={"event": "name_is_own"},
            )
        self._told_own = True

    def _look(self) -> _Look:
        digest = hashlib.sha256()
        states: list[_State] = []
        for path in self._paths:
            try:
                state, data = _read(path)
            except OSError:
                state, data = _NOTHING, b""
            states.append(state)
            digest.update(len(data).to_bytes(8) + data)
        return _Look(digest=digest.hexdigest(), states=tuple(states))


def _read(path: Path) -> tuple[_State, bytes]:
    """What the file at `path` is, and then what it holds. A pipe is nothing, and is not waited
    for."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("no regular file")
        return (found.st_ctime_ns, found.st_ino, found.st_size), file.read(_MOST_BYTES)
