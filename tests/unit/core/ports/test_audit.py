"""The port of the chain is small."""

from outrider.core.ports import audit
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(audit) == []
