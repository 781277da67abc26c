"""What the agent may ask of its own sidecar, under the prefix `/.outrider/` (CONTRACTS §4).

Laws: on egress alone, after the same authentication and quarantine check as any call; nothing of it
is ever forwarded; every answer and every refusal is recorded; an agent reaches no task but its own.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import orjson

from outrider.core.errors import EnforcementError, UnrecognisedError
from outrider.core.exchange import Reply
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import ActivePolicy, OwnTasks, TaskNames
from outrider.core.strict_json import read
from outrider.core.subject import Subject
from outrider.core.vocabulary import Direction, Reason, RecordKind
from outrider.pipeline import records
from outrider.pipeline.closing import Closing
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Passage
from outrider.pipeline.routing import RESERVED

BODY_BYTES: Final = 65_536
UPSTREAM: Final = "outrider"
"""Who is asked, where places are shared out among upstreams; no upstream is called so."""
_APPROVALS: Final = f"{RESERVED}approvals/"

_Ask: TypeAlias = Callable[[Subject, TaskNames, ActivePolicy, Json], Awaitable[JsonObject]]


class OwnEndpoints:
    """Answers what is asked under the reserved prefix, where there is anybody to answer it."""

    def __init__(self, parts: Parts, closing: Closing) -> None:
        self._parts = parts
        self._closing = closing

    def asked(self, passage: Passage) -> bool:
        """Whether an exchange is for us and nobody else."""
        return (
            passage.exchange.direction is Direction.EGRESS
            and passage.head.path.startswith(RESERVED)
            and not passage.head.absolute
            and self._parts.own is not None
        )

    async def answer(self, passage: Passage) -> Reply:
        """Raises `EnforcementError`, as any stage does; the last door refuses in plain HTTP."""
        own, subject = self._parts.own, passage.subject
        if own is None or subject is None:
            raise RuntimeError("asked before authentication")
        method, path = passage.head.method, passage.head.path
        operations = _operations(own)
        if path.startswith(_APPROVALS):
            raise UnrecognisedError("no such approval", cause="approval")
        methods = {verb: ask for (verb, place), ask in operations.items() if place == path}
        if not methods:
            raise UnrecognisedError("no such operation of the sidecar's own", cause="own")
        ask = methods.get(method)
        if ask is None:
            raise EnforcementError(
                "another method is asked for here",
                reason=Reason.UNRECOGNISED,
                status=405,
                allow_methods=tuple(methods),
            )
        passage.give_back = await self._parts.slots.enter(subject.id, UPSTREAM)
        policy = self._parts.decider.active()
        names = TaskNames(header=passage.task_header, message=None)
        found = await ask(subject, names, policy, await self._body(passage))
        await self._record(passage, f"{method} {path}", found)
        return self._reply(passage, found, 201 if path.endswith("/child") else 200)

    async def _body(self, passage: Passage) -> Json:
        if not passage.head.has_body:
            return None
        passage.body_read = True
        data = await passage.exchange.body.read(BODY_BYTES)
        return read(data) if data else None

    async def _record(self, passage: Passage, operation: str, found: JsonObject) -> None:
        """`operation` is of a closed set by now."""
        parts = self._parts
        record = records.base(
            RecordKind.ADMIN, parts.clock, passage.exchange, passage.subject, None
        )
        record["task"] = found.get("id")
        record["admin"] = {"operation": operation, "result": "ok"}
        await parts.audit.append(record, durable=False)

    def _reply(self, passage: Passage, found: JsonObject, status: int) -> Reply:
        return Reply(
            status=status,
            headers=(("content-type", "application/json"), ("cache-control", "no-store")),
            body=orjson.dumps(found),
            settle=partial(self._closing.settle, passage),
        )


def _operations(own: OwnTasks) -> dict[tuple[str, str], _Ask]:
    async def show(
        subject: Subject, names: TaskNames, policy: ActivePolicy, _body: Json
    ) -> JsonObject:
        return await own.show(subject, names, policy)

    return {
        ("GET", f"{RESERVED}task"): show,
        ("POST", f"{RESERVED}task/narrow"): own.narrow,
        ("POST", f"{RESERVED}task/child"): own.child,
        ("POST", f"{RESERVED}task/end"): own.end,
    }
