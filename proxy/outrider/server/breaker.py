"""Stops dialling an upstream that fails, and lets one probe through after a pause."""

from outrider.core.ports import Clock


class Breaker:
    """Opens after `failures` in a row for `open_s`; then one probe decides."""

    def __init__(self, *, clock: Clock, failures: int, open_s: float) -> None:
        self._clock = clock
        self._limit = failures
        self._open_s = open_s
        self._failures = 0
        self._retry_s = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._failures >= self._limit

    def admits(self) -> bool:
        """True where a request may try. While open, true once per pause: the probe."""
        if not self.is_open:
            return True
        if self._probing or self._clock.monotonic_s() < self._retry_s:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._probing = False

    def failed(self) -> None:
        self._failures += 1
        self._probing = False
        if self.is_open:
            self._retry_s = self._clock.monotonic_s() + self._open_s

    def gave_up(self) -> None:
        """The attempt ended without saying anything of the upstream: cancelled, or shed."""
        self._probing = False
