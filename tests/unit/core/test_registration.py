"""What policy is asked of a registration cannot be changed once it was asked."""

import dataclasses

import pytest

from outrider.core.registration import Caller, Registration


def test_a_registration_stays_as_it_was_asked() -> None:
    asked = Registration(caller=Caller(id="x", type="service"), agent="y", arguments={})
    assert asked.parent is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        asked.agent = "z"  # type: ignore[misc]
