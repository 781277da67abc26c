"""The query: what policy sees of one action, `outrider.input/v1` in full shape (CONTRACTS §1).

Laws: built once, serialised once, keys sorted, and the bytes that are digested are the bytes that
are sent; every path of the schema is there, null where unknown; nothing is cut: what is too large
is refused. Literals below stand in sorted order, so that nothing is sorted twice; a test holds it.
"""

import ipaddress
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote

import orjson

from outrider.core.action import Action, Destination
from outrider.core.errors import MalformedError, TooLargeError
from outrider.core.exchange import Exchange, Headers
from outrider.core.jsonvalue import Json, JsonObject, digest
from outrider.core.ports import ActivePolicy, AgentEntry, ApprovalFacts, Clock, Question
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Role

VERSION: Final = "outrider.input/v1"
CONTENT_BYTES: Final = 1024  # a longer leaf of role `content` stands as digest and size
HEADERS: Final = frozenset(
    {"accept", "content-type", "mcp-protocol-version", "origin", "user-agent"}
)
_SORTED: Final = orjson.OPT_SORT_KEYS
_CACHED: Final = 1024
_QUERY_FIELDS: Final = 256
_WEEKDAYS: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip


def _fragment(value: Json) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value, option=_SORTED))


_UNGATHERED: Final = (
    "amount_target_24h", "approval_misuse", "beacon", "bytes_read", "consent_other_agent",
    "deletes_60s", "denied_tools_300s", "instances_60s", "listed", "oscillation",
    "rejected_same_3600s", "secret_destinations", "target_age_s",
)  # fmt: skip
# What later capabilities gather stands at its neutral value until they do.
_BEHAVIOUR: Final = _fragment(
    {
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
        "signals": dict.fromkeys(_UNGATHERED)
        | {"first_use": False, "distinct_subjects": 0, "outside_template": False},
    }
)
_DELEGATION: Final = _fragment({"depth": 0, "chain": [], "flags": {}, "root_principal": None})
_NO_APPROVAL: Final = _fragment({"state": "none", "id": None, "approvers": []})
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

Key = TypeVar("Key", bound=Hashable)


class QueryBuilder:
    """Builds queries. Keeps the parts that repeat as bytes, bounded."""

    def __init__(
        self, *, clock: Clock, environment: str, arguments_bytes: int, query_bytes: int
    ) -> None:
        self._clock = clock
        self._environment = environment
        self._arguments_bytes = arguments_bytes
        self._query_bytes = query_bytes
        self._subjects: dict[tuple[Subject, int], tuple[AgentEntry | None, orjson.Fragment]] = {}
        self._grants: dict[int, tuple[JsonObject, orjson.Fragment]] = {}
        self._second = -1
        self._time = _NULL

    def build(self, question: Question, policy: ActivePolicy) -> bytes:
        """The query's JSON bytes. Raises `TooLargeError` and `MalformedError`."""
        action = question.action
        query = orjson.dumps(
            {
                "action": {"name": action.ask.name, "properties": self._action(question)},
                "context": self._context(question),
                "resource": _resource(action, policy),
                "subject": self._subject(question.subject, policy),
                "version": VERSION,
            }
        )
        if len(query) > self._query_bytes:
            raise TooLargeError(self._query_bytes, cause="query")
        return query

    def _action(self, question: Question) -> dict[str, object]:
        action = question.action
        ask = action.ask
        return {
            "arguments": self._arguments(action),
            "arguments_digest": question.arguments_digest,
            "body": ask.body,
            "class": action.effect_class,
            "destinations": [_destination(place) for place in action.destinations],
            "effect": action.effect,
            "impact": action.impact,
            "phase": ask.phase,
            "protocol": ask.protocol,
            "provenance": _EMPTY,
            "provenance_incomplete": False,
            "reversible": action.reversible,
            "schema_valid": ask.schema_valid,
        }

    def _arguments(self, action: Action) -> orjson.Fragment:
        arguments = action.ask.arguments
        if arguments is None:
            return _NULL
        told: Json = arguments
        for pointer, role in action.roles:
            if role is Role.CONTENT:
                told = _shorten_at(told, _parts(pointer))
        try:
            shown = orjson.dumps(told, option=_SORTED)
        except orjson.JSONEncodeError as fault:
            raise MalformedError("the arguments have no JSON form") from fault
        if len(shown) > self._arguments_bytes:
            raise TooLargeError(self._arguments_bytes, cause="arguments")
        return orjson.Fragment(shown)

    def _context(self, question: Question) -> dict[str, object]:
        return {
            "approval": _approval(question.approval),
            "behaviour": _BEHAVIOUR,
            "delegation": _DELEGATION,
            "environment": self._environment,
            "model_call": None,
            "request": _request(question.exchange),
            "task": self._task(question.task),
            "time": self._now(),
        }

    def _now(self) -> orjson.Fragment:
        second = int(self._clock.unix_s())
        if second != self._second:
            moment = datetime.fromtimestamp(second, UTC)
            self._time = _fragment(
                {
                    "rfc3339": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "unix_s": second,
                    "weekday": _WEEKDAYS[moment.weekday()],
                    "minute_of_day": moment.hour * 60 + moment.minute,
                }
            )
            self._second = second
        return self._time

    def _task(self, task: BoundTask | None) -> dict[str, object] | None:
        if task is None:
            return None
        principal = None
        if task.principal is not None:
            principal = {
                "acr": None,
                "auth_time": None,
                "id": task.principal,
                "tenant": task.tenant,
            }
        return {
            "budget": _BUDGET,
            "deadline": _when(task.deadline_unix_s),
            "grant": self._grant(task.grant.document),
            "grant_revision": task.grant_revision,
            "id": task.id,
            "principal": principal,
            "purpose": task.purpose,
            "purpose_digest": task.purpose_digest,
            "standing": task.standing,
            "state": "active",
            "template": task.template,
        }

    def _grant(self, document: JsonObject) -> orjson.Fragment:
        known = self._grants.get(id(document))
        if known is not None and known[0] is document:
            return known[1]
        if len(self._grants) >= _CACHED:
            self._grants.clear()
        made = _fragment(document)
        self._grants[id(document)] = (document, made)  # held, so that its id stays its own
        return made

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
    return {
        "id": subject.id,
        "type": subject.type,
        "properties": {
            "trust_domain": subject.trust_domain,
            "credential": subject.credential,
            "expires_at": _when(subject.expires_unix_s),
            "instance": subject.instance,
            "owner": entry.owner if entry else None,
            "sponsor": entry.sponsor if entry else None,
            "tier": entry.tier if entry else None,
            "environment": entry.environment if entry else None,
            "status": entry.status if entry else None,
        },
    }


