"""How the document changes by answers and ends."""

from typing import Any

import pytest

from outrider.core.vocabulary import ActionEffect, Label, OutcomeStatus, Role, Sensitivity
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.counting import Counted, count_in
from outrider.tasks.behaviour.document import (
    EXTERNAL,
    RING,
    SENSITIVE,
    UNTRUSTED,
    TaskDocument,
)
from outrider.tasks.behaviour.outcomes import finish, hear, learn
from outrider.tasks.provenance.answers import Learnt, Looked
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
    ("act", "learnt", "flags", "highest"),
    [
        pytest.param(an_act(), Learnt(untrusted=True), UNTRUSTED, 1, id="untrusted"),
        pytest.param(an_act(), Learnt(untrusted=False), 0, 1, id="clean"),
        pytest.param(
            an_act(sensitivity=Sensitivity.CONFIDENTIAL),
            Learnt(untrusted=False),
            SENSITIVE,
            2,
            id="confidential-tool",
        ),
        pytest.param(
            an_act(),
            Learnt(untrusted=False, sensitivity=Sensitivity.SECRET),
            SENSITIVE,
            3,
            id="secret-field",
        ),
        pytest.param(
            an_act(effect=ActionEffect.SEND, sensitivity=Sensitivity.CONFIDENTIAL),
            Learnt(untrusted=False),
            0,
            -1,
            id="a-send-reads-nothing",
        ),
        pytest.param(
            an_act(effect=ActionEffect.SEND, destinations=(a_destination("b.test", zone="ext"),)),
            Learnt(untrusted=False),
            EXTERNAL,
            -1,
            id="answered-from-outside",
        ),
    ],
)
def test_answers_set_flags(act: Act, learnt: Learnt, flags: int, highest: int) -> None:
    document = a_document()
    number = count(document, act).events[0]
    assert learn(document, act, number, learnt, size=1, raised=-1) == flags
    assert (document.flags, document.highest) == (flags, highest)
    assert learn(document, act, number, learnt, size=1, raised=-1) == 0


def test_policy_may_raise_what_an_answer_is() -> None:
    document, act = a_document(), an_act()
    fresh = learn(document, act, 1, Learnt(untrusted=False), size=1, raised=3)
    assert (fresh, document.highest) == (SENSITIVE, 3)


def test_an_event_gets_the_labels_of_its_answer() -> None:
    document, act = a_document(), an_act()
    number = count(document, act).events[0]
    learnt = Learnt(untrusted=True, labels=(Label.RECORD, Label.UNTRUSTED))
    learn(document, act, number, learnt, size=1, raised=2)
    told: Any = count(document, act).behaviours[0]
    event = told["recent"][0]
    assert (event["labels"], event["sensitivity"]) == (["record", "untrusted"], "confidential")


@pytest.mark.parametrize(
    ("status", "word", "outside"),
    [
        pytest.param(OutcomeStatus.EXECUTED, "ok", True, id="executed"),
        pytest.param(OutcomeStatus.UNKNOWN, "unknown", True, id="unknown"),
        pytest.param(OutcomeStatus.FAILED, "failed", False, id="failed"),
        pytest.param(OutcomeStatus.REFUSED, "refused", False, id="refused"),
        pytest.param(OutcomeStatus.CANCELLED, "cancelled", False, id="cancelled"),
    ],
)
def test_an_end_is_told_in_one_word(status: OutcomeStatus, word: str, outside: bool) -> None:
    document = a_document()
    act = an_act(effect=ActionEffect.SEND, destinations=(a_destination("b.test", zone="ext"),))
    finish(document, [act], count(document, act), status, 5)
    told: Any = count(document, an_act()).behaviours[0]
    assert told["recent"][0]["outcome"] == word
    assert told["flags"]["external_send"] is outside
    assert told["signals"]["bytes_read"] == 5


def test_plumbing_counts_as_a_call_and_its_answer_as_an_answer() -> None:
    document = a_document()
    ping = Act(an_action(ask=an_ask(plumbing=True)), Looked(entries={}, incomplete=False))
    counted = count(document, ping)
    learn(document, ping, 0, Learnt(untrusted=True), size=1, raised=-1)
    finish(document, [ping], counted, OutcomeStatus.EXECUTED, 0)
    assert (document.calls[0], document.events, document.hosts) == (1, 0, {})
    assert document.flags == UNTRUSTED


def test_the_ring_is_bounded() -> None:
    document = a_document()
    for number in range(50):
        count(document, an_act(str(number)))
        hear(document, 0)
    assert len(document.ring) == RING
