import pytest

from outrider.core.clock import SystemClock, rfc3339


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_426_200.25, "2026-11-23T09:30:00.250000Z"),
        (1_795_426_200.0000004, "2026-11-23T09:30:00.000000Z"),
    ],
)
def test_time_is_written_in_utc_with_microseconds(unix_s: float, text: str) -> None:
    assert rfc3339(unix_s) == text


def test_the_system_clock_goes_on() -> None:
    clock = SystemClock()
    assert clock.unix_s() > 1_700_000_000
    assert clock.monotonic_s() <= clock.monotonic_s()
