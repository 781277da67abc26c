"""Ports of what decides are small, and an answer says no more of itself than its engine did."""

from outrider.core.ports import Meta, policy
from tests.support.ports import breaches


def test_the_ports_keep_the_law():
    assert breaches(policy) == []


def test_an_answer_says_nothing_of_itself_unless_the_engine_does():
    meta = Meta()
    assert (meta.decision_id, meta.revision, meta.rules, meta.eval_us) == (None, None, (), 0)
