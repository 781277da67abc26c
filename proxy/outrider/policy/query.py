"""The query: what policy sees of one action, `outrider.input/v1` (CONTRACTS §1).

Laws: built once, serialised once, keys sorted, and the bytes that are digested are the bytes that
are sent; every path of the schema is there, null where unknown, absent only where no module of
the policy reads it; nothing is cut: what is too large is refused. Literals below stand in sorted
order, so that nothing is sorted twice; a test holds it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson

from outrider.core.action import Action, Destination
from outrider.core.errors import MalformedError, TooLargeError
from outrider.core.exchange import Exchange
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import ActivePolicy, AgentEntry, Clock, Question
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Role
from outrider.policy.facts import (
    host_port,
    instant,
    ip_class,
    parsed_path,
    parsed_query,
    pointer_parts,
    shorten_at,
    time_parts,
    told_headers,
)
from outrider.policy.pruning import Keep, Reads, below

VERSION: Final = "outrider.input/v1"
_SORTED: Final = orjson.OPT_SORT_KEYS
_CACHED: Final = 1024

# Of an action that nobody keeps books for.
_NO_BEHAVIOUR: Final[JsonObject] = {
    "flags": {"untrusted_read": False, "sensitive_read": False, "external_send": False},
    "highest_sensitivity_read": None,
    "counters": {
        "calls_60s": 0,
        "denials_300s": 0,
        "records_read": 0,
        "bytes_out": {},
        "distinct_destinations": 0,
    },
    "recent": [],
    "repeats": {"same_action_60s": 0, "same_target_after_deny": False},
    "tags": {},
    "signals": {
        "amount_target_24h": None,
        "approval_misuse": False,
        "beacon": None,
        "bytes_read": 0,
        "consent_other_agent": False,
        "deletes_60s": 0,
        "denied_tools_300s": 0,
        "distinct_subjects": 0,
        "first_use": False,
        "instances_60s": 1,
        "listed": None,
        "oscillation": 0,
        "outside_template": False,
        "rejected_same_3600s": 0,
        "secret_denials": 0,
        "secret_destinations": 0,
        "target_age_s": None,
    },
}
# What later capabilities gather stands at its neutral value until they do.
_NEUTRAL: Final[Mapping[str, Json]] = {
    "delegation": {"depth": 0, "chain": [], "flags": {}, "root_principal": None},
    "model_call": None,
}


def _fragment(value: Json) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value, option=_SORTED))


_NO_APPROVAL: Final[JsonObject] = {"approvers": [], "id": None, "state": "none"}
_BUDGET: Final = _fragment(
    {
        "calls": {"used": 0, "limit": None},
        "spend": {"used": 0, "limit": None, "unit": None},
        "tokens": {"used": 0, "limit": None},
        "records": {"used": 0, "limit": None},
        "bytes": {"used": 0, "limit": None},
    }
)
_NULL: Final = orjson.Fragment(b"null")
_EMPTY: Final = orjson.Fragment(b"{}")
_NOWHERE: Final[frozenset[int]] = frozenset()

Document: TypeAlias = dict[str, object]
_Part: TypeAlias = "Callable[[QueryBuilder, Question, ActivePolicy], object]"
_Parts: TypeAlias = tuple[tuple[str, _Part], ...]


# --- the plan -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a query is built for one set of reads: the parts of each section that are kept."""

    reads: Reads | None
    action: _Parts
    context: _Parts
    resource: _Parts
    time: Keep | None
    grants: dict[int, tuple[JsonObject, orjson.Fragment]]


