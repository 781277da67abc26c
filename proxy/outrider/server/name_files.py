"""The files that say what names mean: as they were when this process began, or no name means
anything.

The containers of a pod share `/etc/hosts` and `/etc/resolv.conf`, and an agent that may write
there could have a granted name mean a place of its own. Where TLS with an upstream is ours, its
certificate tells; a tunnel's is the caller's affair, so that here the name is all there is.
"""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Final

from outrider.server.dns import Lookup, system_lookup

logger = logging.getLogger("outrider.server")

SHARED: Final = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
_MOST_BYTES: Final = 1 << 20


class NameFiles:
    """A lookup that answers nothing once one of `paths` is another than at the first look."""

    def __init__(self, *, paths: tuple[Path, ...] = SHARED, lookup: Lookup = system_lookup) -> None:
        self._paths = paths
        self._lookup = lookup
        self._first: bytes | None = None
        self._told = False

    def take(self) -> None:
        """The first look, before the agent begins; later ones change nothing. Blocking."""
        if self._first is None:
            self._first = self._digest()

    async def lookup(self, host: str, port: int) -> list[str]:
        """The system's answer, if names meant the same before and after. Raises `OSError`."""
        await self._check()
        found = await self._lookup(host, port)
        await self._check()
        return found

    async def _check(self) -> None:
        now = await asyncio.to_thread(self._digest)
        if self._first is not None and now == self._first:
            return
        if not self._told:
            self._told = True
            logger.warning(
                "what names mean was changed in this pod; tunnels are refused",
                extra={"event": "names_changed"},
            )
        raise OSError("names mean something else than at the start")

    def _digest(self) -> bytes:
        found = hashlib.sha256()
        for path in self._paths:
            try:
                with path.open("rb") as file:
                    data = file.read(_MOST_BYTES)
            except OSError:
                data = b""
            found.update(len(data).to_bytes(8) + data)
        return found.digest()
