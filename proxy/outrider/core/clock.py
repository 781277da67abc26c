"""The only reader of the machine's clocks; everything else is handed a `Clock`."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own time: wall for what is shown and sent, monotonic for deadlines."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; comparable only within this process."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Wall time in seconds since the epoch."""
        return time.time()


def rfc3339(unix_s: float) -> str:
    """`unix_s` as RFC 3339 in UTC with whole microseconds and a `Z`."""
    second, micros = divmod(round(unix_s * 1e6), 1_000_000)
    return f"{_second(second)}.{micros:06d}Z"


@lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
