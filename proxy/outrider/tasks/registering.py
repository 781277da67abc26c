"""How a task is registered: asked for, decided by policy, begun (CONTRACTS §4).

Laws: nobody gets more than was asked for, nor more than the template or the parent has; an allow
that does not say which grant is none; what would need a person is refused until a person can be
asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from outrider.core.decision import Decision
from outrider.core.errors import ConfigError, EnforcementError, ObligationError
from outrider.core.grant import Grant, meet, parse_grant, widened
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.limits import write_delegation
from outrider.core.obligation import NarrowObligation, NotifyObligation
from outrider.core.ports import ActivePolicy, Clock, Judged, TaskJudge
from outrider.core.registration import Caller, Registration
from outrider.core.template import Template
from outrider.core.vocabulary import Effect, Reason, TaskState
from outrider.tasks.asking import Asked, Bounds, read_ask
from outrider.tasks.chain import DEPTH
from outrider.tasks.registry import TaskRegistry
from outrider.tasks.task import Event, Task

Chain: TypeAlias = tuple[Task, ...]

_ACTIVE: Final = "active"
_UNBOUND: Final[Chain] = ()


class NotRegisteredError(EnforcementError):
    """Policy did not let a task be registered; `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        held = decision.effect is Effect.HOLD
        super().__init__(
            "registering this task needs a person's approval, and approvals cannot be asked for yet"
            if held
            else "policy does not let this task be registered",
            reason=Reason.OBLIGATION if held else decision.reason,
            status=409 if held else 403,
        )
        self.decision = decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A registration with what it refers to."""

    asked: Asked
    agent: str
    template: Template | None
    chain: Chain

    @property
    def asks_all(self) -> Grant | None:
        """The grant that is asked for; where none is written, all there is to have."""
        if self.asked.grant is not None:
            return self.asked.grant
        ceilings = self._ceilings
        return ceilings[0] if ceilings else None

    @property
    def _ceilings(self) -> tuple[Grant, ...]:
        template = (self.template.grant,) if self.template is not None else ()
        parent = (self.chain[0].grant,) if self.chain else ()
        return (*template, *parent)

    def granted(self) -> Grant:
        """What is asked for, as far as template and parents reach."""
        grant = self.asks_all or parse_grant({}, "grant")
        for ceiling in (*self._ceilings, *(one.grant for one in self.chain[1:])):
            if widened(grant, ceiling):
                grant = meet(grant, ceiling)
        return grant

    def exceeds(self) -> tuple[str, ...]:
        """Where what is asked for leaves what the template says may be had; `template` where
        neither a template nor a parent says anything."""
        if self.template is None:
            return () if self.chain and self.asked.template is None else ("template",)
        return widened(self.asks_all, self.template.grant) if self.asks_all is not None else ()


class Registering:
    """Registers tasks. `own_agent` is the agent where a registration names none."""

    def __init__(
        self,
        *,
        registry: TaskRegistry,
        judge: TaskJudge,
        policy: Callable[[], ActivePolicy],
        own_agent: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._judge = judge
        self._policy = policy
        self._own_agent = own_agent
        self._clock = clock

    async def register(self, body: Json, *, caller: Caller, bounds: Bounds, active: int) -> Task:
        """The task that `body` asks for, serving. `active` is how many an agent may have under way.

        Raises `ConfigError` for what cannot be read, `NotRegisteredError`, `EnforcementError`.
        """
        now_unix_s = self._clock.unix_s()
        asked = read_ask(body, bounds=bounds, now_unix_s=now_unix_s)
        policy = self._policy()
        wanted = await self._wanted(asked, policy)
        granted = wanted.granted()
        registration = Registration(
            caller=caller,
            agent=wanted.agent,
            arguments=_told(wanted, granted, now_unix_s),
            parent=self._registry.bound(wanted.chain) if wanted.chain else None,
        )
        judged = await self._judge.judge(policy, registration)
        grant = meet(granted, _given(judged.decision, granted))
        if wanted.chain and wanted.agent != wanted.chain[0].agent:
            grant = _handed_on(grant)
        task = self._proposed(wanted, grant, caller)
        return await self._registry.begin(task, _facts(task, wanted, judged), limit=active)

    async def _wanted(self, asked: Asked, policy: ActivePolicy) -> Wanted:
        chain = await self._parents(asked.parent) if asked.parent is not None else _UNBOUND
        agent = asked.agent or (chain[0].agent if chain else self._own_agent())
        if agent is None:
            raise ConfigError("agent is missing: this sidecar knows no agent of its own")
        entry = policy.agents.get(agent)
        if entry is None or entry.status != _ACTIVE:
            raise EnforcementError(
                "the agent is not an active one of data.outrider.agents",
                reason=Reason.NO_TASK,
                status=403,
                cause="agent_status",
            )
        template = policy.templates.get(asked.template) if asked.template is not None else None
        return Wanted(asked=asked, agent=agent, template=template, chain=chain)

    async def _parents(self, name: str) -> Chain:
        chain = await self._registry.chain(await self._registry.shelf.get(name))
        if await self._registry.state_of(chain) is not TaskState.ACTIVE:
            raise EnforcementError(
                "the parent task is not active", reason=Reason.TASK_ENDED, status=409
            )
        if len(chain) > DEPTH:
            raise EnforcementError(
                f"the parent has {DEPTH} parents above it already",
                reason=Reason.DELEGATION,
                status=409,
                cause="depth",
            )
        return chain

    def _proposed(self, wanted: Wanted, grant: Grant, caller: Caller) -> Task:
        now_unix_s, asked = self._clock.unix_s(), wanted.asked
        parent = wanted.chain[0] if wanted.chain else None
        usual = wanted.template.usual if wanted.template is not None else None
        ends = [asked.deadline_unix_s, *(one.deadline_unix_s for one in wanted.chain)]
        return Task(
            id=f"tsk_{uuid7(now_unix_s).replace('-', '')}",
            agent=wanted.agent,
            state=TaskState.PROPOSED,
            purpose=asked.purpose,
            purpose_digest=asked.purpose_digest,
            anchors=asked.anchors,
            principal=asked.principal if parent is None else parent.principal,
            template=asked.template if parent is None else asked.template or parent.template,
            usual=usual if usual is not None or parent is None else parent.usual,
            grant=grant,
            grant_revision=1,
            created_unix_s=now_unix_s,
            deadline_unix_s=min(ends),
            registered_by=caller.id,
            parent=parent.id if parent is not None else None,
            parent_revision=parent.grant_revision if parent is not None else 0,
            root=parent.root_id if parent is not None else "",
            events=(Event(name="registered", unix_s=now_unix_s, by=caller.id),),
        )


def _told(wanted: Wanted, granted: Grant, now_unix_s: float) -> JsonObject:
    """The arguments that policy is asked with: no anchors, only their digest."""
    asked = wanted.asked
    exceeds: list[Json] = [*wanted.exceeds()]
    whole = wanted.asks_all
    return {
        "purpose": asked.purpose,
        "purpose_digest": asked.purpose_digest,
        "anchors_digest": asked.anchors_digest,
        "template": asked.template,
        "principal": asked.principal.id,
        "tenant": asked.principal.tenant,
        "agent": wanted.agent,
        "parent": asked.parent,
        "parent_agent": wanted.chain[0].agent if wanted.chain else None,
        "life_s": int(asked.deadline_unix_s - now_unix_s),
        "asked": whole.document if whole is not None else None,
        "granted": granted.document,
        "exceeds": exceeds,
    }


def _given(decision: Decision, granted: Grant) -> Grant:
    """The grant that policy gives. Raises `NotRegisteredError`, `ObligationError`."""
    if decision.effect is not Effect.ALLOW:
        raise NotRegisteredError(decision)
    given: Grant | None = None
    for one in decision.obligations:
        if isinstance(one, NarrowObligation):
            part = _read(one.grant)
            given = part if given is None else meet(given, part)
        elif not isinstance(one, NotifyObligation):
            raise ObligationError("policy asks for what registering a task cannot do", status=403)
    if given is None:
        raise ObligationError("policy allows the task and gives it no grant", status=403)
    return given if widened(granted, given) else granted


def _handed_on(grant: Grant) -> Grant:
    """`grant` as another agent has it: it hands it on one hop less."""
    if grant.delegation is None:
        return grant
    less: JsonObject = {
        **write_delegation(grant.delegation), "depth": max(0, grant.delegation.depth - 1)
    }  # fmt: skip
    return parse_grant({**grant.document, "delegation": less}, "grant")


def _read(document: JsonObject) -> Grant:
    try:
        return parse_grant(document, "narrow.grant")
    except ConfigError as fault:
        raise ObligationError("policy gives a grant that cannot be read", status=403) from fault


def _facts(task: Task, wanted: Wanted, judged: Judged) -> JsonObject:
    """What the record of a registration says besides the task."""
    decision = judged.decision
    return {
        "by": task.registered_by,
        "anchors_digest": wanted.asked.anchors_digest,
        "grant": task.grant.document,
        "decision": {
            "id": decision.id,
            "effect": decision.effect.value,
            "revision": decision.revision,
            "engine": decision.engine,
        },
        "input_digest": judged.input_digest,
    }


def reasons_of(decision: Decision) -> list[Json]:
    """Policy's reasons, for whoever asked."""
    return [
        {"code": one.code, "message": one.message, "severity": one.severity}
        for one in decision.reasons
        if one.mode == "enforce"
    ]
