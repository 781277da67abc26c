"""A task with its parents: what it may do now, whose budgets it draws from."""

from dataclasses import replace

from outrider.core.vocabulary import ActionEffect
from outrider.tasks.chain import bound_of
from tests.support.builders import a_grant
from tests.support.tasks import a_registered_task

ROOT = a_registered_task(id="tsk_r", grant=a_grant(calls=10), grant_revision=3)
CHILD = a_registered_task(
    id="tsk_c", parent="tsk_r", root="tsk_r", parent_revision=3, grant=a_grant(calls=4)
)


def test_a_root_is_bound_under_itself() -> None:
    bound = bound_of((ROOT,))
    assert (bound.id, bound.root_id, bound.standing) == ("tsk_r", "tsk_r", False)
    assert (bound.principal, bound.tenant) == ("oidc:alice@corp", "acme")
    assert [(one.task, one.limits.calls) for one in bound.lineage] == [("tsk_r", 10)]
    assert (bound.grant, bound.grant_revision) == (ROOT.grant, 3)


def test_a_child_draws_from_its_parents_too() -> None:
    bound = bound_of((CHILD, ROOT))
    assert (bound.id, bound.root_id) == ("tsk_c", "tsk_r")
    assert [(one.task, one.limits.calls) for one in bound.lineage] == [("tsk_c", 4), ("tsk_r", 10)]
    assert (bound.grant, bound.grant_revision) == (CHILD.grant, 1)


def test_what_the_parent_lost_the_child_has_lost_and_its_revision_tells() -> None:
    less = replace(ROOT, grant=a_grant(effects=["read"], calls=2), grant_revision=4)
    bound = bound_of((CHILD, less))
    assert bound.grant.effects == {ActionEffect.READ}
    assert bound.grant_revision == 2
    assert [one.limits.calls for one in bound.lineage] == [4, 2]


def test_over_two_generations() -> None:
    grandchild = replace(CHILD, id="tsk_g", parent="tsk_c", parent_revision=1)
    less = replace(ROOT, grant=a_grant(tools=["crm/get_*"]), grant_revision=5)
    bound = bound_of((grandchild, CHILD, less))
    assert bound.grant.tools == ("crm/get_*",)
    assert (bound.root_id, bound.grant_revision) == ("tsk_r", 3)
