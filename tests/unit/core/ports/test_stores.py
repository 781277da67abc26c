"""Ports of stores are small; what stands for many keys is spelt as ever."""

from outrider.core.ports import MANY_KEYS, stores
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(stores) == []


def test_what_stands_for_many_keys_is_a_star():
    assert MANY_KEYS == "*"
