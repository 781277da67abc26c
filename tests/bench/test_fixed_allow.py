import asyncio

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.vocabulary import Effect
from outrider.policy.release import load
from outrider.policy.result import Source, decide
from tests.bench.fixed_allow import FixedAllowEngine
from tests.bench.policy_data import LIBRARY


async def test_its_answer_is_a_plain_allow_to_the_strict_reader():
    release = await asyncio.to_thread(load, LIBRARY, (), hosts={}, complete=False)
    snapshot = await FixedAllowEngine().activate(release)
    raw = await snapshot.evaluate("data.outrider.decision", b"{}", 1.0, None)
    expected = frozenset({release.revision})
    source = Source(engine="fixed-allow", revision=release.revision, expected=expected)
    assert decide(raw, id="x", source=source).effect is Effect.ALLOW


def test_before_a_release_it_allows_nothing():
    with pytest.raises(EnforcementError):
        FixedAllowEngine().snapshot()
