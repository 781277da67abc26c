import pytest

from outrider.core.vocabulary import (
    CLASS_OF,
    ActionEffect,
    ResourceType,
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


URI = "https://a.example/collect?k=hunter2"


def test_a_uri_is_shown_by_its_origin_and_a_digest() -> None:
    ask = an_ask(resource_type=ResourceType.RESOURCE, resource=URI, hosts=("a.example",))
    assert ask.resource_id == f"crm/{URI}"
    shown, _, digest = ask.shown_id.partition("#")
    assert (shown, len(digest)) == ("crm/https://a.example", 32)
    other = an_ask(resource_type=ResourceType.RESOURCE, resource=URI + "x", hosts=("a.example",))
    assert other.shown_id != ask.shown_id


def test_a_uri_that_reaches_no_network_shows_its_scheme_alone() -> None:
    ask = an_ask(resource_type=ResourceType.RESOURCE, resource="memo://hunter2/hunter2")
    assert ask.shown_id.startswith("crm/memo:#")
    assert "hunter2" not in ask.shown_id


def test_a_tool_is_shown_by_its_name() -> None:
    assert an_ask().shown_id == "crm/get_ticket"
