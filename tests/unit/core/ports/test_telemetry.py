"""Ports of what is counted and traced are small."""

from outrider.core.ports import telemetry
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(telemetry) == []
