"""The body of one request: read once, bounded in size, time, rate and memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError

from outrider.config.limit_settings import Limits
from outrider.core.errors import MalformedError, TooLargeError
from outrider.core.ports import Clock
from outrider.server.gunzip import Gunzip
from outrider.server.overload import BufferBudget
from outrider.server.wheel import NEVER

_RATE_GRACE_S: Final = 10.0


class Line(Protocol):
    """The connection a body comes in on."""

    def continue_now(self) -> None:
        """Answer `100 Continue`, where the caller waits for it."""

    def wait_until(self, deadline_s: float) -> None:
        """Fail the waiting read with `SlowClientError` at this monotonic instant."""

    def hurried(self) -> bool:
        """True under pressure, when deadlines halve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTerms:
    """What holds for every body of a listener: how slowly it may come, and its share of memory."""

    clock: Clock
    budget: BufferBudget
    idle_s: float
    total_s: float
    rate_bytes_s: int


def body_terms(limits: Limits, clock: Clock, budget: BufferBudget) -> BodyTerms:
    return BodyTerms(
        clock=clock,
        budget=budget,
        idle_s=limits.body_idle_s,
        total_s=limits.body_total_s,
        rate_bytes_s=limits.body_rate_bytes_s,
    )


class RequestBody:
    """`core.exchange.BodySource` over aiohttp's stream of one request."""

    __slots__ = (
        "_gzip",
        "_held",
        "_length",
        "_line",
        "_payload",
        "_received",
        "_started_s",
        "_terms",
    )

    def __init__(
        self,
        payload: StreamReader,
        *,
        length: int | None,
        gzip: bool,
        line: Line,
        terms: BodyTerms,
    ) -> None:
        self._payload = payload
        self._length = length
        self._gzip = gzip
        self._line = line
        self._terms = terms
        self._held = 0
        self._received = 0
        self._started_s = 0.0

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body, decoded. See `core.exchange.BodySource`."""
        length = self._length
        if length is not None:
            if length > limit_bytes:
                raise TooLargeError(limit_bytes)
            self._take(length)
        payload = self._payload
        if payload.is_eof() and payload.exception() is None:  # it came with the head
            data = payload.read_nowait(-1)
            if length is None:
                self._take(len(data))
            return self._whole([data], limit_bytes)
        pieces: list[bytes] = []
        gunzip = Gunzip(limit_bytes) if self._gzip else None
        async for piece in self._pieces(limit_bytes):
            if length is None:
                self._take(len(piece))
            pieces.append(piece if gunzip is None else self._decoded(gunzip, piece))
        if gunzip is not None:
            gunzip.end()
        return b"".join(pieces)

    async def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes, undecoded."""
        if self._length is not None and self._length > limit_bytes:
            raise TooLargeError(limit_bytes)
        async for piece in self._pieces(limit_bytes):
            yield piece

    def release(self) -> None:
        if self._held:
            self._terms.budget.give_back(self._held)
            self._held = 0

    def _whole(self, pieces: list[bytes], limit_bytes: int) -> bytes:
        data = pieces[0]
        if len(data) > limit_bytes:
            raise TooLargeError(limit_bytes)
        if not self._gzip:
            return data
        gunzip = Gunzip(limit_bytes)
        data = self._decoded(gunzip, data)
        gunzip.end()
        return data

    def _decoded(self, gunzip: Gunzip, piece: bytes) -> bytes:
        out = gunzip.feed(piece)
        self._take(len(out))
        return out

    async def _pieces(self, limit_bytes: int) -> AsyncIterator[bytes]:
        payload, line = self._payload, self._line
        self._started_s = self._terms.clock.monotonic_s()
        if not payload.is_eof() and not payload.total_bytes:
            line.continue_now()
        while True:
            if not payload.is_eof():
                line.wait_until(self._deadline_s())
            try:
                piece = await payload.readany()
            except (HttpProcessingError, RequestPayloadError, RuntimeError) as error:
                raise MalformedError("the body's framing is not valid", cause="framing") from error
            finally:
                line.wait_until(NEVER)
            if not piece:
                return
            self._received += len(piece)
            if self._received > limit_bytes:
                raise TooLargeError(limit_bytes)
            yield piece

    def _deadline_s(self) -> float:
        """When waiting for the next piece ends: idle, in total, or below the average rate."""
        terms, now_s = self._terms, self._terms.clock.monotonic_s()
        share = 0.5 if self._line.hurried() else 1.0
        deadline_s = min(now_s + terms.idle_s * share, self._started_s + terms.total_s * share)
        if terms.rate_bytes_s:
            earned_s = max(_RATE_GRACE_S, self._received / terms.rate_bytes_s)
            deadline_s = min(deadline_s, self._started_s + earned_s)
        return deadline_s

    def _take(self, count: int) -> None:
        self._terms.budget.take(count)
        self._held += count
