"""The settings are data: modes, templates and grants."""

import pytest
import yaml

from outrider.core.grant import parse_grant
from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read
from tests.scorecard import manifest
from tests.scorecard.data import EXPECTED, SUITES, Call, Suite, Task
from tests.scorecard.manifest import POLICY
from tests.scorecard.variants import (
    AGENT,
    DEFAULT_HOLDS,
    FURTHER,
    LIBRARY,
    MAIN,
    Granting,
    Setting,
    grant_of,
    kinds,
    reading_tools,
    rules,
    template_of,
    without,
    write_overlay,
)

SHIPPED = {
    "PV-01": {"mode": "enforce", "limits": {"before_untrusted": []}},
    "PV-02": {"mode": "off", "limits": {"strict": False}},
    "EF-02": {"mode": "enforce", "owner": "security"},
    "SQ-03": {"mode": "shadow"},
}
TASK = Task(
    id="user_task_0",
    prompt="p",
    calls=(Call(tool="get_iban", arguments={}), Call(tool="send_money", arguments={})),
    useful=True,
    exposed_at=None,
    vectors=(),
)
BANKING = Suite(name="banking", tools=(), tasks=(TASK,), goals=())


def modes_of(setting):
    return {code: one["mode"] for code, one in rules(setting, SHIPPED).items()}


def named(name):
    return next(setting for setting in (*MAIN, *FURTHER) if setting.name == name)


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("none", ["off", "off", "off", "off"]),
        ("scope", ["off", "off", "off", "off"]),
        ("prov", ["enforce", "off", "off", "off"]),
        ("scope+prov", ["enforce", "off", "off", "off"]),
        ("scope+prov+strict", ["enforce", "enforce", "off", "off"]),
        ("shipped", ["enforce", "off", "enforce", "shadow"]),
        ("shipped, no default holds", ["enforce", "off", "off", "shadow"]),
    ],
)
def test_a_setting_turns_on_what_it_names_and_nothing_else(name, modes):
    assert list(modes_of(named(name)).values()) == modes


def test_an_ablation_takes_one_control_away():
    base, one = modes_of(named("shipped, no default holds")), modes_of(without("PV-01"))
    assert {code for code in base if base[code] != one[code]} == {"PV-01"}


def test_what_a_setting_does_not_name_is_kept():
    changed = rules(named("scope+prov+strict"), SHIPPED)
    assert changed["PV-02"]["limits"] == {"strict": True}
    assert changed["PV-01"]["limits"] == {"before_untrusted": []}
    assert changed["EF-02"]["owner"] == "security"


def test_scope_grants_the_tools_of_the_tasks_own_ground_truth():
    granted = grant_of(named("scope"), BANKING, TASK)
    assert granted["tools"] == ["banking/get_iban", "banking/send_money"]
    assert grant_of(named("prov"), BANKING, TASK) is None


@pytest.mark.parametrize(
    ("granting", "template"),
    [
        (Granting.BROAD, "banking-any"),
        (Granting.SCOPE, "banking-any"),
        (Granting.TEMPLATE, "banking-payment"),
    ],
)
def test_a_task_is_registered_with_the_template_of_its_kind(granting, template):
    setting = Setting(name="s", granting=granting)
    assert template_of(setting, "banking", TASK, kinds()) == template


def test_every_task_has_a_kind_and_every_kind_a_template():
    templates = yaml.safe_load((POLICY / "outrider/templates/data.yaml").read_text("utf-8"))
    found = kinds()
    assert len(found) == EXPECTED["tasks"]
    assert {f"{name.partition('/')[0]}-{kind}" for name, kind in found.items()} == set(templates)


def test_the_manifest_describes_every_tool():
    documents = {
        suite: yaml.safe_load((POLICY / f"outrider/manifest/{suite}/data.yaml").read_text("utf-8"))
        for suite in SUITES
    }
    read_back = parse_manifest(documents)
    assert sum(len(one.tools) for one in read_back.upstreams.values()) == EXPECTED["tools"]
    assert len(reading_tools()) == 47


def test_the_labels_are_those_frozen_before_any_attack_was_looked_at():
    assert manifest.is_frozen()


def test_one_changed_byte_is_no_longer_what_was_frozen(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1\n")
    before = manifest.digest(tmp_path)
    (tmp_path / "a.yaml").write_text("x: 2\n")
    assert manifest.digest(tmp_path) != before
    assert not manifest.is_frozen(tmp_path)


def test_an_overlay_reads_as_policy_and_names_no_control_that_is_not_shipped(tmp_path):
    tree = read(LIBRARY, [POLICY, write_overlay(named("scope+prov"), tmp_path)])
    outrider = tree.data["outrider"]
    assert set(outrider["agents"]) == {AGENT}
    enforced = {
        code
        for code, one in outrider["rules"].items()
        if isinstance(one, dict) and one.get("mode") == "enforce"
    }
    assert enforced == {"PV-01"}
    assert outrider["rules"].keys() >= DEFAULT_HOLDS
    for template in outrider["templates"].values():
        parse_grant(template["grant"], "template")
        assert template["register"]["agents"] == [AGENT]
