"""A pack is a folder's worth of policy in one file; what it may not hold is refused by name."""

import orjson
import pytest

from outrider.core.errors import ConfigError
from outrider.policy.bundle import read
from outrider.policy.packs import change_rules, unpack
from outrider.policy.release import load
from tests.support.policy import ALLOW_ALL, TRIAGE, write_tree

AGENT = "spiffe://acme.test/ns/a/sa/b"


def test_each_section_stands_where_a_folder_would_have_it():
    files = unpack(
        "mine",
        {
            "about": "x",
            "tiers": {"low": {}},
            "manifest": {"crm": {"owner": "a"}},
            "suites": {"first": {"base": "mcp_call", "cases": []}},
        },
    ).files
    assert {name: orjson.loads(text) for name, text in files.items()} == {
        "outrider/tiers/data.json": {"low": {}},
        "outrider/manifest/crm/data.json": {"owner": "a"},
        "packs/mine/first.suite.yaml": {
            "suite": "first",
            "base": "../../fixtures/mcp_call.yaml",
            "cases": [],
        },
    }


@pytest.mark.parametrize(
    ("document", "told"),
    [
        pytest.param([], "is an object", id="a-list"),
        pytest.param(None, "is an object", id="nothing"),
        pytest.param({"modules": {}}, "modules is nothing", id="a-key-nobody-knows"),
        pytest.param({"agents": []}, "agents is no object", id="agents-as-a-list"),
        pytest.param({"rules": "off"}, "rules is no object", id="rules-as-a-word"),
        pytest.param({"manifest": {"../x": {}}}, "no name of an upstream", id="a-step-up"),
    ],
)
def test_what_is_no_pack_is_refused(document, told):
    with pytest.raises(ConfigError, match=told):
        unpack("mine", document)


def test_settings_change_key_by_key():
    rules = {"EF-02": {"mode": "enforce", "limits": {"pay_auto": 0, "other": 1}}}
    data = {"outrider": {"rules": rules}}
    changes = {"EF-02": {"mode": "shadow", "limits": {"pay_auto": 50}}}
    change_rules(data, unpack("mine", {"rules": changes}))
    assert rules == {"EF-02": {"mode": "shadow", "limits": {"pay_auto": 50, "other": 1}}}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"EF-99": {"mode": "off"}}, id="a-code-nobody-has"),
        pytest.param({"EF-02": "off"}, id="no-object"),
    ],
)
def test_settings_of_what_is_not_there_are_refused(changes):
    data = {"outrider": {"rules": {"EF-02": {"mode": "enforce"}}}}
    with pytest.raises(ConfigError, match="to change"):
        change_rules(data, unpack("mine", {"rules": changes}))


def test_a_pack_is_laid_over_and_is_part_of_the_revision(tmp_path):
    root = write_tree(
        tmp_path / "tree",
        {
            "outrider/main.rego": ALLOW_ALL,
            "outrider/agents/data.json": orjson.dumps({AGENT: TRIAGE}),
            "outrider/rules/data.yaml": "EF-02: {mode: enforce}\n",
        },
    )
    pack = tmp_path / "mine.yaml"
    pack.write_text('agents: {}\nrules: {EF-02: {mode: "off"}}\n', encoding="utf-8")
    tree = read(root, [pack])
    assert tree.data["outrider"] == {"agents": {}, "rules": {"EF-02": {"mode": "off"}}}
    assert load(root, [pack]).digest != load(root).digest
    digest = load(root, [pack]).digest
    pack.write_text('agents: {}\nrules: {EF-02: {mode: "shadow"}}\n', encoding="utf-8")
    assert load(root, [pack]).digest != digest


def test_a_pack_that_lies_in_the_tree_changes_nothing_by_itself(tmp_path):
    root = write_tree(
        tmp_path, {"outrider/main.rego": ALLOW_ALL, "packs/mine.yaml": "agents: {}\n"}
    )
    assert "agents" not in load(root).data["outrider"]


def test_a_pack_that_cannot_be_read_is_told(tmp_path):
    root = write_tree(tmp_path, {"outrider/main.rego": ALLOW_ALL})
    (tmp_path / "mine.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"mine\.yaml: not UTF-8"):
        read(root, [tmp_path / "mine.yaml"])
