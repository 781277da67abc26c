"""What the agent may ask of its own sidecar: answered here, recorded, never forwarded."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Ending, Reply
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import ActivePolicy, TaskNames
from outrider.core.subject import Subject
from outrider.core.vocabulary import Direction, Reason
from outrider.pipeline.enforcer import Enforcer
from outrider.pipeline.own_endpoints import BODY_BYTES
from tests.support.builders import AGENT, a_head, an_exchange
from tests.support.pipeline import Rig


@dataclass
class FakeDesk:
    """`core.ports.OwnTasks` that remembers who asked what."""

    asked: list[tuple[str, str, str | None, Json]] = field(default_factory=list)
    fault: Exception | None = None

    def _answer(self, what: str, subject: Subject, names: TaskNames, body: Json) -> JsonObject:
        self.asked.append((what, subject.id, names.header, body))
        if self.fault is not None:
            raise self.fault
        return {"id": "tsk_1", "state": "active"}

    async def show(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> JsonObject:
        return self._answer("show", subject, names, None)

    async def narrow(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        return self._answer("narrow", subject, names, body)

    async def child(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        return self._answer("child", subject, names, body)

    async def end(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        return self._answer("end", subject, names, body)


async def asked(
    rig: Rig,
    desk: FakeDesk | None,
    method: str = "GET",
    path: str = "/.outrider/task",
    body: bytes = b"",
    **changes: Any,
) -> tuple[Reply, Any]:
    direction = changes.pop("direction", Direction.EGRESS)
    headers = changes.pop("headers", ())
    exchange = an_exchange(
        body,
        head=a_head(method=method, path=path, has_body=bool(body), headers=headers, **changes),
        direction=direction,
    )
    enforcer = Enforcer(replace(rig.parts(), own=desk), answer_bytes=1 << 20)
    async with rig.jobs:
        reply = await enforcer.handle(exchange)
        reply.settle(Ending.SENT, 0)
    assert isinstance(reply.body, bytes)
    assert rig.upstream.permits == []
    return reply, orjson.loads(reply.body)


@pytest.mark.parametrize(
    ("method", "path", "body", "what", "status"),
    [
        pytest.param("GET", "/.outrider/task", b"", "show", 200, id="show"),
        pytest.param("POST", "/.outrider/task/narrow", b'{"a":1}', "narrow", 200, id="narrow"),
        pytest.param("POST", "/.outrider/task/child", b'{"a":1}', "child", 201, id="child"),
        pytest.param("POST", "/.outrider/task/end", b"", "end", 200, id="end"),
    ],
)
async def test_each_operation_is_asked_of_the_agents_own_desk_and_recorded(
    method: str, path: str, body: bytes, what: str, status: int
) -> None:
    rig, desk = Rig(), FakeDesk()
    reply, said = await asked(rig, desk, method, path, body, headers=(("outrider-task", "tsk_1"),))
    assert (reply.status, said) == (status, {"id": "tsk_1", "state": "active"})
    assert desk.asked == [(what, AGENT, "tsk_1", {"a": 1} if body else None)]
    assert dict(reply.headers)["cache-control"] == "no-store"
    (record,) = rig.audit.records
    assert (record["kind"], record["task"]) == ("admin", "tsk_1")
    assert record["admin"] == {"operation": f"{method} {path}", "result": "ok"}
    assert record["subject"]["id"] == AGENT


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/.outrider/approvals/apr_1", 404, id="approval"),
        pytest.param("GET", "/.outrider/", 404, id="nothing"),
        pytest.param("GET", "/.outrider/task/", 404, id="near-miss"),
        pytest.param("GET", "/.outrider/tasks", 404, id="plural"),
        pytest.param("DELETE", "/.outrider/task", 405, id="method"),
        pytest.param("GET", "/.outrider/task/end", 405, id="no-change-by-get"),
    ],
)
async def test_what_is_not_offered_is_refused(method: str, path: str, status: int) -> None:
    rig, desk = Rig(), FakeDesk()
    reply, said = await asked(rig, desk, method, path)
    assert (reply.status, said["reason"], desk.asked) == (status, "unrecognised", [])
    (record,) = rig.audit.records
    assert record["decision"]["enforced"] == "deny"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"direction": Direction.INGRESS}, id="from-outside"),
        pytest.param({"direction": Direction.AUTHZ}, id="from-another-pep"),
        pytest.param({"absolute": True}, id="as-a-proxy"),
    ],
)
async def test_only_the_local_agent_has_a_desk(changes: dict[str, Any]) -> None:
    rig, desk = Rig(), FakeDesk()
    reply, said = await asked(rig, desk, **changes)
    assert (reply.status, said["reason"], desk.asked) == (404, "unrecognised", [])


async def test_without_a_desk_nothing_is_there() -> None:
    reply, said = await asked(Rig(), None)
    assert (reply.status, said["reason"]) == (404, "unrecognised")


async def test_whoever_is_nobody_or_cut_off_asks_nothing() -> None:
    rig, desk = Rig(), FakeDesk()
    rig.identifier.subject = None
    reply, _ = await asked(rig, desk)
    assert (reply.status, desk.asked) == (401, [])
    rig = Rig()
    rig.quarantine.agents = {AGENT}
    reply, said = await asked(rig, desk)
    assert (reply.status, said["reason"], desk.asked) == (403, "quarantined", [])


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(EnforcementError("no", reason=Reason.NO_TASK), 403, id="no-task"),
        pytest.param(EnforcementError("no", reason=Reason.OBLIGATION, status=409), 409, id="wider"),
        pytest.param(RuntimeError("boom"), 503, id="a-fault-of-ours"),
    ],
)
async def test_a_refusal_of_the_desk_is_the_answer(fault: Exception, status: int) -> None:
    rig, desk = Rig(), FakeDesk(fault=fault)
    reply, _ = await asked(rig, desk)
    assert reply.status == status
    (record,) = rig.audit.records
    assert record["kind"] == "decision"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"{", "malformed", id="no-json"),
        pytest.param(b'{"a":1,"a":2}', "malformed", id="twice"),
    ],
)
async def test_a_body_that_cannot_be_read_reaches_no_desk(body: bytes, reason: str) -> None:
    rig, desk = Rig(), FakeDesk()
    reply, said = await asked(rig, desk, "POST", "/.outrider/task/end", body)
    assert (reply.status, said["reason"], desk.asked) == (400, reason, [])
    assert BODY_BYTES == 65_536


async def test_what_cannot_be_recorded_is_not_told() -> None:
    rig, desk = Rig(), FakeDesk()
    rig.audit.broken = True
    reply, said = await asked(rig, desk)
    assert (reply.status, said["reason"]) == (503, "audit_unavailable")
