"""When an engine has failed so often that asking it again only costs time.

Laws: an open breaker denies; failures count in a row; while open one question at a time may try.
What counts is silence and absence, never an evaluation error: a caller's input could cause those.
"""

from typing import Final

from outrider.core.ports import Clock

FAILURES: Final = 5
OPEN_S: Final = 5.0


class EngineBreaker:
    """Opens after five failures in a row, for five seconds at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until_s: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._open_until_s is not None

    def admits(self) -> bool:
        """Whether a question may be asked. Where one may probe, the others wait for its end."""
        if self._open_until_s is None:
            return True
        if self._probing or self._clock.monotonic_s() < self._open_until_s:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._open_until_s = None
        self._probing = False

    def failed(self) -> None:
        self._probing = False
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_until_s = self._clock.monotonic_s() + OPEN_S

    def left(self) -> None:
        """A question ended without an answer and without a failure: its caller went away."""
        self._probing = False
