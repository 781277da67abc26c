"""Engine `embedded`: Rego evaluated in this process by regorus's interpreter (POLICY §4).

Laws: an instance is made and used on one thread, the event loop's; a revision is a new instance,
warmed and then swapped whole; only `eval_rule_as_json` is called; nothing is cancelled, so an
answer that comes late is none; a panic is a `BaseException`, known by its name: the instance is
dropped, the next question makes another. Built-in errors raise: a rule that fails is never false.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson
import regorus

from outrider.core.errors import ConfigError, is_panic
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock, Defined, Failed, Meta, Raw, Undefined
from outrider.core.vocabulary import Reason
from outrider.policy.release import Release
from outrider.policy.result import MAX_RESULT_BYTES

logger = logging.getLogger(__name__)

SLOWEST_FIXTURE_S: Final = 0.010
_UNDEFINED: Final = '"<undefined>"'
_WARMING_S: Final = 0.1


class EmbeddedEngine:
    """Answers from one release; `activate` swaps it whole."""

    name: Final = "embedded"

    def __init__(
        self,
        *,
        clock: Clock,
        entrypoint: str,
        slowest_fixture_s: float = SLOWEST_FIXTURE_S,
        spent_s: Callable[[], float] = time.thread_time,
    ) -> None:
        """`spent_s` counts this thread's own processor time: what a busy machine gives to others
        says nothing of a release."""
        self._clock = clock
        self._spent_s = spent_s
        self._entrypoint = entrypoint
        self._slowest_fixture_s = slowest_fixture_s
        self._current: EmbeddedSnapshot | None = None

    def snapshot(self) -> "EmbeddedSnapshot":
        """The release in force. Raises `ConfigError` where none was activated yet."""
        if self._current is None:
            raise ConfigError("no policy is activated")
        return self._current

    async def activate(self, release: Release) -> "EmbeddedSnapshot":
        """Make `release` the one in force once it has answered its own fixtures in time.

        Raises `ConfigError`; what was in force then stays. To be called on the event loop's thread.
        """
        made = EmbeddedSnapshot(release=release, clock=self._clock)
        self._warm(made, release)
        self._current = made
        return made

    def _warm(self, made: "EmbeddedSnapshot", release: Release) -> None:
        made.probe(self._entrypoint, b"{}")
        nothing: dict[str, JsonObject] = {"an empty input": {}}
        for name, fixture in (release.fixtures or nothing).items():
            query = orjson.dumps(fixture, option=orjson.OPT_SORT_KEYS)
            spent_s = self._quickest_s(made, query)
            if spent_s > self._slowest_fixture_s:
                raise ConfigError(
                    f"policy takes {spent_s * 1000:.1f} ms on {name}; engine embedded cannot be "
                    f"interrupted and takes {self._slowest_fixture_s * 1000:.0f} ms at most"
                )

    def _quickest_s(self, made: "EmbeddedSnapshot", query: bytes) -> float:
        """The quickest of a few answers: on a busy machine any one may lose the processor."""
        quickest_s = self._took_s(made, query)
        whole_s = quickest_s
        while self._slowest_fixture_s < quickest_s and whole_s < _WARMING_S:
            took_s = self._took_s(made, query)
            quickest_s, whole_s = min(quickest_s, took_s), whole_s + took_s
        return quickest_s

    def _took_s(self, made: "EmbeddedSnapshot", query: bytes) -> float:
        before_s = self._spent_s()
        made.probe(self._entrypoint, query)
        return self._spent_s() - before_s


class EmbeddedSnapshot:
    """One release, pinned. Used on the thread that made it."""

    waits: Final = False

    def __init__(self, *, release: Release, clock: Clock) -> None:
        self._release = release
        self._clock = clock
        self._data = orjson.dumps(release.data).decode()
        self._instance: _Instance | None = self._build()
        self.revision: Final = release.revision
        self.expected: Final = frozenset({release.revision})

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        """As the port says; never yields to the loop."""
        started_s = self._clock.monotonic_s()
        if started_s >= deadline_s:
            return Failed(code=Reason.POLICY_TIMEOUT, detail="asked after the deadline")
        try:
            answer = self._ask(entrypoint, query)
        except _EngineFaultError as fault:
            logger.warning(
                "policy failed",
                extra={"event": "policy_failed", "revision": self.revision, "fault": str(fault)},
            )
            return Failed(code=Reason.POLICY_ERROR, detail="the engine failed")
        ended_s = self._clock.monotonic_s()
        if ended_s > deadline_s:
            return Failed(code=Reason.POLICY_TIMEOUT, detail="answered after the deadline")
        return self._read(answer, int((ended_s - started_s) * 1_000_000))

    def probe(self, entrypoint: str, query: bytes) -> None:
        """Ask once. Raises `ConfigError` where there can be no answer at all."""
        try:
            self._ask(entrypoint, query)
        except _EngineFaultError as fault:
            if "not a valid rule path" in str(fault):
                raise ConfigError(f"the entry point {entrypoint} is defined nowhere") from None
            if query != b"{}":
                raise ConfigError(f"policy fails on a fixture of its own: {fault}") from None

    def _read(self, answer: str, eval_us: int) -> Raw:
        meta = Meta(revision=self.revision, eval_us=eval_us)
        if answer == _UNDEFINED:
            return Undefined(meta=meta)
        if len(answer) > MAX_RESULT_BYTES:
            return Failed(code=Reason.POLICY_MALFORMED, detail="the answer is too large")
        try:
            value: Json = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return Failed(code=Reason.POLICY_MALFORMED, detail="the answer is not JSON")
        return Defined(value=value, meta=meta)

    def _ask(self, entrypoint: str, query: bytes) -> str:
        try:
            if self._instance is None:
                self._instance = self._build()
            engine = self._instance.engine
            engine.set_input_json(query.decode())
            answer: str = engine.eval_rule_as_json(entrypoint)
        except RuntimeError as fault:
            raise _EngineFaultError(_first_lines(fault)) from None
        except ConfigError as fault:  # what was dropped after a panic cannot be made again
            raise _EngineFaultError(str(fault)) from None
        except BaseException as fault:
            self._instance = None
            if not is_panic(fault):
                raise
            raise _EngineFaultError("regorus panicked") from None
        return answer

    def _build(self) -> "_Instance":
        made = _Instance()
        try:
            for name, text in self._release.modules.items():
                made.engine.add_policy(name, text)
            made.engine.add_data_json(self._data)
        except RuntimeError as fault:
            raise ConfigError(f"policy does not load: {_first_lines(fault)}") from None
        except BaseException as fault:
            if not is_panic(fault):
                raise
            raise ConfigError("policy does not load: regorus panicked") from None
        return made


class _Instance:
    """A regorus engine with the thread it lives and ends on.

    The garbage collector may run on any thread. What it finds elsewhere is kept until its own
    thread builds the next one: regorus refuses to end on another.
    """

    __slots__ = ("_thread", "engine")

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        _left_behind.pop(self._thread, None)
        self.engine = regorus.Engine()

    def __del__(self) -> None:
        if threading.get_ident() != self._thread:
            _left_behind.setdefault(self._thread, []).append(self.engine)


_left_behind: Final[dict[int, list[regorus.Engine]]] = {}


class _EngineFaultError(Exception):
    """What regorus said, for our log alone: it quotes source."""


def _first_lines(fault: RuntimeError) -> str:
    """A regorus error without its backtrace, on one line."""
    said = str(fault).split("\n\nStack backtrace", 1)[0]
    return " ".join(said.split())[:400]
