"""Ports of who asks are small."""

from outrider.core.ports import identity
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(identity) == []
