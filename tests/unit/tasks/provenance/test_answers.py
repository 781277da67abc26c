"""What the index says, frozen: nobody behind it can change it."""

from dataclasses import FrozenInstanceError

import pytest

from outrider.tasks.provenance.answers import Learnt, Looked


def test_answers_are_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Learnt(untrusted=True).untrusted = False  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Looked(entries={}, incomplete=True).incomplete = False  # type: ignore[misc]


def test_what_is_not_said_is_nothing() -> None:
    assert Learnt(untrusted=False).secrets == ()
    assert Looked(entries={}, incomplete=False).objects == {}
