import pytest

from outrider.core.vocabulary import (
    CLASS_OF,
    ActionEffect,
)
from tests.support.builders import (
    an_action,
    an_ask,
)


@pytest.mark.parametrize("effect", list(ActionEffect))
def test_every_effect_has_a_class(effect: ActionEffect) -> None:
    assert an_action(effect=effect).effect_class is CLASS_OF[effect]


def test_a_resource_is_named_with_its_upstream() -> None:
    assert an_action().resource_id == an_ask().resource_id == "crm/get_ticket"
