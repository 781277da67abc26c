"""Whether a task may be registered, and under which grant: `data.outrider.task` (POLICY §1).

Laws: the same input and the same kind of answer as any decision, so what is no plain allow denies;
nothing is left out of the input, since nobody reads this entry point for what it needs.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import orjson

from outrider.core.ids import uuid7
from outrider.core.jsonvalue import Json, JsonObject, digest, json_digest
from outrider.core.ports import ActivePolicy, AgentEntry, Clock, Failed, Judged, Raw
from outrider.core.registration import Caller, Registration
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason
from outrider.policy.facts import instant, time_parts
from outrider.policy.query import VERSION
from outrider.policy.result import Source, decide

ACTION: Final = "tasks/create"
_TIMED_OUT: Final = Failed(code=Reason.POLICY_TIMEOUT, detail="no answer by the deadline")
_TOO_LARGE: Final = Failed(code=Reason.TOO_LARGE, detail="too large for policy")
_NOTHING: Final[Mapping[str, Json]] = {
    "approval": {"approvers": [], "id": None, "state": "none"},
    "delegation": {"chain": [], "depth": 0, "flags": {}, "root_principal": None},
    "model_call": None,
}


class TaskDecisions:
    """`core.ports.TaskJudge`."""

    def __init__(
        self,
        *,
        clock: Clock,
        environment: str,
        entrypoint: str,
        timeout_s: float,
        query_bytes: int,
    ) -> None:
        self._clock = clock
        self._environment = environment
        self._entrypoint = entrypoint
        self._timeout_s = timeout_s
        self._query_bytes = query_bytes

    async def judge(self, policy: ActivePolicy, registration: Registration) -> Judged:
        """Never raises but on cancellation."""
        query = orjson.dumps(self._document(policy, registration), option=orjson.OPT_SORT_KEYS)
        raw: Raw = _TOO_LARGE
        if len(query) <= self._query_bytes:
            raw = await self._asked(policy, query)
        snapshot = policy.snapshot
        source = Source(
            engine=policy.engine, revision=snapshot.revision, expected=snapshot.expected
        )
        decision = decide(raw, id=uuid7(self._clock.unix_s()), source=source)
        return Judged(decision=decision, query=query, input_digest=digest(query))

    async def _asked(self, policy: ActivePolicy, query: bytes) -> Raw:
        deadline_s = self._clock.monotonic_s() + self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                return await policy.snapshot.evaluate(self._entrypoint, query, deadline_s, None)
        except TimeoutError:
            return _TIMED_OUT

    def _document(self, policy: ActivePolicy, registration: Registration) -> JsonObject:
        entry = policy.agents.get(registration.agent)
        return {
            "version": VERSION,
            "subject": _subject(registration.caller, policy.agents.get(registration.caller.id)),
            "action": {"name": ACTION, "properties": _action(registration.arguments)},
            "resource": {
                "type": "agent",
                "id": registration.agent,
                "properties": {
                    "upstream": "outrider",
                    "sensitivity": "internal",
                    "owner": entry.owner if entry else None,
                    "declared": entry is not None,
                    "tags": [],
                    "tenant": None,
                    "destination": None,
                    "definition": None,
                },
            },
            "context": {
                **_NOTHING,
                "time": time_parts(int(self._clock.unix_s())),
                "environment": self._environment,
                "request": None,
                "task": None if registration.parent is None else _parent(registration.parent),
                "behaviour": None,
            },
        }


def _action(arguments: JsonObject) -> JsonObject:
    return {
        "protocol": "http",
        "phase": "request",
        "effect": "admin",
        "class": "execute",
        "reversible": True,
        "impact": "low",
        "arguments": arguments,
        "arguments_digest": json_digest(arguments),
        "body": "judged",
        "schema_valid": None,
        "destinations": [],
        "provenance": {},
        "provenance_incomplete": False,
    }


def _subject(caller: Caller, entry: AgentEntry | None) -> JsonObject:
    return {
        "type": caller.type,
        "id": caller.id,
        "properties": {
            "trust_domain": caller.trust_domain,
            "credential": None,
            "expires_at": None,
            "instance": None,
            "owner": entry.owner if entry else None,
            "sponsor": entry.sponsor if entry else None,
            "tier": entry.tier if entry else None,
            "environment": entry.environment if entry else None,
            "status": entry.status if entry else None,
        },
    }


def _parent(parent: BoundTask) -> JsonObject:
    """The task within which the new one would work."""
    principal: JsonObject | None = None
    if parent.principal is not None:
        principal = {
            "id": parent.principal,
            "tenant": parent.tenant,
            "acr": parent.acr,
            "auth_time": parent.auth_time,
        }
    return {
        "id": parent.id,
        "state": "active",
        "purpose": parent.purpose,
        "purpose_digest": parent.purpose_digest,
        "principal": principal,
        "template": parent.template,
        "deadline": instant(parent.deadline_unix_s),
        "grant": parent.grant.document,
        "grant_revision": parent.grant_revision,
        "standing": parent.standing,
        "budget": None,
    }
