"""What the books tell of an action stays as it was told."""

import dataclasses

import pytest

from outrider.core.facts import NOTHING_KNOWN, Answered, Facts


def test_facts_cannot_be_changed_once_told() -> None:
    facts = Facts(behaviour={"flags": {}})
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.incomplete = True  # type: ignore[misc]


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    assert NOTHING_KNOWN.provenance == {}
    assert NOTHING_KNOWN.budget is None
    assert NOTHING_KNOWN.first_seen == frozenset()


def test_an_answer_is_whole_unless_said_otherwise() -> None:
    assert Answered(action=0).whole