def _plan(reads: Reads | None) -> _Plan:
    keep = Keep(reads)
    grants: dict[int, tuple[JsonObject, orjson.Fragment]] = {}
    kept_grant = keep.below("context", "task", "grant")
    context: dict[str, _Part] = {
        "approval": _approval_section(keep.below("context", "approval")),
        "behaviour": _behaviour_section(keep.below("context", "behaviour")),
        "environment": lambda builder, _q, _p: builder.environment,
        "request": _section(_REQUEST, keep.below("context", "request")),
        "task": _task_section(keep.below("context", "task"), kept_grant, grants),
        "time": lambda builder, _q, _p: builder.now(),
    }
    for name, neutral in _NEUTRAL.items():
        kept = keep.below("context", name)
        context[name] = _constant(_fragment(kept.pruned(neutral) if kept else None))
    return _Plan(
        reads=reads,
        action=_kept(_ACTION, keep.below("action", "properties"), always=("arguments",)),
        context=_kept(context, keep.below("context")),
        resource=_kept(_RESOURCE, keep.below("resource", "properties")),
        time=keep.below("context", "time"),
        grants=grants,
    )


def _kept(parts: Mapping[str, _Part], keep: Keep | None, always: tuple[str, ...] = ()) -> _Parts:
    return tuple(
        (name, parts[name])
        for name in sorted(parts)
        if name in always or (keep is not None and keep.below(name) is not None)
    )


def _section(parts: Mapping[str, _Part], keep: Keep | None) -> _Part:
    kept = _kept(parts, keep)
    return lambda builder, question, policy: {
        name: part(builder, question, policy) for name, part in kept
    }


def _constant(fragment: orjson.Fragment) -> _Part:
    return lambda _b, _q, _p: fragment


def _task_section(
    keep: Keep | None,
    kept_grant: Keep | None,
    grants: dict[int, tuple[JsonObject, orjson.Fragment]],
) -> _Part:
    kept = tuple(
        (name, part) for name, part in _TASK if keep is not None and keep.below(name) is not None
    )

    def section(_b: "QueryBuilder", question: Question, _p: ActivePolicy) -> Document | None:
        task = question.task
        if task is None:
            return None
        found = {name: part(task) for name, part in kept}
        if "budget" in found and question.facts is not None:
            found["budget"] = question.facts.budget
        if kept_grant is not None:
            found["grant"] = _grant(task.grant.document, kept_grant, grants)
        return found

    return section


def _grant(
    document: JsonObject, keep: Keep, grants: dict[int, tuple[JsonObject, orjson.Fragment]]
) -> orjson.Fragment:
    known = grants.get(id(document))
    if known is not None and known[0] is document:
        return known[1]
    if len(grants) >= _CACHED:
        grants.clear()
    made = _fragment(keep.pruned(document))
    grants[id(document)] = (document, made)  # held, so that its id stays its own
    return made


# --- the builder ----------------------------------------------------------------------------


_ARGUMENTS_REMEDY: Final = (
    "limits.policy_arguments_bytes bounds the arguments that policy is shown; in the manifest give "
    "the long ones the role content (policy then sees a digest), or raise the setting"
)
_QUERY_REMEDY: Final = "policy.query_bytes bounds the whole input of policy; raise the setting"


class QueryBuilder:
    """Builds queries. Keeps the parts that repeat as bytes, bounded."""

    def __init__(
        self, *, clock: Clock, environment: str, arguments_bytes: int, query_bytes: int
    ) -> None:
        self._clock = clock
        self.environment: Final = environment
        self.arguments_bytes: Final = arguments_bytes
        self._query_bytes = query_bytes
        self._subjects: dict[tuple[Subject, int], tuple[AgentEntry | None, orjson.Fragment]] = {}
        self._plan = _plan(None)
        self._second = -1
        self._time = _NULL

    def build(self, question: Question, policy: ActivePolicy) -> bytes:
        """The query's JSON bytes. Raises `TooLargeError` and `MalformedError`."""
        plan = self._plan
        if plan.reads is not policy.reads:
            plan = self._plan = _plan(policy.reads)
            self._second = -1
        ask = question.action.ask
        properties = {name: part(self, question, policy) for name, part in plan.action}
        query = orjson.dumps(
            {
                "action": {"name": ask.name, "properties": properties},
                "context": {name: part(self, question, policy) for name, part in plan.context},
                "resource": {
                    "id": ask.resource_id,
                    "properties": {
                        name: part(self, question, policy) for name, part in plan.resource
                    },
                    "type": ask.resource_type,
                },
                "subject": self._subject(question.subject, policy),
                "version": VERSION,
            }
        )
        if len(query) > self._query_bytes:
            raise TooLargeError(self._query_bytes, cause="query", remedy=_QUERY_REMEDY)
        return query

    def now(self) -> orjson.Fragment:
        """`context.time`, made once a second."""
        second = int(self._clock.unix_s())
        if second != self._second:
            self._time = _fragment(_pruned(time_parts(second), self._plan.time))
            self._second = second
        return self._time

    def _subject(self, subject: Subject, policy: ActivePolicy) -> orjson.Fragment:
        entry = policy.agents.get(subject.id)
        known = self._subjects.get((subject, id(entry)))
        if known is not None and known[0] is entry:
            return known[1]
        if len(self._subjects) >= _CACHED:
            self._subjects.clear()
        made = _fragment(_subject_document(subject, entry))
        self._subjects[subject, id(entry)] = (entry, made)
        return made


