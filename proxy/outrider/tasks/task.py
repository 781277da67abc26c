"""A registered task as it stands, and its form in the store (GOVERNANCE §2).

Law of the form: add, never repurpose. What cannot be read is a task that never serves.
"""

import logging
from dataclasses import dataclass, field
from typing import Final

import orjson

from outrider.core.errors import OutriderError
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.template import parse_usual
from outrider.core.vocabulary import TaskEnd, TaskState

logger = logging.getLogger("outrider.tasks")

EVENTS: Final = 32
"""Events of its life that a task remembers, the latest."""
_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """In whose name a task works, as whoever registered it proved it; nobody where `id` is None."""

    id: str | None = None
    tenant: str | None = None
    acr: str | None = None
    auth_time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a task: a closed word, when, and by whom."""

    name: str
    unix_s: float
    by: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One registered task. `parent_revision` is the parent's grant revision at its birth; `usual`
    is what its template says such a task normally does; `children` are its own, ended ones too."""

    id: str
    agent: str
    state: TaskState
    purpose: str
    purpose_digest: str
    anchors: tuple[str, ...]
    principal: Principal
    template: str | None
    usual: Grant | None
    grant: Grant
    grant_revision: int
    created_unix_s: float
    deadline_unix_s: float
    registered_by: str
    parent: str | None = None
    parent_revision: int = 0
    root: str = ""
    children: tuple[str, ...] = ()
    end: TaskEnd | None = None
    ended_unix_s: float | None = None
    events: tuple[Event, ...] = ()

    @property
    def root_id(self) -> str:
        return self.root or self.id


@dataclass(slots=True, kw_only=True)
class Slot:
    """The place of one task in the ledger; None where none ever was, or it cannot be read."""

    task: Task | None = None


class SlotCodec:
    """`tasks.ledger_document.Codec` of slots."""

    def decode(self, data: bytes | None, now_unix_s: float) -> Slot:
        if not data:
            return Slot()
        try:
            return Slot(task=read_task(as_object(orjson.loads(data))))
        except (OutriderError, ValueError, KeyError, TypeError):
            logger.warning("a stored task cannot be read", extra={"event": "task_unreadable"})
            return Slot()

    def encode(self, document: Slot) -> bytes:
        return b"{}" if document.task is None else orjson.dumps(write_task(document.task))


def write_task(task: Task) -> JsonObject:
    """The form of `task` in the store."""
    return {
        "form": _FORM,
        "id": task.id,
        "agent": task.agent,
        "state": task.state.value,
        "purpose": task.purpose,
        "purpose_digest": task.purpose_digest,
        "anchors": [*task.anchors],
        "principal": write_principal(task.principal),
        "template": task.template,
        "usual": task.usual.document if task.usual is not None else None,
        "grant": task.grant.document,
        "grant_revision": task.grant_revision,
        "created": task.created_unix_s,
        "deadline": task.deadline_unix_s,
        "registered_by": task.registered_by,
        "parent": task.parent,
        "parent_revision": task.parent_revision,
        "root": task.root,
        "children": [*task.children],
        "end": task.end.value if task.end is not None else None,
        "ended": task.ended_unix_s,
        "events": [_written(event) for event in task.events],
    }


def write_principal(principal: Principal) -> Json:
    if principal.id is None:
        return None
    return {
        "id": principal.id,
        "tenant": principal.tenant,
        "acr": principal.acr,
        "auth_time": principal.auth_time,
    }


def _written(event: Event) -> JsonObject:
    return {"name": event.name, "at": event.unix_s, "by": event.by, "detail": event.detail}


def read_task(document: JsonObject) -> Task:
    """The task of its stored form. Raises for what is none: `KeyError`, `ValueError`, `TypeError`,
    `ConfigError`."""
    if document.get("form") != _FORM:
        raise ValueError("another form of a stored task")
    read = _Reader(document)
    usual, end = as_object(document["usual"]), read.optional_text("end")
    if usual:
        usual = {key: value for key, value in usual.items() if key != "sensitivity"}
    return Task(
        id=read.text("id"),
        agent=read.text("agent"),
        state=TaskState(read.text("state")),
        purpose=read.text("purpose"),
        purpose_digest=read.text("purpose_digest"),
        anchors=read.texts("anchors"),
        principal=_principal(as_object(document["principal"])),
        template=read.optional_text("template"),
        usual=parse_usual(usual, "usual") if document["usual"] is not None else None,
        grant=parse_grant(document["grant"], "grant"),
        grant_revision=read.whole("grant_revision"),
        created_unix_s=read.number("created"),
        deadline_unix_s=read.number("deadline"),
        registered_by=read.text("registered_by"),
        parent=read.optional_text("parent"),
        parent_revision=read.whole("parent_revision"),
        root=read.text("root"),
        children=read.texts("children"),
        end=TaskEnd(end) if end is not None else None,
        ended_unix_s=None if document["ended"] is None else read.number("ended"),
        events=tuple(_event(as_object(one)) for one in as_list(document["events"])),
    )


def _principal(document: JsonObject) -> Principal:
    if not document:
        return Principal()
    read = _Reader(document)
    auth_time = document["auth_time"]
    return Principal(
        id=read.text("id"),
        tenant=read.optional_text("tenant"),
        acr=read.optional_text("acr"),
        auth_time=None if auth_time is None else read.whole("auth_time"),
    )


def _event(document: JsonObject) -> Event:
    read = _Reader(document)
    return Event(
        name=read.text("name"),
        unix_s=read.number("at"),
        by=read.text("by"),
        detail=read.optional_text("detail"),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    document: JsonObject = field(repr=False)

    def text(self, key: str) -> str:
        value = self.document[key]
        if not isinstance(value, str):
            raise TypeError(key)
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.document[key] is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        found = as_list(self.document[key])
        if not all(isinstance(one, str) for one in found):
            raise TypeError(key)
        return tuple(map(str, found))

    def whole(self, key: str) -> int:
        value = self.document[key]
        if type(value) is not int:
            raise TypeError(key)
        return value

    def number(self, key: str) -> float:
        value = self.document[key]
        if type(value) not in (int, float) or not isinstance(value, int | float):
            raise TypeError(key)
        return float(value)
