"""TLS handshakes with callers: counted and bounded before a byte of theirs is read.

Laws: a connection beyond the bound is closed unread, before a key was used for it; a handshake
that failed takes no place any more: its TLS object is gone. (asyncio, not uvloop, keeps that in a
cycle for a while: then it takes none once it would be overdue.)
"""

import ssl
from collections.abc import Callable
from typing import Final, NoReturn, Self
from weakref import WeakKeyDictionary

from outrider.core.ports import Clock

_LATE_S: Final = 1.0
"""How long after its time a handshake is counted: the loop ends it, and tells nobody."""


class _Unwelcome(ssl.SSLObject):
    """A connection that is not taken: its handshake fails at once, which closes it cleanly on
    every event loop (one whose `wrap_bio` raised, asyncio forgets to close)."""

    def do_handshake(self) -> NoReturn:
        raise ssl.SSLError("not accepted")


class Doorkeeper(ssl.SSLContext):
    """`inner` for a listener, with at most `room()` handshakes under way at a time.

    `turned_away` is called for each connection beyond that. `handshake_s` is the time after which
    the listener gives a handshake up.
    """

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(
        self,
        inner: ssl.SSLContext,
        *,
        room: Callable[[], int],
        turned_away: Callable[[], None],
        handshake_s: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._inner = inner
        self._room = room
        self._turned_away = turned_away
        self._handshake_s = handshake_s
        self._clock = clock
        self._under_way: WeakKeyDictionary[ssl.SSLObject, float] = WeakKeyDictionary()

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        now_s = self._clock.monotonic_s()
        if self._is_full(now_s):
            self._turned_away()
            return _Unwelcome.__new__(_Unwelcome)
        made = self._inner.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        self._under_way[made] = now_s
        return made

    def finished(self, made: ssl.SSLObject) -> None:
        """`made` is a connection by now."""
        self._under_way.pop(made, None)

    def _is_full(self, now_s: float) -> bool:
        room = self._room()
        if len(self._under_way) < room:
            return False
        last_s = now_s - self._handshake_s() - _LATE_S
        for made, began_s in list(self._under_way.items()):
            if began_s < last_s:
                del self._under_way[made]
        return len(self._under_way) >= room
