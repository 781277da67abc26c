from typing import Any

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.ownership import lacking, overdue_s, refuse_lacking
from outrider.policy.release import assemble, load
from tests.support.policy import ALLOW_ALL, a_release, a_tree

AGENT: Any = {
    "owner": "t",
    "sponsor": "p",
    "escalation": "leads",
    "class": "internal",
    "tier": "low",
    "environment": "dev",
    "status": "active",
    "review_by": "2027-11-30",
}
ONE = "data.outrider.agents['spiffe://a.test/one']"
UPSTREAM: Any = {"owner": "t", "escalation": "leads", "review_by": "2027-11-30"}
RULE: Any = {"mode": "enforce", "severity": "high", "owner": "t", "runbook": "u"}
OWNED: Any = RULE | {"escalation": "leads", "review_by": "2027-11-30"}
LEADS: Any = {"members": ["a"], "deadline": 900, "backup": "others"}
OTHERS: Any = {"members": ["b"], "deadline": 900, "backup": "leads"}
WHOLE: Any = {
    "agents": {"spiffe://a.test/one": AGENT},
    "manifest": {"crm": UPSTREAM},
    "rules": {"EF-01": OWNED | {"approval": {"group": "leads"}}, "helpdesk": {}},
    "groups": {"leads": LEADS, "others": OTHERS},
}


def test_what_is_whole_lacks_nothing() -> None:
    assert lacking(WHOLE) == ()


def without(entry: Any, *keys: str) -> Any:
    return {key: value for key, value in entry.items() if key not in keys}


@pytest.mark.control("IR-01")
@pytest.mark.control("GV-01")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"agents": {"spiffe://a.test/one": without(AGENT, "sponsor", "review_by")}},
            [
                "data.outrider.agents['spiffe://a.test/one']: sponsor is missing",
                "data.outrider.agents['spiffe://a.test/one']: review_by is missing",
            ],
            id="an-agent",
        ),
        pytest.param(
            {"agents": {"spiffe://a.test/one": AGENT | {"review_by": "soon"}}},
            [f"{ONE}: review_by is 'soon'; give a day such as 2027-11-30"],
            id="no-day",
        ),
        pytest.param(
            {"agents": {"spiffe://a.test/one": {"status": "offboarded"}}}, [], id="who-is-gone"
        ),
        pytest.param(
            {"manifest": {"crm": {"owner": ""}}},
            [
                "data.outrider.manifest.crm: owner is missing",
                "data.outrider.manifest.crm: escalation is missing",
                "data.outrider.manifest.crm: review_by is missing",
            ],
            id="an-upstream",
        ),
        pytest.param(
            {"rules": {"EF-01": RULE}},
            [
                "data.outrider.rules.EF-01: escalation is missing",
                "data.outrider.rules.EF-01: review_by is missing",
            ],
            id="a-grave-rule",
        ),
        pytest.param({"rules": {"EF-01": RULE | {"severity": "medium"}}}, [], id="a-mild-rule"),
        pytest.param({"rules": {"EF-01": RULE | {"mode": "off"}}}, [], id="a-rule-that-is-off"),
        pytest.param(
            {
                "rules": {"EF-01": RULE},
                "ownership": {"rules": {"escalation": "leads", "review_by": "2027-11-30"}},
            },
            [],
            id="a-rule-that-its-default-answers-for",
        ),
        pytest.param(
            {"rules": {"EF-01": without(OWNED, "runbook")}},
            ["data.outrider.rules.EF-01: runbook is missing"],
            id="no-runbook",
        ),
        pytest.param(
            {"groups": {"leads": LEADS | {"members": []}, "others": OTHERS}},
            ["data.outrider.groups.leads: members is missing"],
            id="a-group-of-nobody",
        ),
        pytest.param(
            {"groups": {"leads": {"members": ["a"], "deadline": 0, "backup": "leads"}}},
            [
                "data.outrider.groups.leads: deadline is missing",
                "data.outrider.groups.leads: backup names no other group",
            ],
            id="a-group-without-backup",
        ),
        pytest.param(
            {"rules": {"EF-01": OWNED | {"approval": {"group": "none"}}}},
            ["data.outrider.rules.EF-01: the group none of its approval is not there"],
            id="an-approval-nobody-gives",
        ),
    ],
)
def test_whoever_is_missing_is_named(changes: Any, expected: list[str]) -> None:
    assert list(lacking(WHOLE | changes)) == expected


def test_production_refuses_with_the_whole_list_and_others_load() -> None:
    data: Any = WHOLE | {"manifest": {"crm": {}, "mail": {}}}
    assert len(a_release(ALLOW_ALL, data).lacking) == 6
    with pytest.raises(ConfigError) as refused:
        assemble(a_tree(ALLOW_ALL, data), revision="r", digest="d", hosts={}, complete=True)
    assert str(refused.value).count("is missing") == 6


def test_a_long_list_is_told_in_part() -> None:
    with pytest.raises(ConfigError) as refused:
        refuse_lacking(tuple(f"line {number}" for number in range(60)))
    assert str(refused.value).splitlines()[-1] == "and 10 more"
    refuse_lacking(())


def test_what_ships_is_answered_for() -> None:
    assert load(shipped_rego(), complete=True).lacking == ()


@pytest.mark.control("GV-05")
@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        pytest.param("2026-11-22", 9.5 * 3600, id="yesterday"),
        pytest.param("2026-11-23", 0, id="today"),
        pytest.param("2026-11-24", 0, id="tomorrow"),
        pytest.param(None, 0, id="nothing-said"),
        pytest.param("2026-13-01", 0, id="no-day"),
    ],
)
def test_a_review_is_overdue_once_its_day_is_over(due: Any, seconds: float) -> None:
    assert overdue_s(due, 1_795_426_200.0) == seconds  # 2026-11-23T09:30:00Z
