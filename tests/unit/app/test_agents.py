from typing import Any

import pytest

from outrider.app.agents import Agents
from outrider.core.errors import EnforcementError
from outrider.core.vocabulary import Direction
from outrider.pipeline.live import LiveExchanges
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.tasks.quarantine import QuarantineList
from tests.support.builders import FixedClock, a_subject
from tests.support.policy import ALLOW_ALL, TRIAGE, a_policy, a_release

ONE, TWO, NEW = (f"spiffe://a.test/{name}" for name in ("one", "two", "new"))


def told(**agents: Any) -> tuple[Agents, QuarantineList, FixedClock]:
    clock, quarantine = FixedClock(), QuarantineList()
    agents_ = Agents(clock=clock, quarantine=quarantine, live=LiveExchanges())
    release = a_release(
        ALLOW_ALL, {"agents": {f"spiffe://a.test/{k}": v for k, v in agents.items()}}
    )
    snapshot = EmbeddedSnapshot(release=release, clock=clock)
    agents_.policy_changed(a_policy(snapshot, agents=release.agents))
    return agents_, quarantine, clock


def test_seen_and_declared_stand_side_by_side_with_what_to_look_at() -> None:
    agents, _, _ = told(
        one=TRIAGE | {"review_by": "2026-11-20"}, two=TRIAGE | {"status": "offboarded"}
    )
    for name in (TWO, NEW):
        agents.seen.note(a_subject(id=name), Direction.EGRESS)
    rows: Any = agents.document()["agents"]
    assert [(row["id"], row["declared"], row["marks"]) for row in rows] == [
        (ONE, True, ["overdue"]),
        (TWO, True, ["offboarded"]),
        (NEW, False, ["unknown"]),
    ]
    assert (rows[0]["seen"], rows[0]["owner"], rows[0]["overdue_s"]) == (
        None,
        "team-support",
        2 * 86_400 + 9.5 * 3600,
    )
    assert rows[2]["seen"]["exchanges"] == 1
    assert rows[2]["owner"] is None


@pytest.mark.control("ID-03")
def test_who_is_not_active_is_refused_with_the_policy_that_says_so() -> None:
    _, quarantine, _ = told(one=TRIAGE, two=TRIAGE | {"status": "quarantined"})
    quarantine.check(agent=ONE)
    with pytest.raises(EnforcementError):
        quarantine.check(agent=TWO)


@pytest.mark.control("GV-05")
def test_our_own_review_is_told_in_seconds() -> None:
    agents, _, clock = told(one=TRIAGE | {"review_by": "2026-11-23"}, two=TRIAGE)
    assert [agents.overdue_s(name) for name in (ONE, TWO, NEW, None)] == [0, 0, 0, 0]
    clock.pass_s(86_400)
    assert agents.overdue_s(ONE) == 9.5 * 3600
