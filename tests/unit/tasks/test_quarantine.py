"""Who is cut off is refused before anything else."""

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.vocabulary import Reason
from outrider.tasks.quarantine import QuarantineList, Scope

NAMES = {"agent": "spiffe://a/b", "task": "tsk_1", "tool": "crm/x", "upstream": "crm"}


def test_nobody_is_cut_off_at_first():
    QuarantineList().check(**NAMES)


@pytest.mark.control("SC-04")
@pytest.mark.parametrize("scope", list(Scope))
def test_what_is_cut_off_is_refused_until_lifted(scope):
    quarantine = QuarantineList()
    quarantine.cut(scope, NAMES[scope])
    with pytest.raises(EnforcementError) as refusal:
        quarantine.check(**NAMES)
    assert (refusal.value.reason, refusal.value.cause) == (Reason.QUARANTINED, scope.value)
    quarantine.lift(scope, NAMES[scope])
    quarantine.check(**NAMES)


def test_a_name_is_cut_off_in_its_own_scope_alone():
    quarantine = QuarantineList()
    quarantine.cut(Scope.TASK, "crm")
    quarantine.check(**NAMES)
    quarantine.check(agent="x")


def test_the_list_is_bounded():
    quarantine = QuarantineList(limit=1)
    quarantine.cut(Scope.AGENT, "a")
    quarantine.cut(Scope.AGENT, "a")
    with pytest.raises(ValueError, match="more than 1"):
        quarantine.cut(Scope.AGENT, "b")


def test_who_is_out_by_status_is_refused_until_the_data_says_otherwise():
    quarantine = QuarantineList()
    quarantine.out_by_status(frozenset({NAMES["agent"], "spiffe://a/other"}))
    with pytest.raises(EnforcementError) as refusal:
        quarantine.check(agent=NAMES["agent"])
    assert (refusal.value.reason, refusal.value.cause) == (Reason.QUARANTINED, "status")
    quarantine.check(agent="spiffe://a/b/c")
    quarantine.out_by_status(frozenset())
    quarantine.check(**NAMES)


def test_what_is_cut_off_is_counted_by_scope_and_who_is_out_by_status_as_an_agent():
    quarantine = QuarantineList()
    quarantine.cut(Scope.AGENT, "a")
    quarantine.cut(Scope.TOOL, "t")
    quarantine.out_by_status(frozenset({"b", "c"}))
    assert quarantine.counts() == {"agent": 3, "tool": 1}
    quarantine.lift(Scope.TOOL, "t")
    assert quarantine.counts() == {"agent": 3}
