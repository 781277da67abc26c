"""Settings of telemetry send nothing anywhere unless they say so."""

from outrider.config.telemetry_settings import Telemetry, Tracing


def test_nothing_is_traced_or_sent_plain_unless_said():
    tracing = Tracing()
    assert (tracing.endpoint, tracing.allow_plain) == (None, False)
    assert (tracing.ratio, tracing.callers_per_s) == (0.01, 10)


def test_changes_of_state_are_logged_and_exchanges_are_not():
    telemetry = Telemetry()
    assert (telemetry.log_level, telemetry.log_sample) == ("INFO", 0)
    assert telemetry.max_series == 5000
