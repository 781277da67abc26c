"""The operations on tasks: what each reads, what it changes, what it says."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from outrider.control.api import Call
from outrider.control.tasks import OPERATOR, WIDENING, TaskOperations
from outrider.core.decision import ReasonEntry
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.registration import Caller
from outrider.core.vocabulary import Effect, Reason, TaskEnd, TaskState
from outrider.tasks.lifecycle import LifecycleError, WideningError, ended
from outrider.tasks.registering import NotRegisteredError
from outrider.tasks.shelf import UnknownTaskError
from outrider.tasks.task import Task
from tests.support.builders import NOW_UNIX_S, a_decision
from tests.support.tasks import ID, a_registered_task


@dataclass
class Desk:
    """One task, and what was done to it."""

    task: Task = field(default_factory=a_registered_task)
    done: list[Any] = field(default_factory=list)
    fault: Exception | None = None
    budget: JsonObject | None = None

    def _of(self, name: str) -> Task:
        if self.fault is not None:
            raise self.fault
        if name != ID:
            raise UnknownTaskError
        return self.task

    async def find(self, name: str) -> Task:
        return self._of(name)

    async def narrow(self, name: str, ask: JsonObject, *, by: str) -> Task:
        self.done.append(("narrow", ask, by))
        return replace(self._of(name), grant_revision=2)

    async def suspend(self, name: str, *, on: bool, by: str) -> Task:
        self.done.append(("suspend", on, by))
        return self._of(name)

    async def end(self, name: str, end: TaskEnd, *, by: str) -> Task:
        self.done.append(("end", end, by))
        return ended(self._of(name), end, by=by, now_unix_s=NOW_UNIX_S)

    async def register(self, body: Json, caller: Caller) -> Task:
        self.done.append(("register", body, caller))
        return self._of(ID)

    async def listed(self) -> tuple[Task, ...]:
        return (self.task,)

    async def used(self, task: Task) -> JsonObject | None:
        return self.budget

    async def asks(self, method: str, path: str, body: Json = None, name: str = ID) -> Any:
        operations = TaskOperations(
            tasks=self,
            register=self.register,
            token=lambda task: "a.b.c",
            listed=self.listed,
            used=self.used,
        )
        (run,) = [
            one.run for one in operations.endpoints() if (one.method, one.path) == (method, path)
        ]
        response = await run(Call(query={}, body=body, headers={}, name=name))
        return response.status, orjson.loads(response.body)


ONE = "/v1/tasks/{id}"


async def test_a_task_is_registered_by_the_operator_and_given_its_token() -> None:
    desk = Desk()
    status, said = await desk.asks("POST", "/v1/tasks", {"purpose": "x"})
    assert (status, said["id"], said["token"], said["state"]) == (201, ID, "a.b.c", "active")
    assert desk.done == [("register", {"purpose": "x"}, OPERATOR)]


@pytest.mark.parametrize(
    ("decision", "status", "reason"),
    [
        pytest.param(
            a_decision(
                Effect.HOLD,
                reasons=(
                    ReasonEntry(code="TS-05", message="too much"),
                    ReasonEntry(code="SQ-01", mode="shadow"),
                ),
            ),
            409,
            "held",
            id="held",
        ),
        pytest.param(a_decision(Effect.DENY), 403, "policy", id="denied"),
    ],
)
async def test_a_refused_registration_says_why(decision: Any, status: int, reason: str) -> None:
    desk = Desk(fault=NotRegisteredError(decision))
    answered, said = await desk.asks("POST", "/v1/tasks", {"purpose": "x"})
    assert (answered, said["reason"], said["decision_id"]) == (status, reason, "dec_1")
    codes = [one["code"] for one in said["reasons"]]
    assert codes == (["TS-05"] if reason == "held" else [])


async def test_tasks_are_listed_and_shown() -> None:
    status, said = await Desk().asks("GET", "/v1/tasks")
    assert (status, [one["id"] for one in said["tasks"]]) == (200, [ID])
    status, said = await Desk().asks("GET", ONE)
    assert (status, said["purpose"], "token" in said) == (200, "triage ticket 4711", False)
    status, said = await Desk().asks("GET", f"{ONE}/events")
    assert (status, said) == (200, {"events": []})


async def test_a_task_is_shown_with_what_it_used_of_its_limits() -> None:
    budget: JsonObject = {"calls": {"used": 2, "limit": 20}}
    _, said = await Desk(budget=budget).asks("GET", ONE)
    assert said["budget"] == budget


async def test_a_task_nobody_knows_is_not_there() -> None:
    for method, path in (("GET", ONE), ("GET", f"{ONE}/events"), ("POST", f"{ONE}/end")):
        with pytest.raises(UnknownTaskError):
            await Desk().asks(method, path, name="tsk_9")


async def test_a_task_is_narrowed_suspended_and_resumed() -> None:
    desk = Desk()
    status, said = await desk.asks("PATCH", ONE, {"grant": {"effects": ["read"]}})
    assert (status, said["grant_revision"]) == (200, 2)
    await desk.asks("PATCH", ONE, {"state": "suspended"})
    await desk.asks("PATCH", ONE, {"state": "active"})
    assert desk.done == [
        ("narrow", {"effects": ["read"]}, OPERATOR.id),
        ("suspend", True, OPERATOR.id),
        ("suspend", False, OPERATOR.id),
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(WideningError("x"), {"error": WIDENING, "reason": "held"}, id="wider"),
        pytest.param(LifecycleError("the task is ended"), {"error": "the task is ended"}, id="end"),
    ],
)
async def test_what_a_task_cannot_become_is_a_conflict(fault: Exception, said: Any) -> None:
    status, answered = await Desk(fault=fault).asks("PATCH", ONE, {"grant": {"tools": ["*"]}})
    assert (status, answered) == (409, said)


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"grant": []},
        {"state": "ended"},
        {"state": "proposed"},
        {"grant": {}, "state": "active"},
        {"purpose": "another"},
    ],
)
async def test_a_change_that_is_none_is_refused(body: Any) -> None:
    desk = Desk()
    with pytest.raises(ConfigError, match=r"give \{grant\}"):
        await desk.asks("PATCH", ONE, body)
    assert desk.done == []


async def test_a_task_is_ended_completed_or_cancelled_and_nothing_else() -> None:
    desk = Desk()
    status, said = await desk.asks("POST", f"{ONE}/end")
    assert (status, said["end"], said["state"]) == (200, "completed", TaskState.ENDED.value)
    assert (await desk.asks("POST", f"{ONE}/end", {"end": "cancelled"}))[1]["end"] == "cancelled"
    for body in ({"end": "quarantined"}, {"end": 1}, {"end": "completed", "why": "x"}):
        with pytest.raises(ConfigError, match=r"give \{end\}"):
            await desk.asks("POST", f"{ONE}/end", body)
    assert len(desk.done) == 2


def test_the_operator_is_no_agent() -> None:
    assert (OPERATOR.id, OPERATOR.type) == ("control:operator", "service")
    assert Reason.HELD.value == "held"
