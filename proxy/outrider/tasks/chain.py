"""A task with its parents: what it may do now, and whose budgets it draws from."""

from itertools import pairwise
from typing import Final

from outrider.core.grant import meet, narrower
from outrider.core.task import Allowance, BoundTask
from outrider.tasks.task import Task

DEPTH: Final = 4
"""Parents above a task at most."""


def bound_of(chain: tuple[Task, ...]) -> BoundTask:
    """`chain[0]`, whose parent is `chain[1]` and so on up to the root, as a call is bound to it.

    What a parent's grant lost since its child's birth the child has lost too, and the child's
    revision grows with it.
    """
    task = chain[0]
    grant, revision = task.grant, task.grant_revision
    for child, parent in pairwise(chain):
        revision += parent.grant_revision - child.parent_revision
        if not narrower(grant, parent.grant):
            grant = meet(grant, parent.grant)
    return BoundTask(
        id=task.id,
        purpose=task.purpose,
        purpose_digest=task.purpose_digest,
        grant=grant,
        grant_revision=revision,
        standing=False,
        principal=task.principal.id,
        tenant=task.principal.tenant,
        acr=task.principal.acr,
        auth_time=task.principal.auth_time,
        template=task.template,
        deadline_unix_s=task.deadline_unix_s,
        root=task.root_id,
        lineage=tuple(Allowance(task=one.id, limits=one.grant.limits) for one in chain),
        anchors=task.anchors,
        usual=task.usual,
    )
