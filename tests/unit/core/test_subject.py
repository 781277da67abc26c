"""Who asks, as proven: a value, whatever stands behind its proof."""

import dataclasses

import pytest

from tests.support.builders import a_subject


def test_a_subject_is_its_facts_and_not_the_proof_s_life() -> None:
    one, other = a_subject(), a_subject(still=lambda: False)
    assert one == other
    assert len({one, other}) == 1


@pytest.mark.parametrize("change", [{"id": "spiffe://acme.test/other"}, {"instance": "pod:2"}])
def test_another_agent_or_instance_is_another_subject(change: dict[str, str]) -> None:
    assert a_subject(**change) != a_subject()


def test_nobody_changes_who_asks() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_subject().id = "spiffe://acme.test/other"  # type: ignore[misc]
