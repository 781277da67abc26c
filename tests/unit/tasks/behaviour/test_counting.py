"""How the document changes."""

from typing import Any

import pytest

from outrider.core.vocabulary import ActionEffect, Effect, Role
from outrider.tasks.behaviour import counting
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.counting import Counted, count_in, refuse, undo
from outrider.tasks.behaviour.document import (
    DENIED_AIMS,
    DENIED_TOOLS,
    SATURATED,
    SECRETS,
    TaskCodec,
    TaskDocument,
)
from outrider.tasks.provenance.answers import Looked
from tests.support.builders import a_destination, an_action, an_ask

ROLES = (("/to", Role.DESTINATION),)


def an_act(aim: str = "", secrets: tuple[str, ...] = (), tool: str = "mail", **changes: Any) -> Act:
    action = an_action(ask=an_ask(resource=tool, arguments={"to": aim}), roles=ROLES, **changes)
    objects = {"/to": aim} if aim else {}
    return Act(action, Looked(entries={}, incomplete=False, secret_ids=secrets, objects=objects))


def a_document() -> TaskDocument:
    return TaskDocument("ab" * 32)


def count(document: TaskDocument, *acts: Act, ms: int = 1_000_000, under: str = "t") -> Counted:
    return count_in(document, list(acts), [{} for _ in acts], ms, under)


def signals(counted: Counted) -> Any:
    return counted.behaviours[-1]["signals"]


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(an_act(), id="plain"),
        pytest.param(an_act("a"), id="aimed"),
        pytest.param(an_act("a", ("s1", "s2")), id="with-secrets"),
        pytest.param(an_act("a", tags=("encode", "log")), id="tagged"),
        pytest.param(an_act("a", effect=ActionEffect.DELETE), id="delete"),
        pytest.param(
            an_act(effect=ActionEffect.SEND, destinations=(a_destination("b.test", zone="ext"),)),
            id="outward",
        ),
    ],
)
def test_a_hold_leaves_no_more_than_its_event(act: Act) -> None:
    document, untouched = a_document(), a_document()
    refuse(document, [act], count(document, act), Effect.HOLD, judged=False)
    told = TaskCodec().encode(document)
    document.ring, document.events, document.totals = [], 0, {}
    for window in ("calls", "deletes"):
        assert getattr(document, window)[0] == 0
        setattr(document, window, [0])
    assert TaskCodec().encode(document) == TaskCodec().encode(untouched)
    assert b'"held"' in told


def test_a_denied_repeat_is_one_still() -> None:
    document, act = a_document(), an_act()
    for _ in range(4):
        refuse(document, [act], count(document, act), Effect.DENY, judged=True)
    behaviour: Any = count(document, act).behaviours[0]
    assert behaviour["repeats"]["same_action_60s"] == 5


def test_a_fault_of_ours_is_no_denial_of_the_agents() -> None:
    document, act = a_document(), an_act("a")
    refuse(document, [act], count(document, act), Effect.DENY, judged=False)
    assert (document.denials, document.denied, document.aims) == ([0], {}, {})


def test_a_guard_that_was_to_be_changed_is_remembered() -> None:
    document = a_document()
    act = an_act(effect=ActionEffect.WRITE, tags=("guard",))
    refuse(document, [act], count(document, act), Effect.DENY, judged=True)
    assert document.tags["guard"][1] == 1


@pytest.mark.parametrize("end", ["refused", "executed"])
def test_a_guard_that_is_read_is_not(end: str) -> None:
    document, act = a_document(), an_act(tags=("guard", "log"))
    counted = count(document, act)
    if end == "refused":
        refuse(document, [act], counted, Effect.DENY, judged=True)
    assert "guard" not in document.tags


def test_tags_are_told_of_the_time_before() -> None:
    document = a_document()
    first: Any = count(document, an_act(tags=("list_principals",)), ms=1_000_000)
    second: Any = count(document, an_act(tags=("read_role",)), ms=1_002_500)
    assert first.behaviours[0]["tags"] == {}
    assert second.behaviours[0]["tags"] == {"list_principals": {"age_s": 2.5, "count": 1}}


def test_a_secret_is_counted_by_where_it_goes() -> None:
    document = a_document()
    once = signals(count(document, an_act("a", ("s",))))
    twice = signals(count(document, an_act("a", ("s",))))
    elsewhere = signals(count(document, an_act("a", ("s",), tool="post")))
    assert [one["secret_destinations"] for one in (once, twice, elsewhere)] == [1, 1, 2]


def test_more_secrets_than_are_kept_are_over_any_limit() -> None:
    document = a_document()
    count(document, an_act("a", tuple(f"s{number}" for number in range(SECRETS))))
    assert signals(count(document, an_act("a", ("one-more",))))["secret_destinations"] == SATURATED


def test_more_aims_than_are_kept_make_every_new_one_suspect() -> None:
    document = a_document()
    for number in range(DENIED_AIMS + 1):
        act = an_act(f"a{number}")
        refuse(document, [act], count(document, act), Effect.DENY, judged=True)
    behaviour: Any = count(document, an_act("never-denied", tool="post")).behaviours[0]
    assert behaviour["repeats"]["same_target_after_deny"] is True


def test_denied_tools_are_bounded_and_then_over_any_limit() -> None:
    document = a_document()
    for number in range(DENIED_TOOLS + 5):
        act = an_act(tool=f"t{number}")
        refuse(document, [act], count(document, act), Effect.DENY, judged=True)
    assert len(document.denied) == DENIED_TOOLS
    assert signals(count(document, an_act()))["denied_tools_300s"] == SATURATED


def test_what_was_counted_and_nobody_heard_of_is_undone_once() -> None:
    document, act = a_document(), an_act("a", ("s",))
    count(document, act, under="lost")
    count(document, act, under="kept")
    for _ in range(2):
        undo(document, [act], "lost")
    assert (document.calls[0], document.hosts["crm.internal"][1]) == (1, 1)
    undo(document, [act], "never-made")
    assert document.calls[0] == 1


def test_what_began_in_another_period_takes_nothing_from_this_one() -> None:
    document, act = a_document(), an_act()
    counting.settle_period(document, 5)
    before = count(document, act)
    counting.settle_period(document, 6)
    count(document, act)
    refuse(document, [act], before, Effect.DENY, judged=True)
    assert (document.calls[0], document.denials[0]) == (1, 0)
    counting.settle_period(document, 5)
    assert document.period == 6