def _resource(action: Action, policy: ActivePolicy) -> dict[str, object]:
    ask = action.ask
    pinned = ask.definition
    host = policy.manifest.hosts.get(ask.upstream)
    zone, first_seen = _own_place(action)
    name, port = _host_port(host)
    return {
        "id": ask.resource_id,
        "properties": {
            "declared": action.declared,
            "definition": {"digest": pinned.digest, "pinned": pinned.pinned} if pinned else None,
            "destination": {
                "first_seen": first_seen,
                "host": name,
                "ip_class": ip_class(name),
                "port": port,
                "zone": zone,
            },
            "owner": action.owner,
            "sensitivity": action.sensitivity,
            "tags": action.tags,
            "tenant": action.tenant,
            "upstream": ask.upstream,
        },
        "type": ask.resource_type,
    }


def _own_place(action: Action) -> tuple[str, bool]:
    for place in action.destinations:
        if place.pointer is None:
            return place.zone, place.first_seen
    return "external", False


def _host_port(host: str | None) -> tuple[str | None, int | None]:
    if host is None:
        return None, None
    name, _, port = host.rpartition(":")
    if not name or not port.isdecimal():
        return host, None
    return name.removeprefix("[").removesuffix("]"), int(port)


def ip_class(host: str | None) -> str | None:
    """What kind of address a literal host is; None for a name, whose address policy never sees."""
    if host is None or not (host[:1].isdigit() or ":" in host):
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link_local"
    return "private" if address.is_private else "public"


def _destination(place: Destination) -> dict[str, object]:
    return {
        "first_seen": place.first_seen,
        "host": place.host,
        "pointer": place.pointer,
        "value": place.value,
        "zone": place.zone,
    }


def _approval(facts: ApprovalFacts | None) -> object:
    if facts is None:
        return _NO_APPROVAL
    return {
        "approvers": [{"id": who} for who in facts.approvers],
        "id": facts.id,
        "state": "granted",
    }


def _request(exchange: Exchange) -> dict[str, object]:
    head = exchange.head
    return {
        "direction": exchange.direction,
        "headers": _headers(head.headers),
        "host": head.host,
        "id": exchange.id,
        "method": head.method,
        "parsed_path": parsed_path(head.path),
        "parsed_query": parsed_query(head.query) if head.query else _EMPTY,
        "path": head.path,
        "scheme": head.scheme,
    }


def _headers(headers: Headers) -> orjson.Fragment | dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name in HEADERS:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return dict(sorted(found.items())) if len(found) > 1 else found


def parsed_path(path: str) -> list[str]:
    """The segments of `path`, unescaped one by one; exactly one leading `/` is no segment."""
    segments = path.removeprefix("/").split("/")
    if "%" not in path:
        return segments
    try:
        return [unquote(segment, errors="strict") for segment in segments]
    except UnicodeDecodeError as fault:
        raise MalformedError("the path is not UTF-8", cause="path") from fault


def parsed_query(query: str) -> dict[str, list[str]]:
    """The fields of a query string, each with the list of its values, sorted by name."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS
        )
    except ValueError as fault:  # a UnicodeDecodeError is one
        raise MalformedError("the query string cannot be read", cause="query") from fault
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def _when(unix_s: float | None) -> str | None:
    if unix_s is None:
        return None
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _shorten_at(value: Json, parts: list[str]) -> Json:
    """`value` with long leaves at or below `parts` as digest and size; the rest is shared."""
    if not parts:
        return _shorten(value)
    head, rest = parts[0], parts[1:]
    if isinstance(value, dict) and head in value:
        return {**value, head: _shorten_at(value[head], rest)}
    if isinstance(value, list) and head.isdecimal() and int(head) < len(value):
        place = int(head)
        return [*value[:place], _shorten_at(value[place], rest), *value[place + 1 :]]
    return value


def _shorten(value: Json) -> Json:
    if isinstance(value, str):
        if len(value) * 4 <= CONTENT_BYTES:  # no text of so few characters can be longer
            return value
        content = value.encode("utf-8", errors="surrogatepass")
        if len(content) <= CONTENT_BYTES:
            return value
        return {"digest": digest(content), "bytes": len(content)}
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    if isinstance(value, dict):
        return {key: _shorten(item) for key, item in value.items()}
    return value
