"""Whether a flow is stopped: the release's own policy is asked, as it would be at that moment.

Law: the state is the worst the path leads to (untrusted text was read, the data is in hand, the
destination is the attacker's and was never seen before); only an enforced reason breaks a flow.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from outrider.core.action import Action
from outrider.core.decision import Decision
from outrider.core.errors import ConfigError
from outrider.core.exchange import Exchange, Peer, RequestHead, TraceContext
from outrider.core.facts import Facts
from outrider.core.jsonvalue import Json, JsonObject, as_object, json_digest
from outrider.core.ports import ActivePolicy, Clock, Question, Snapshot
from outrider.core.subject import Subject as Caller
from outrider.core.task import BoundTask
from outrider.core.vocabulary import (
    OUTCOME_OF,
    Credential,
    Direction,
    Effect,
    Outcome,
    Role,
    Sensitivity,
)
from outrider.policy.flow import Flow, Subject, flows, placed
from outrider.policy.query import QueryBuilder
from outrider.policy.release import Release
from outrider.policy.result import Source, decide

MOST_FLOWS: Final = 2000
"""Of one grant that are put to the policy; the rest are said to be unproved."""
_DEADLINE_S: Final = 5.0
_BYTES: Final = 1 << 20
_AUTHORITY: Final = frozenset(
    {Role.DESTINATION, Role.TARGET, Role.SELECTOR, Role.CREDENTIAL, Role.COMMAND}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What policy says of a flow. `broken_by` are the codes that stop it, `shadowed` those that
    would if they were enforced."""

    flow: Flow
    effect: Effect
    broken_by: tuple[str, ...]
    shadowed: tuple[str, ...]
    detail: str

    @property
    def holds(self) -> bool:
        """Whether the flow is stopped: held for a person, or denied."""
        return self.effect is not Effect.ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantProof:
    """Everything about one grant's flows; `unproved` were too many to ask about."""

    subject: Subject
    proofs: tuple[Proof, ...]
    unproved: int

    @property
    def open(self) -> tuple[Proof, ...]:
        """The flows that nothing stops."""
        return tuple(proof for proof in self.proofs if not proof.holds)


class Prover:
    """Puts flows to one release."""

    def __init__(
        self, *, release: Release, snapshot: Snapshot, clock: Clock, entrypoint: str
    ) -> None:
        self._release = release
        self._snapshot = snapshot
        self._clock = clock
        self._entrypoint = entrypoint

    async def prove(self, subjects: Sequence[Subject]) -> AsyncIterator[GrantProof]:
        for subject in subjects:
            manifest = placed(self._release.manifest, subject.grant)
            found = flows(subject, manifest, _instant(subject, self._clock.unix_s()))
            policy = ActivePolicy(
                revision=self._release.revision,
                manifest=manifest,
                agents=self._release.agents,
                snapshot=self._snapshot,
                engine="embedded",
            )
            proofs = [await self._proof(subject, flow, policy) for flow in found[:MOST_FLOWS]]
            unproved = max(0, len(found) - MOST_FLOWS)
            yield GrantProof(subject=subject, proofs=tuple(proofs), unproved=unproved)

    async def _proof(self, subject: Subject, flow: Flow, policy: ActivePolicy) -> Proof:
        decision = await self._decide(_question(subject, flow, self._release), policy, subject)
        enforced = [one.code for one in decision.reasons if one.mode == "enforce"]
        shadowed = [one.code for one in decision.reasons if one.mode == "shadow"]
        stopped = decision.effect is not Effect.ALLOW
        reason = [decision.reason.value] if stopped and decision.reason is not None else []
        return Proof(
            flow=flow,
            effect=decision.effect,
            broken_by=tuple(dict.fromkeys(enforced or reason)) if stopped else (),
            shadowed=tuple(dict.fromkeys(shadowed)),
            detail=next((one.message for one in decision.reasons if one.mode == "enforce"), ""),
        )

    async def _decide(self, question: Question, policy: ActivePolicy, subject: Subject) -> Decision:
        entry = self._release.agents.get(subject.agent)
        builder = QueryBuilder(
            clock=self._clock,
            environment=entry.environment if entry is not None else "",
            arguments_bytes=_BYTES,
            query_bytes=_BYTES,
        )
        raw = await self._snapshot.evaluate(
            self._entrypoint,
            builder.build(question, policy),
            self._clock.monotonic_s() + _DEADLINE_S,
            None,
        )
        revision = self._release.revision
        source = Source(engine="embedded", revision=revision, expected=frozenset({revision}))
        found = decide(raw, id="proof", source=source)
        if found.reason is not None and OUTCOME_OF[found.reason] is Outcome.FAULT:
            raise ConfigError(f"policy gives no usable decision ({found.reason}): {found.detail}")
        return found