def _subject_document(subject: Subject, entry: AgentEntry | None) -> JsonObject:
    properties: JsonObject = {
        "trust_domain": subject.trust_domain,
        "credential": subject.credential,
        "expires_at": instant(subject.expires_unix_s),
        "instance": subject.instance,
        "owner": entry.owner if entry else None,
        "sponsor": entry.sponsor if entry else None,
        "tier": entry.tier if entry else None,
        "environment": entry.environment if entry else None,
        "status": entry.status if entry else None,
    }
    return {"id": subject.id, "type": subject.type, "properties": properties}


def _pruned(document: JsonObject, keep: Keep | None) -> Json:
    """`document` as far as it is read; the empty object where nothing of it is."""
    return {} if keep is None else keep.pruned(document)


# --- the parts ------------------------------------------------------------------------------


def _arguments(builder: QueryBuilder, question: Question, _: ActivePolicy) -> orjson.Fragment:
    action = question.action
    arguments = action.ask.arguments
    if arguments is None:
        return _NULL
    told: Json = arguments
    for pointer, role in action.roles:
        if role is Role.CONTENT:
            told = shorten_at(told, pointer_parts(pointer))
    try:
        shown = orjson.dumps(told, option=_SORTED)
    except orjson.JSONEncodeError as fault:
        raise MalformedError("the arguments have no JSON form") from fault
    if len(shown) > builder.arguments_bytes:
        raise TooLargeError(builder.arguments_bytes, cause="arguments", remedy=_ARGUMENTS_REMEDY)
    return orjson.Fragment(shown)


def _behaviour_section(keep: Keep | None) -> _Part:
    none = _fragment(keep.pruned(_NO_BEHAVIOUR) if keep else None)
    tree = keep.tree() if keep else None

    def section(_b: "QueryBuilder", question: Question, _p: ActivePolicy) -> object:
        facts = question.facts
        if facts is None or not facts.behaviour:
            return none
        return _fragment(below(facts.behaviour, tree))

    return section


def _provenance(_b: "QueryBuilder", question: Question, _p: ActivePolicy) -> object:
    facts = question.facts
    return _fragment(facts.provenance) if facts is not None and facts.provenance else _EMPTY


def _destinations(_b: "QueryBuilder", question: Question, _p: ActivePolicy) -> object:
    first = question.facts.first_seen if question.facts is not None else _NOWHERE
    return [
        _destination(place, first=index in first)
        for index, place in enumerate(question.action.destinations)
    ]


def _destination(place: Destination, *, first: bool) -> Document:
    return {
        "first_seen": first,
        "host": place.host,
        "pointer": place.pointer,
        "value": place.value,
        "zone": place.zone,
    }


def _approval_section(keep: Keep | None) -> _Part:
    none = _fragment(_pruned(_NO_APPROVAL, keep))

    def section(_b: "QueryBuilder", question: Question, _p: ActivePolicy) -> object:
        facts = question.approval
        if facts is None:
            return none
        approvers: list[Json] = [{"id": who} for who in facts.approvers]
        return _pruned({"approvers": approvers, "id": facts.id, "state": "granted"}, keep)

    return section


