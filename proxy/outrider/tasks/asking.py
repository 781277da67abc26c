"""What is asked for when a task is registered, read strictly (CONTRACTS §4).

Laws: an unknown key is refused; anchors are the principal's own texts, so only the control API
takes them; whatever is absent is asked for as the least that makes sense, never as more.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import Json, JsonObject, canonical, json_digest
from outrider.core.template import NAME
from outrider.tasks.task import Principal

PURPOSE_CHARS: Final = 1024
ANCHORS: Final = 1024
"""Texts in all anchors of a task."""
_DEPTH: Final = 16
_GRANT_BYTES: Final = 65_536
_WORD_CHARS: Final = 512
_AGENT: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+")
_KEYS: Final = frozenset(
    {"purpose", "template", "principal", "anchors", "grant", "deadline", "agent", "parent"}
)
_PRINCIPAL: Final = frozenset({"id", "tenant", "acr", "auth_time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a registration may ask for at most; `life_s` is given where no deadline is."""

    anchors_bytes: int = 65_536
    life_s: int = 3600
    max_life_s: int = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A registration as it was asked for. `grant` is None where all that may be had is asked."""

    purpose: str
    purpose_digest: str
    anchors: tuple[str, ...]
    anchors_digest: str
    principal: Principal
    template: str | None
    grant: Grant | None
    deadline_unix_s: float
    agent: str | None
    parent: str | None


def read_ask(body: Json, *, bounds: Bounds, now_unix_s: float) -> Asked:
    """The registration that `body` asks for. Raises `ConfigError` naming the key."""
    if not isinstance(body, dict):
        raise ConfigError("give an object: {purpose, template, …}")
    for key in body:
        if key not in _KEYS:
            raise ConfigError(f"no such key; give {', '.join(sorted(_KEYS))}")
    purpose = _text(body, "purpose", PURPOSE_CHARS)
    if purpose is None:
        raise ConfigError("purpose is missing; say in a sentence what the task is for")
    given: Json = body.get("anchors") or []
    anchors = _anchors(given, bounds.anchors_bytes)
    template = _text(body, "template", 64)
    if template is not None and not NAME.fullmatch(template):
        raise ConfigError("template is no name of a template")
    return Asked(
        purpose=purpose,
        purpose_digest=_digest({"purpose": purpose, "anchors": given}),
        anchors=anchors,
        anchors_digest=_digest(given),
        principal=_principal(body.get("principal")),
        template=template,
        grant=_grant(body.get("grant"), now_unix_s),
        deadline_unix_s=_deadline(body.get("deadline"), bounds, now_unix_s),
        agent=_agent(body),
        parent=_text(body, "parent", 64),
    )


def _digest(value: Json) -> str:
    try:
        return json_digest(value)
    except ValueError:
        raise ConfigError("anchors: a number that has no one spelling") from None


def _text(body: JsonObject, key: str, limit: int) -> str | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
        raise ConfigError(f"{key}: give a printable text of at most {limit} characters")
    return value


def _agent(body: JsonObject) -> str | None:
    agent = _text(body, "agent", 2048)
    if agent is not None and not _AGENT.fullmatch(agent):
        raise ConfigError("agent is no SPIFFE ID of a workload")
    return agent


def _principal(value: Json) -> Principal:
    if value is None:
        return Principal()
    if isinstance(value, str):
        value = {"id": value}
    if not isinstance(value, dict) or not value.keys() <= _PRINCIPAL:
        raise ConfigError("principal: give an id, or {id, tenant, acr, auth_time}")
    auth_time = value.get("auth_time")
    if auth_time is not None and type(auth_time) is not int:
        raise ConfigError("principal.auth_time: give seconds since the epoch")
    found = _text(value, "id", _WORD_CHARS)
    if found is None:
        raise ConfigError("principal.id is missing")
    return Principal(
        id=found,
        tenant=_text(value, "tenant", _WORD_CHARS),
        acr=_text(value, "acr", _WORD_CHARS),
        auth_time=auth_time if isinstance(auth_time, int) else None,
    )


def _grant(value: Json, now_unix_s: float) -> Grant | None:
    if value is None:
        return None
    grant = parse_grant(value, "grant")
    try:
        size = len(canonical(grant.document))
    except ValueError:
        raise ConfigError("grant: a number that has no one spelling") from None
    if size > _GRANT_BYTES:
        raise ConfigError(f"grant: larger than {_GRANT_BYTES} bytes")
    if grant.expires_unix_s is not None and grant.expires_unix_s <= now_unix_s:
        raise ConfigError("grant.expires_at is past; give a time to come")
    return grant


def _deadline(value: Json, bounds: Bounds, now_unix_s: float) -> float:
    if value is None:
        return now_unix_s + bounds.life_s
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError("deadline: give a time such as 2026-11-23T09:30:00Z")
    deadline = moment.timestamp()
    if not now_unix_s < deadline <= now_unix_s + bounds.max_life_s:
        raise ConfigError(
            f"deadline is {value!r}; give a time within the next {bounds.max_life_s} seconds "
            "(tasks.max_life_s)"
        )
    return deadline


def _anchors(given: Json, limit_bytes: int) -> tuple[str, ...]:
    """Every text in what the principal gave, and every number as a text, in order."""
    if not isinstance(given, list):
        raise ConfigError("anchors: give a list of texts and fields")
    found: list[str] = []
    _gather(given, found, 0)
    if (
        len(found) > ANCHORS
        or sum(len(text.encode("utf-8", "surrogatepass")) for text in found) > limit_bytes
    ):
        raise ConfigError(
            f"anchors: give at most {limit_bytes} bytes (tasks.anchors_bytes) in {ANCHORS} texts"
        )
    return tuple(found)


def _gather(value: Json, found: list[str], depth: int) -> None:
    if depth > _DEPTH:
        raise ConfigError(f"anchors: nested more than {_DEPTH} deep")
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for inner in value:
            _gather(inner, found, depth + 1)
    elif isinstance(value, str):
        found.append(value)
    elif type(value) in (int, float):
        found.append(str(value))
