"""What policy is asked when a task is registered, and what its answers come to."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.ports import Defined, Failed, Meta, Raw, Undefined
from outrider.core.registration import Caller, Registration
from outrider.core.vocabulary import Effect, Reason
from outrider.policy.registration import TaskDecisions
from tests.support.builders import AGENT, FixedClock, a_task
from tests.support.tasks import a_task_policy, an_agent_entry

SCHEMA = orjson.loads((shipped_rego() / "schemas" / "input.json").read_bytes())
ALLOW: Any = {"effect": "allow", "obligations": [{"type": "narrow", "grant": {"tools": []}}]}


@dataclass
class Asked:
    """A snapshot that answers as told and keeps what it was asked."""

    raw: Raw = field(default_factory=lambda: Defined(value=ALLOW, meta=Meta()))
    late: bool = False
    revision: str = "r1"
    expected: frozenset[str] = frozenset({"r1"})
    waits: bool = True
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        self.asked.append((entrypoint, orjson.loads(query)))
        if self.late:
            await asyncio.Event().wait()
        return self.raw


async def judged(
    snapshot: Asked, *, timeout_s: float = 5.0, query_bytes: int = 32_768, **more: Any
):
    policy = a_task_policy(an_agent_entry(owner="team-support"), snapshot=snapshot)
    decisions = TaskDecisions(
        clock=FixedClock(),
        environment="prod",
        entrypoint="data.outrider.task",
        timeout_s=timeout_s,
        query_bytes=query_bytes,
    )
    fields: dict[str, Any] = {
        "caller": Caller(id="control:operator", type="service"),
        "agent": AGENT,
        "arguments": {"purpose": "x", "exceeds": []},
    }
    return await decisions.judge(policy, Registration(**fields | more))


async def test_policy_is_asked_with_the_same_document_as_for_any_action() -> None:
    snapshot = Asked()
    found = await judged(snapshot)
    ((entrypoint, query),) = snapshot.asked
    assert entrypoint == "data.outrider.task"
    assert (query["version"], query["action"]["name"]) == ("outrider.input/v1", "tasks/create")
    assert (query["subject"]["id"], query["resource"]["id"]) == ("control:operator", AGENT)
    assert query["resource"]["properties"]["owner"] == "team-support"
    assert query["context"]["task"] is None
    assert found.decision.effect is Effect.ALLOW
    assert found.query == orjson.dumps(query, option=orjson.OPT_SORT_KEYS)


async def test_of_a_child_policy_sees_the_parent() -> None:
    snapshot = Asked()
    caller = Caller(id=AGENT, type="agent", trust_domain="acme.test")
    await judged(snapshot, caller=caller, parent=a_task(principal="oidc:alice@corp"))
    ((_, query),) = snapshot.asked
    assert query["context"]["task"]["principal"]["id"] == "oidc:alice@corp"
    assert query["context"]["task"]["grant"]["tools"] == ["crm/*"]
    assert query["subject"]["properties"]["status"] == "active"


@pytest.mark.parametrize("parent", [None, a_task(), a_task(principal="oidc:alice@corp")])
async def test_what_is_asked_is_of_the_published_form(parent: Any) -> None:
    snapshot = Asked()
    await judged(snapshot, parent=parent)
    ((_, query),) = snapshot.asked
    faults = [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in jsonschema_rs.validator_for(SCHEMA).iter_errors(query)
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(Undefined(meta=Meta()), Reason.POLICY_UNDEFINED, id="undefined"),
        pytest.param(
            Failed(code=Reason.POLICY_ERROR, detail="x"), Reason.POLICY_ERROR, id="failed"
        ),
        pytest.param(
            Defined(value={"effect": "Allow"}, meta=Meta()), Reason.POLICY_MALFORMED, id="malformed"
        ),
        pytest.param(
            Defined(value={"effect": "hold"}, meta=Meta()), Reason.OBLIGATION, id="held-by-nobody"
        ),
        pytest.param(
            Defined(value={**ALLOW, "revision": "r2"}, meta=Meta()),
            Reason.POLICY_STALE,
            id="another-revision",
        ),
    ],
)
async def test_what_is_no_plain_allow_denies(raw: Raw, reason: Reason) -> None:
    found = await judged(Asked(raw=raw))
    assert (found.decision.effect, found.decision.reason) == (Effect.DENY, reason)


async def test_no_answer_in_time_denies() -> None:
    found = await judged(Asked(late=True), timeout_s=0.01)
    assert found.decision.reason is Reason.POLICY_TIMEOUT


async def test_what_is_too_large_for_policy_is_not_asked() -> None:
    snapshot = Asked()
    found = await judged(snapshot, query_bytes=500)
    assert (found.decision.reason, snapshot.asked) == (Reason.TOO_LARGE, [])
