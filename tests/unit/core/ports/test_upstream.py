"""Ports of the way out are small; nobody is proven, and nothing carried, that does not say so."""

from typing import Any

from outrider.core.ports import carried_of, duplex_of, proven_of, upstream
from tests.support.builders import a_tls_peer
from tests.support.ports import breaches


class Silent:
    """An answer by a connection that proved nobody and is no tunnel; a body that is none."""


class Proven:
    peer = a_tls_peer()
    carried_bytes = 7


class Joined:
    def join(self) -> None: ...


def test_the_ports_keep_the_law():
    assert breaches(upstream) == []


def test_an_answer_proves_nobody_and_carried_nothing_unless_it_says_so():
    silent: Any = Silent()
    assert proven_of(silent) is None
    assert carried_of(silent) is None
    proven: Any = Proven()
    assert proven_of(proven) is Proven.peer
    assert carried_of(proven) == 7


def test_a_body_is_a_tunnel_only_where_it_can_be_joined():
    silent: Any = Silent()
    assert duplex_of(silent) is None
    joined: Any = Joined()
    assert duplex_of(joined) is joined
