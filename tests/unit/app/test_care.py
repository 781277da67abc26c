"""What policy wants done to a task or its agent is done, recorded and cuts what is under way."""

from dataclasses import dataclass, field

import pytest

from outrider.app.care import PolicyCare
from outrider.core.errors import ConfigError, ObligationError
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import QuarantineObligation
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason, TaskEnd
from outrider.pipeline.live import LiveExchange, LiveExchanges
from outrider.stores.memory import MemoryStates
from outrider.tasks.cut_off import CutOffs
from outrider.tasks.quarantine import QuarantineList
from tests.support.builders import AGENT, FixedClock, a_subject, a_task, an_action, an_ask
from tests.support.pipeline import RecordingAudit

ACTION = an_action(ask=an_ask(upstream="crm", resource="send"))


@dataclass
class Tasks:
    """A registry and standing grants that keep what they were asked."""

    ended: list[tuple[str, TaskEnd]] = field(default_factory=list)
    confined: list[tuple[str, JsonObject]] = field(default_factory=list)
    fault: Exception | None = None

    async def end(self, name: str, end: TaskEnd, *, by: str) -> None:
        self.ended.append((name, end))

    async def confine(self, task: str | BoundTask, ask: JsonObject, *, by: str = "") -> None:
        if self.fault is not None:
            raise self.fault
        self.confined.append((task if isinstance(task, str) else task.id, ask))


@dataclass
class Rig:
    registry: Tasks = field(default_factory=Tasks)
    standing: Tasks = field(default_factory=Tasks)
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    live: LiveExchanges = field(default_factory=LiveExchanges)
    cut: QuarantineList = field(default_factory=QuarantineList)

    def care(self) -> PolicyCare:
        clock = FixedClock()
        states = MemoryStates(clock=clock)
        return PolicyCare(
            registry=self.registry,  # type: ignore[arg-type]
            standing=self.standing,  # type: ignore[arg-type]
            cut_offs=CutOffs(states=states, cut=self.cut, clock=clock),
            live=self.live,
            audit=self.audit,
            clock=clock,
        )

    def under_way(self, **named: object) -> LiveExchange:
        entry = LiveExchange(id=str(len(self.live)), **named)  # type: ignore[arg-type]
        self.live._live[entry.id] = entry
        return entry


@pytest.mark.parametrize("standing", [False, True])
async def test_a_task_is_narrowed_where_its_grant_is_kept(standing: bool) -> None:
    rig = Rig()
    task = a_task(standing=standing)
    await rig.care().narrow(a_subject(), task, {"effects": ["read"]})
    kept, other = (rig.standing, rig.registry) if standing else (rig.registry, rig.standing)
    assert kept.confined == [(task.id, {"effects": ["read"]})]
    assert other.confined == []


async def test_without_a_task_nothing_can_be_narrowed() -> None:
    with pytest.raises(ObligationError):
        await Rig().care().narrow(a_subject(), None, {})


async def test_a_grant_nobody_can_read_narrows_nothing() -> None:
    rig = Rig()
    rig.registry.fault = ConfigError("no grant")
    with pytest.raises(ObligationError):
        await rig.care().narrow(a_subject(), a_task(standing=False), {})


@pytest.mark.parametrize(
    ("scope", "cut", "spared"),
    [
        pytest.param("agent", {"agent": AGENT}, {"agent": AGENT + "x"}, id="agent"),
        pytest.param("tool", {"tools": ("crm/send",)}, {"tools": ("crm/read",)}, id="tool"),
        pytest.param("upstream", {"upstream": "crm"}, {"upstream": "desk"}, id="upstream"),
        pytest.param("task", {"task": "tsk_1"}, {"task": "tsk_2"}, id="task"),
    ],
)
async def test_what_is_quarantined_is_recorded_and_cut(
    scope: str, cut: dict[str, object], spared: dict[str, object]
) -> None:
    rig = Rig()
    ours, others = rig.under_way(**cut), rig.under_way(**spared)
    obligation = QuarantineObligation(scope=scope, reason="SQ-01")
    task = a_task(id="tsk_1", standing=False)
    await rig.care().quarantine(obligation, subject=a_subject(id=AGENT), task=task, action=ACTION)
    assert (ours.cut_for, others.cut_for) == (Reason.QUARANTINED, None)
    (record,) = rig.audit.of("quarantine")
    assert record["quarantine"]["scope"] == scope
    assert record["quarantine"]["reason"] == "SQ-01"
    assert rig.registry.ended == ([("tsk_1", TaskEnd.QUARANTINED)] if scope == "task" else [])


async def test_a_standing_task_is_cut_off_but_not_ended() -> None:
    rig = Rig()
    obligation = QuarantineObligation(scope="task", reason="SQ-01")
    task = a_task(standing=True)
    await rig.care().quarantine(obligation, subject=a_subject(), task=task, action=ACTION)
    assert rig.registry.ended == []
    with pytest.raises(Exception, match="cut off"):
        rig.cut.check(agent="other", task=task.id)


@pytest.mark.parametrize(
    ("scope", "task"),
    [pytest.param("task", None, id="no-task"), pytest.param("planet", a_task(), id="no-scope")],
)
async def test_what_nobody_can_name_is_not_quarantined(scope: str, task: BoundTask | None) -> None:
    rig = Rig()
    obligation = QuarantineObligation(scope=scope, reason="x")
    with pytest.raises(ObligationError):
        await rig.care().quarantine(obligation, subject=a_subject(), task=task, action=ACTION)
    assert rig.audit.records == []
