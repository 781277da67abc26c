"""The operations on tasks: register, look, narrow, suspend, end (CONTRACTS §4)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from outrider.control.api import Call, Endpoint, answer, problem
from outrider.control.http import Response
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.registration import Caller
from outrider.core.vocabulary import TaskEnd
from outrider.tasks.lifecycle import LifecycleError, WideningError
from outrider.tasks.registering import NotRegisteredError, reasons_of
from outrider.tasks.showing import events_of, shown
from outrider.tasks.task import Task

OPERATOR: Final = Caller(id="control:operator", type="service")
"""Whoever holds the operator's token, as policy and records name them."""
WIDENING: Final = (
    "the grant that is asked for is not provably narrower: widening it needs a person's approval, "
    "and approvals cannot be asked for yet"
)
_PATH: Final = "/v1/tasks/{id}"
_ENDS: Final = {"completed": TaskEnd.COMPLETED, "cancelled": TaskEnd.CANCELLED}


class Tasks(Protocol):
    """What the API needs of tasks. Each raises `EnforcementError` and `ConfigError`."""

    async def find(self, name: str) -> Task: ...

    async def narrow(self, name: str, ask: JsonObject, *, by: str) -> Task: ...

    async def suspend(self, name: str, *, on: bool, by: str) -> Task: ...

    async def end(self, name: str, end: TaskEnd, *, by: str) -> Task: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOperations:
    """`register` makes a task that serves; `token` the token of one; `listed` all under way; `used`
    what of its limits one used, None where nobody counts."""

    tasks: Tasks
    register: Callable[[Json, Caller], Awaitable[Task]]
    token: Callable[[Task], str]
    listed: Callable[[], Awaitable[tuple[Task, ...]]]
    used: Callable[[Task], Awaitable[JsonObject | None]]

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(method="POST", path="/v1/tasks", run=self._register),
            Endpoint(method="GET", path="/v1/tasks", run=self._list),
            Endpoint(method="GET", path=_PATH, run=self._show),
            Endpoint(method="PATCH", path=_PATH, run=self._change),
            Endpoint(method="POST", path=f"{_PATH}/end", run=self._end),
            Endpoint(method="GET", path=f"{_PATH}/events", run=self._events),
        )

    async def _register(self, call: Call) -> Response:
        try:
            task = await self.register(call.body, OPERATOR)
        except NotRegisteredError as fault:
            said: JsonObject = {
                "error": str(fault),
                "reason": None if fault.decision.reason is None else fault.decision.reason.value,
                "reasons": reasons_of(fault.decision),
                "decision_id": fault.decision.id,
            }
            return answer(said, fault.status or 403)
        token = self.token(task)
        return answer({**shown(task), "token": token}, 201)

    async def _list(self, call: Call) -> Response:
        tasks: list[Json] = [shown(task, whole=False) for task in await self.listed()]
        return answer({"tasks": tasks})

    async def _show(self, call: Call) -> Response:
        task = await self.tasks.find(call.name)
        return answer({**shown(task), "budget": await self.used(task)})

    async def _events(self, call: Call) -> Response:
        return answer({"events": events_of(await self.tasks.find(call.name))})

    async def _change(self, call: Call) -> Response:
        body = as_object(call.body)
        try:
            match body:
                case {"grant": dict(grant)} if len(body) == 1:
                    task = await self.tasks.narrow(call.name, grant, by=OPERATOR.id)
                case {"state": "suspended" | "active" as state} if len(body) == 1:
                    on = state == "suspended"
                    task = await self.tasks.suspend(call.name, on=on, by=OPERATOR.id)
                case _:
                    raise ConfigError("give {grant}, narrower than the task's, or {state}")
        except WideningError:
            return answer({"error": WIDENING, "reason": "held"}, 409)
        except LifecycleError as fault:
            return problem(409, str(fault))
        return answer(shown(task))

    async def _end(self, call: Call) -> Response:
        """Idempotent: a task that has ended is shown as it did."""
        given = as_object(call.body).get("end", "completed")
        end = _ENDS.get(given) if isinstance(given, str) else None
        if end is None or not as_object(call.body).keys() <= {"end"}:
            raise ConfigError(f"give {{end}}, one of {', '.join(_ENDS)}")
        return answer(shown(await self.tasks.end(call.name, end, by=OPERATOR.id)))
