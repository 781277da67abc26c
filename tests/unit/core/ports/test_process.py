"""Ports of what the process gives are small."""

from outrider.core.ports import process
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(process) == []
