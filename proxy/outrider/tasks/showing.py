"""A task in words for those who may look at it: operators, and its own agent."""

from outrider.core.clock import rfc3339
from outrider.core.jsonvalue import Json, JsonObject
from outrider.tasks.task import Task


def events_of(task: Task) -> list[Json]:
    """What happened to `task`, the latest last."""
    return [
        {"event": one.name, "at": rfc3339(one.unix_s), "by": one.by, "detail": one.detail}
        for one in task.events
    ]


def shown(task: Task, *, whole: bool = True) -> JsonObject:
    """`task` as its own agent and operators see it. Anchors are not shown, only that there are."""
    found: JsonObject = {
        "id": task.id,
        "agent": task.agent,
        "state": task.state.value,
        "purpose": task.purpose,
        "template": task.template,
        "principal": task.principal.id,
        "parent": task.parent,
        "root": task.root_id,
        "created": rfc3339(task.created_unix_s),
        "deadline": rfc3339(task.deadline_unix_s),
        "grant_revision": task.grant_revision,
        "end": task.end.value if task.end else None,
        "ended": rfc3339(task.ended_unix_s) if task.ended_unix_s is not None else None,
    }
    if whole:
        children: list[Json] = [*task.children]
        found |= {
            "purpose_digest": task.purpose_digest,
            "anchors": len(task.anchors),
            "grant": task.grant.document,
            "registered_by": task.registered_by,
            "children": children,
        }
    return found
