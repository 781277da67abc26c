"""Ports of tasks and their books are small."""

from outrider.core.ports import tasks
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(tasks) == []