def subjects_of(release: Release) -> list[Subject]:
    """Every grant in the data: standing grants of agents that may act, and templates, which are
    proved under each agent's own circumstances once."""
    found = [
        Subject(name=f"agent {entry.id}", agent=entry.id, grant=entry.grant)
        for entry in release.agents.values()
        if entry.grant is not None and entry.status == "active"
    ]
    agents = [entry.id for entry in release.agents.values() if entry.status == "active"]
    for name, template in release.templates.items():
        found.append(
            Subject(
                name=f"template {name}",
                agent=agents[0] if agents else "spiffe://nobody.invalid/agent",
                grant=template.grant,
                template=name,
            )
        )
    return found


def _instant(subject: Subject, now_unix_s: float) -> float:
    """A moment the grant is valid at, now where it is."""
    start, end = subject.grant.not_before_unix_s, subject.grant.expires_unix_s
    if end is not None and now_unix_s >= end:
        return end - 1
    return max(now_unix_s, start) if start is not None else now_unix_s


def _question(subject: Subject, flow: Flow, release: Release) -> Question:
    sink = flow.sink
    entry = release.agents.get(subject.agent)
    budget: JsonObject = {
        name: {"used": 1, "limit": None} for name in ("calls", "tokens", "records", "bytes")
    }
    return Question(
        exchange=_exchange(),
        subject=_caller(subject.agent),
        action=sink,
        task=BoundTask(
            id="tsk_proof",
            purpose=entry.purpose if entry is not None else "",
            purpose_digest=json_digest({}),
            grant=subject.grant,
            grant_revision=1,
            standing=subject.template is None,
            template=subject.template,
        ),
        arguments_digest=json_digest(sink.ask.arguments),
        facts=Facts(
            behaviour=_behaviour(flow),
            budget={**budget, "spend": {"used": 0, "limit": None, "unit": None}},
            provenance=_provenance(sink),
            first_seen=frozenset(range(len(sink.destinations))),
        ),
    )


def _behaviour(flow: Flow) -> JsonObject:
    sensitive = flow.highest.rank >= Sensitivity.CONFIDENTIAL.rank
    nothing: JsonObject = dict.fromkeys(
        (
            "amount_target_24h", "beacon", "listed", "rejected_same_3600s", "target_age_s",
        )
    )  # fmt: skip
    return {
        "flags": {"untrusted_read": True, "sensitive_read": sensitive, "external_send": False},
        "highest_sensitivity_read": flow.highest.value,
        "counters": {
            "calls_60s": len(flow.steps),
            "denials_300s": 0,
            "records_read": len(flow.steps) - 1,
            "bytes_out": dict.fromkeys(flow.outside, 1024),
            "distinct_destinations": 1,
        },
        "recent": _events(flow),
        "repeats": {"same_action_60s": 1, "same_target_after_deny": False},
        "tags": {},
        "signals": nothing
        | {
            "first_use": False,
            "outside_template": False,
            "approval_misuse": False,
            "consent_other_agent": False,
            "oscillation": 0,
            "instances_60s": 1,
            "distinct_subjects": 1,
            "deletes_60s": 0,
            "denied_tools_300s": 0,
            "secret_denials": 0,
            "secret_destinations": 0,
            "bytes_read": 4096,
        },
    }


def _events(flow: Flow) -> Json:
    read = [flow.source]
    if flow.sensitive is not None and flow.sensitive is not flow.source:
        read.append(flow.sensitive)
    return [
        {
            "id": f"evt_{number}",
            "age_s": 5,
            "resource": place.name,
            "effect": place.action.effect.value,
            "sensitivity": place.sensitivity.value,
            "destination": place.action.destinations[0].host,
            "labels": ["untrusted"] if place.untrusted else [],
            "outcome": "executed",
        }
        for number, place in reversed(list(enumerate(read, start=1)))
    ]


def _provenance(sink: Action) -> JsonObject:
    """Every value that decides where or what is taken from the untrusted text."""
    arguments = as_object(sink.ask.arguments)
    return {
        pointer: {
            "role": role.value,
            "label": "untrusted" if role in _AUTHORITY else "model",
            "sources": ["evt_1#/"],
            "tokens": [],
            "secrets": [],
            "confusable": False,
        }
        for pointer, role in sink.roles
        if pointer.split("/")[1] in arguments
    }


def _caller(agent: str) -> Caller:
    domain = agent.removeprefix("spiffe://").partition("/")[0]
    return Caller(
        id=agent,
        type="agent",
        trust_domain=domain,
        credential=Credential.X509_SVID,
        expires_unix_s=None,
        instance="pod:proof",
    )


def _exchange() -> Exchange:
    head = RequestHead(
        method="POST", scheme="http", host="localhost", path="/", query="", headers=()
    )
    return Exchange(
        id="proof",
        direction=Direction.EGRESS,
        listener="egress",
        head=head,
        peer=Peer(transport="tcp", address="127.0.0.1", loopback=True),
        body=_NoBody(),
        trace=TraceContext(trace_id="0" * 32, span_id="0" * 16, parent_id=None, sampled=False),
        started_s=0.0,
    )


class _NoBody:
    """The body of an exchange that only stands in a question."""

    async def read(self, limit_bytes: int) -> bytes:
        return b""

    def stream(self, limit_bytes: int) -> NoReturn:
        raise RuntimeError(f"nothing of the {limit_bytes} bytes is read")

    def release(self) -> None:
        return
