"""Fair shares of what is in flight, and of the memory that bodies take (HARDENING §6, §7).

Laws: an agent's share stands before the sidecar's; every wait is bounded in length and in time;
what was taken is given back on every way out.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final

from outrider.config.limit_settings import Limits
from outrider.core.errors import OverloadError
from outrider.server.events import EdgeEvents, ShedCause, Threshold
from outrider.server.pressure import Level, Pressure

_BUSY: Final = "too many exchanges are in flight"


class BufferBudget:
    """Room for the bodies held in memory together, in bytes. Taken before anything is read."""

    def __init__(self, *, limit_bytes: int, events: EdgeEvents) -> None:
        self._limit_bytes = limit_bytes
        self._events = events
        self.held = 0

    def take(self, count: int) -> None:
        """Raises `OverloadError` where there is no room."""
        if self.held + count > self._limit_bytes:
            self._events.shed(ShedCause.BUFFERED_BYTES, Threshold.SOFT)
            raise OverloadError("too many bytes of bodies are held", cause="buffered_bytes")
        self.held += count
        self._events.buffered_bytes(self.held)

    def resize(self, limit_bytes: int) -> None:
        """Another bound from now on; what is held stays held."""
        self._limit_bytes = limit_bytes

    def give_back(self, count: int) -> None:
        self.held -= count
        self._events.buffered_bytes(self.held)


class Turnstile:
    """At most `limit` inside; at most `queue` wait, first come first served, `wait_s` each."""

    def __init__(self, *, limit: int, queue: int, wait_s: float) -> None:
        self._limit = limit
        self._queue = queue
        self._wait_s = wait_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    async def enter(self) -> None:
        """Raises `OverloadError` where the queue is full or the wait too long."""
        if self.inside < self._limit and not self._waiting:
            self.inside += 1
            return
        if len(self._waiting) >= self._queue:
            raise OverloadError(_BUSY, cause="queue")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except TimeoutError as error:
            self._forget(turn)
            raise OverloadError(_BUSY, cause="wait") from error
        except BaseException:
            self._forget(turn)
            raise

    def leave(self) -> None:
        self.inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.inside < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.inside += 1
                turn.set_result(None)

    def _forget(self, turn: asyncio.Future[None]) -> None:
        # a turn given in the moment of giving up is passed on
        if turn.done() and not turn.cancelled():
            self.leave()
        elif turn in self._waiting:
            self._waiting.remove(turn)


class FairSlots:
    """`core.ports.Slots`: shares by agent and upstream under one cap for the sidecar."""

    def __init__(
        self, *, limits: Limits, events: EdgeEvents, pressure: Pressure | None = None
    ) -> None:
        self._limits = limits
        self._events = events
        self._pressure = pressure
        self._agents: dict[str, int] = {}  # not a Counter: it counts in Python
        self._upstreams: dict[str, int] = {}
        self._waiting: deque[_Place] = deque()
        self.in_flight = 0

    def acquire(self, agent: str, upstream: str) -> "_Place":
        """A context manager; entering raises `OverloadError` where none comes free in time."""
        return _Place(self, agent, upstream)

    def resize(self, limits: Limits) -> None:
        """Other bounds from now on: who is inside stays, who waits may come in by them."""
        self._limits = limits
        self._admit()

    def ratio(self) -> float:
        return self.in_flight / self._limits.in_flight

    async def enter(self, agent: str, upstream: str) -> Callable[[], None]:
        """A place; calling the result gives it back. Raises `OverloadError`."""
        place = _Place(self, agent, upstream)
        if not self._take_free(place):
            await self._wait(place)
        return place.leave

    async def take(self, place: "_Place") -> None:
        if not self._take_free(place):
            await self._wait(place)

    def _take_free(self, place: "_Place") -> bool:
        """A place at once, where nobody waits and one is free. Raises `OverloadError`."""
        self._check_pressure()
        if self._waiting or not self._fits(place):
            return False
        self._take(place)
        return True

    async def _wait(self, place: "_Place") -> None:
        if len(self._waiting) >= self._limits.wait_queue:
            raise self._overload("queue")
        place.turn = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()  # those ahead may wait for another agent's share
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await place.turn
        except TimeoutError as error:
            self._forget(place)
            raise self._overload("wait") from error
        except BaseException:
            self._forget(place)
            raise

    def leave(self, place: "_Place") -> None:
        self.in_flight -= 1
        _subtract(self._agents, place.agent)
        _subtract(self._upstreams, place.upstream)
        if self._waiting:
            self._admit()

    def _check_pressure(self) -> None:
        pressure = self._pressure
        if pressure is not None and pressure.level >= Level.SOFT:
            self._events.shed(pressure.cause, Threshold.SOFT)
            raise OverloadError("the sidecar is under pressure", cause=pressure.cause.value)

    def _overload(self, cause: str) -> OverloadError:
        self._events.shed(ShedCause.IN_FLIGHT, Threshold.SOFT)
        return OverloadError(_BUSY, cause=cause)

    def _fits(self, place: "_Place") -> bool:
        limits = self._limits
        return (
            self._agents.get(place.agent, 0) < limits.agent_in_flight
            and self._upstreams.get(place.upstream, 0) < limits.upstream_in_flight
            and self.in_flight < limits.in_flight
        )

    def _take(self, place: "_Place") -> None:
        agents, upstreams = self._agents, self._upstreams
        self.in_flight += 1
        agents[place.agent] = agents.get(place.agent, 0) + 1
        upstreams[place.upstream] = upstreams.get(place.upstream, 0) + 1

    def _admit(self) -> None:
        for place in list(self._waiting):
            if place.turn is not None and not place.turn.done() and self._fits(place):
                self._waiting.remove(place)
                self._take(place)
                place.turn.set_result(None)

    def _forget(self, place: "_Place") -> None:
        if place in self._waiting:
            self._waiting.remove(place)
        elif place.turn is not None and place.turn.done() and not place.turn.cancelled():
            self.leave(place)  # the turn came in the moment of giving up


def _subtract(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]  # names come and go; the books stay small


class _Place:
    __slots__ = ("_slots", "agent", "turn", "upstream")

    def __init__(self, slots: FairSlots, agent: str, upstream: str) -> None:
        self._slots = slots
        self.agent = agent
        self.upstream = upstream
        self.turn: asyncio.Future[None] | None = None

    def leave(self) -> None:
        self._slots.leave(self)

    async def __aenter__(self) -> None:
        await self._slots.take(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._slots.leave(self)
