"""The operations of identity: to look at it, to wait for its changes, and to check a peer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from outrider.control.api import Call, Endpoint, answer
from outrider.control.http import Response
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_object

WAIT_S: Final = 30
"""Longest wait for a change; each wait is one call, and so one record."""
_MARK_CHARS: Final = 64
_PEER_CHARS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityOperations:
    """`document` says how our identity is; `wait_other` the same once it is another than the one
    of a mark, or after seconds; `check` makes a handshake with a peer. None of them tells a key."""

    document: Callable[[], JsonObject]
    wait_other: Callable[[str, float], Awaitable[JsonObject]]
    check: Callable[[str], Awaitable[JsonObject]]

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(method="GET", path="/v1/identity", run=self._show),
            Endpoint(method="POST", path="/v1/identity/check", run=self._check),
        )

    async def _show(self, call: Call) -> Response:
        """At once; with `?after=<mark>&wait=<seconds>` when there is something else to tell."""
        if not call.query:
            return answer(self.document())
        mark, wait = call.query.get("after", ""), call.query.get("wait", "")
        fits = wait.isascii() and wait.isdigit() and len(wait) < 4 and 0 < int(wait) <= WAIT_S
        if not fits or not 0 < len(mark) <= _MARK_CHARS or len(call.query) > 2:
            raise ConfigError(f"give ?after=<mark>&wait=<1 to {WAIT_S} seconds>, or nothing")
        return answer(await self.wait_other(mark, float(wait)))

    async def _check(self, call: Call) -> Response:
        match call.body:
            case {"peer": str(peer)} if len(as_object(call.body)) == 1 and peer:
                if len(peer) <= _PEER_CHARS:
                    return answer(await self.check(peer))
            case _:
                pass
        raise ConfigError("give {peer}: host:port, https://host:port or the name of an upstream")
