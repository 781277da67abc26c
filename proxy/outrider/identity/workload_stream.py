"""One stream of the Workload API, kept open for ever (IDENTITY §4).

Laws: whatever ends a stream is answered by opening it anew, later each time and never faster than
the first; only `INVALID_ARGUMENT` and `UNIMPLEMENTED` end the trying; a malformed message costs
nothing but itself; nothing is raised but the cancellation of whoever runs it.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import grpc

from outrider.core.errors import is_panic
from outrider.identity.events import IdentityEvents
from outrider.identity.workload_grace import DeniedGrace
from outrider.identity.workload_messages import MalformedUpdateError

logger = logging.getLogger("outrider.identity")

FATAL: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED})
SILENT: Final = "silent"
UNAVAILABLE: Final = "unavailable"
DENIED: Final = "denied"
TROUBLES: Final[Mapping[str, str]] = {
    os.strerror(errno.ENOENT): "no_such_socket",
    os.strerror(errno.ENOTDIR): "no_such_socket",
    os.strerror(errno.EACCES): "not_allowed",
    os.strerror(errno.ECONNREFUSED): "refused",
}
"""Why the agent cannot be reached, by the kernel's words, which end what gRPC says of it."""
_LEAST_S: Final = 0.05
_FIRST_S: Final = 0.1
_MOST_S: Final = 5.0
_DOUBLINGS: Final = 16
_INLINE_BYTES: Final = 16_384
"""A message up to this size is read on the loop; a larger one beside it."""

Pause = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]


class Call(Protocol):
    """A stream as gRPC gives it: `read` returns a message's bytes or `grpc.aio.EOF`, or raises
    `grpc.aio.AioRpcError`."""

    async def read(self) -> object: ...
    def cancel(self) -> bool: ...


class Heard(Protocol):
    """What is done with what a stream says."""

    kind: str
    """As `IdentityEvents.workload_update` calls it."""

    def read(self, data: bytes) -> Callable[[], None]:
        """What a message asks to be done, which the loop then does. It changes nothing and may run
        beside the loop. Whatever it raises, the message is malformed."""

    def contact(self, *, on: bool) -> None:
        """Something was heard, or the stream is down."""

    def denied(self) -> None:
        """We are entitled to nothing."""

    def fatal(self, code: str) -> None:
        """It will not be tried again."""


def delay_s(attempt: int, uniform: Uniform) -> float:
    """Seconds before the next try, after `attempt` in a row without a valid message (S1: the
    exponent is clamped, so that no length of outage overflows)."""
    return uniform(_LEAST_S, max(_FIRST_S, min(_MOST_S, _FIRST_S * 2 ** min(attempt, _DOUBLINGS))))


def trouble_of(code: grpc.StatusCode, details: str) -> str | None:
    """A closed word for why nothing is heard; None where the code is no word on that."""
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            ends = (word for words, word in TROUBLES.items() if details.endswith(words))
            return next(ends, UNAVAILABLE)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return SILENT
        case grpc.StatusCode.PERMISSION_DENIED:
            return DENIED
        case _:
            return None


def _untold(_trouble: str | None) -> None:
    """Nobody asks for it."""


class StreamLoop:
    """Opens the stream, hands on what it says, and opens it again when it ends."""

    def __init__(  # noqa: PLR0913 - one keyword for each collaborator
        self,
        *,
        opened: Callable[[], Call],
        heard: Heard,
        events: IdentityEvents,
        first_message_s: float,
        pause: Pause,
        uniform: Uniform,
        troubled: Callable[[str | None], None] = _untold,
        grace: DeniedGrace | None = None,
    ) -> None:
        """`troubled` is told, as the stream ends, why nothing is heard (`trouble_of`); `grace` says
        when a denial counts, at once by default."""
        self._opened = opened
        self._heard = heard
        self._events = events
        self._first_s = first_message_s
        self._pause = pause
        self._uniform = uniform
        self._troubled = troubled
        self._grace = grace or DeniedGrace(0, heard.denied)
        self._details = ""
        self._attempt = 0
        self._is_down = False
        self._is_malformed = False

    async def run(self) -> None:
        """Until a fatal code."""
        while True:
            code = await self._once()
            if code is grpc.StatusCode.PERMISSION_DENIED:
                self._heard.contact(on=True)
            self._grace.ended(code)
            self._heard.contact(on=False)
            self._troubled(trouble_of(code, self._details))
            self._events.workload_reconnect("END" if code is grpc.StatusCode.OK else str(code.name))
            if code in FATAL:
                self._tell("a stream of the Workload API cannot work and is given up", code)
                self._heard.fatal(str(code.name))
                return
            if not self._is_down:
                self._is_down = True
                self._tell("a stream of the Workload API ended and is opened again", code)
            await self._pause(delay_s(self._attempt, self._uniform))
            self._attempt += 1

    async def _once(self) -> grpc.StatusCode:
        """One life of the stream; how it ended."""
        call: Call | None = None
        self._details = ""
        try:
            call = self._opened()
            async with asyncio.timeout(self._first_s):
                data = await call.read()
            while data is not grpc.aio.EOF:
                await self._take(data)
                data = await call.read()
        except TimeoutError:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        except grpc.aio.AioRpcError as ended:
            self._details = ended.details() or ""
            return ended.code()
        except grpc.aio.UsageError:
            # A channel that is closed under us: its owner ends this loop next.
            return grpc.StatusCode.UNAVAILABLE
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # gRPC words a call that was cancelled beneath us like the cancellation of our task.
            return grpc.StatusCode.CANCELLED
        finally:
            if call is not None:
                call.cancel()
        return grpc.StatusCode.OK

    async def _take(self, data: object) -> None:
        self._heard.contact(on=True)
        try:
            if isinstance(data, bytes) and len(data) > _INLINE_BYTES:
                do = await asyncio.to_thread(_read, self._heard.read, data)
            else:
                do = _read(self._heard.read, data)
        except MalformedUpdateError as fault:
            self._discard(str(fault))
            return
        do()
        self._events.workload_update(self._heard.kind, "applied")
        self._grace.heard()
        self._attempt = 0
        self._is_malformed = False
        if self._is_down:
            self._is_down = False
            logger.info(
                "a stream of the Workload API is back",
                extra={"event": "workload_api", "stream": self._heard.kind},
            )

    def _discard(self, fault: str) -> None:
        """Counted each time, told of once in a row."""
        self._events.workload_update(self._heard.kind, "discarded")
        if not self._is_malformed:
            self._is_malformed = True
            logger.warning(
                "a malformed message of the Workload API is discarded; what was before it stands",
                extra={"event": "workload_api", "stream": self._heard.kind, "fault": fault},
            )

    def _tell(self, sentence: str, code: grpc.StatusCode) -> None:
        logger.warning(
            sentence,
            extra={
                "event": "workload_api",
                "stream": self._heard.kind,
                "code": code.name,
                "cause": trouble_of(code, self._details),
            },
        )


def _read(read: Callable[[bytes], Callable[[], None]], data: object) -> Callable[[], None]:
    """A message at which anything is raised, by us or by an extension that panics, is malformed."""
    if not isinstance(data, bytes):
        raise MalformedUpdateError("a message without bytes")
    try:
        return read(data)
    except MalformedUpdateError:
        raise
    except BaseException as fault:
        if not isinstance(fault, Exception) and not is_panic(fault):
            raise
        raise MalformedUpdateError("a message that could not be read") from None