def _definition(action: Action) -> Document | None:
    pinned = action.ask.definition
    return {"digest": pinned.digest, "pinned": pinned.pinned} if pinned else None


def _own_destination(question: Question, policy: ActivePolicy) -> Document:
    action, facts = question.action, question.facts
    own = next((place for place in action.destinations if place.pointer is None), None)
    first = own is not None and facts is not None and 0 in facts.first_seen
    name, port = host_port(policy.manifest.hosts.get(action.ask.upstream))
    return {
        "first_seen": first,
        "host": name,
        "ip_class": ip_class(name),
        "port": port,
        "zone": own.zone if own else "external",
    }


def _query_fields(exchange: Exchange) -> object:
    query = exchange.head.query
    return parsed_query(query) if query else _EMPTY


def _principal(task: BoundTask) -> Document | None:
    if task.principal is None:
        return None
    return {
        "acr": task.acr,
        "auth_time": task.auth_time,
        "id": task.principal,
        "tenant": task.tenant,
    }


_ACTION: Final[Mapping[str, _Part]] = {
    "arguments": _arguments,
    "arguments_digest": lambda _b, question, _p: question.arguments_digest,
    "body": lambda _b, question, _p: question.action.ask.body,
    "class": lambda _b, question, _p: question.action.effect_class,
    "destinations": _destinations,
    "effect": lambda _b, question, _p: question.action.effect,
    "impact": lambda _b, question, _p: question.action.impact,
    "phase": lambda _b, question, _p: question.action.ask.phase,
    "protocol": lambda _b, question, _p: question.action.ask.protocol,
    "provenance": _provenance,
    "provenance_incomplete": lambda _b, question, _p: (
        question.facts is not None and question.facts.incomplete
    ),
    "reversible": lambda _b, question, _p: question.action.reversible,
    "schema_valid": lambda _b, question, _p: question.action.ask.schema_valid,
}
_RESOURCE: Final[Mapping[str, _Part]] = {
    "declared": lambda _b, question, _p: question.action.declared,
    "definition": lambda _b, question, _p: _definition(question.action),
    "destination": lambda _b, question, policy: _own_destination(question, policy),
    "owner": lambda _b, question, _p: question.action.owner,
    "sensitivity": lambda _b, question, _p: question.action.sensitivity,
    "tags": lambda _b, question, _p: question.action.tags,
    "tenant": lambda _b, question, _p: question.action.tenant,
    "upstream": lambda _b, question, _p: question.action.ask.upstream,
}
_REQUEST: Final[Mapping[str, _Part]] = {
    "direction": lambda _b, question, _p: question.exchange.direction,
    "headers": lambda _b, question, _p: told_headers(question.exchange.head.headers),
    "host": lambda _b, question, _p: question.exchange.head.host,
    "id": lambda _b, question, _p: question.exchange.id,
    "method": lambda _b, question, _p: question.exchange.head.method,
    "parsed_path": lambda _b, question, _p: parsed_path(question.exchange.head.path),
    "parsed_query": lambda _b, question, _p: _query_fields(question.exchange),
    "path": lambda _b, question, _p: question.exchange.head.path,
    "scheme": lambda _b, question, _p: question.exchange.head.scheme,
}
# `grant` is filled in afterwards and keeps its place.
_TASK: Final[tuple[tuple[str, Callable[[BoundTask], object]], ...]] = (
    ("budget", lambda _: _BUDGET),
    ("deadline", lambda task: instant(task.deadline_unix_s)),
    ("grant", lambda _: _NULL),
    ("grant_revision", lambda task: task.grant_revision),
    ("id", lambda task: task.id),
    ("principal", _principal),
    ("purpose", lambda task: task.purpose),
    ("purpose_digest", lambda task: task.purpose_digest),
    ("standing", lambda task: task.standing),
    ("state", lambda _: "active"),
    ("template", lambda task: task.template),
)
