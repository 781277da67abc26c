"""What an action is to the books."""

from typing import Any

import pytest

from outrider.core.jsonvalue import Json
from outrider.core.vocabulary import ActionEffect, Phase, Role
from outrider.tasks.behaviour.acts import UNKNOWN_HOST, Act, amount_of, kept_host, values_of
from outrider.tasks.provenance.answers import Looked
from tests.support.builders import a_destination, an_action, an_ask


def an_act(objects: dict[str, str] | None = None, **changes: Any) -> Act:
    looked = Looked(entries={}, incomplete=False, objects=objects or {})
    return Act(an_action(**changes), looked)


def a_payment(amount: Json) -> Any:
    return an_action(ask=an_ask(arguments={"amount": amount}), roles=(("/amount", Role.AMOUNT),))


@pytest.mark.parametrize(
    ("ask", "counted"),
    [
        pytest.param({}, True, id="call"),
        pytest.param({"plumbing": True}, False, id="ping"),
        pytest.param({"phase": Phase.LIST}, False, id="list"),
    ],
)
def test_plumbing_and_lists_are_no_acts(ask: dict[str, Any], counted: bool) -> None:
    assert an_act(ask=an_ask(**ask)).counted is counted


def test_the_same_call_has_the_same_pattern_whatever_the_order_of_its_arguments() -> None:
    one = an_act(ask=an_ask(arguments={"a": 1, "b": 2}))
    other = an_act(ask=an_ask(arguments={"b": 2, "a": 1}))
    assert one.pattern == other.pattern


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ask": an_ask(arguments={"ticket_id": "t-18"})}, id="arguments"),
        pytest.param({"ask": an_ask(resource="get_tickets")}, id="tool"),
        pytest.param({"effect": ActionEffect.WRITE}, id="effect"),
    ],
)
def test_another_call_has_another_pattern(changes: dict[str, Any]) -> None:
    assert an_act(**changes).pattern != an_act().pattern


def test_a_long_tool_name_has_a_pattern_too() -> None:
    assert len(an_act(ask=an_ask(resource="x" * 500)).pattern) == 8


def test_arguments_without_a_json_form_have_a_size() -> None:
    assert an_act(ask=an_ask(arguments={"n": 2**70})).sent > 0


def test_places_that_are_not_internal_are_outside() -> None:
    act = an_act(
        effect=ActionEffect.SEND,
        destinations=(a_destination(), a_destination("b.test", zone="partner")),
    )
    assert (act.hosts, act.external, act.outward) == (["crm.internal", "b.test"], ["b.test"], True)


def test_what_only_reads_outside_sends_nothing_there() -> None:
    assert an_act(destinations=(a_destination("b.test", zone="external"),)).outward is False


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        pytest.param("b.test", "b.test", id="short"),
        pytest.param(None, UNKNOWN_HOST, id="unreadable"),
    ],
)
def test_hosts_are_kept_by_name(host: str | None, kept: str) -> None:
    assert kept_host(host) == kept


def test_a_long_host_is_kept_by_its_digest() -> None:
    assert len(kept_host("h" * 200)) == 20


def test_an_aim_is_effect_destination_and_target_but_not_what_selects() -> None:
    roles = (("/to", Role.DESTINATION), ("/id", Role.TARGET), ("/q", Role.SELECTOR))
    objects = {"/to": "d1", "/id/0": "d2", "/q": "d3"}
    one = an_act(objects, roles=roles)
    assert one.aim == an_act({**objects, "/q": "d9"}, roles=roles).aim
    assert one.aim != an_act({**objects, "/to": "d9"}, roles=roles).aim
    assert one.aim != an_act(objects, roles=roles, effect=ActionEffect.WRITE).aim
    assert an_act({"/q": "d3"}, roles=roles).aim is None


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        pytest.param(10, 10_000_000, id="whole"),
        pytest.param(0.1, 100_000, id="a-tenth"),
        pytest.param("12.50", 12_500_000, id="text"),
        pytest.param([1, 2], 3_000_000, id="several"),
        pytest.param(0.0000001, 1, id="rounded-up"),
        pytest.param(None, 0, id="none"),
        pytest.param(-1, None, id="negative"),
        pytest.param("ten", None, id="words"),
        pytest.param(True, None, id="a-truth-value"),
        pytest.param("1e30", None, id="beyond-counting"),
        pytest.param("NaN", None, id="no-number"),
    ],
)
def test_amounts_are_read_exactly_or_not_at_all(amount: Json, micros: int | None) -> None:
    assert amount_of(a_payment(amount)) == micros


def test_arguments_that_are_not_read_name_nothing() -> None:
    action = an_action(ask=an_ask(arguments=None), roles=(("/to", Role.DESTINATION),))
    assert values_of(action, Role.DESTINATION) == []
