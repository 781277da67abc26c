"""The catalogue's page: made from rows and settings, and told where it is not."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.policy.bundle import read
from outrider.policy.catalogue import catalogue_page, is_outdated
from outrider.policy.lint import lint
from outrider.policy.world import read_language
from tests.support.policy import ALLOW_ALL, ENTRYPOINT, a_tree, write_tree
from tests.unit.policy.test_lint import TODAY

ROW = {
    "title": "Payment",
    "control": "P",
    "enforces": "a | b",
    "severity": "high",
    "refs": ["ASI02", "T2"],
    "exemptible": True,
    "package": "outrider.controls.payment",
}


def lines(row, rules=None):
    page = catalogue_page(a_tree(catalogue={"EF-02": row}, data={"rules": rules or {}}))
    assert page is not None
    return [line for line in page.splitlines() if line.startswith("| EF-02")]


@pytest.mark.parametrize(
    ("change", "rules", "told"),
    [
        pytest.param({}, {}, "[`payment`](outrider/controls/payment)", id="where-it-is"),
        pytest.param({}, {}, "a \\| b", id="a-bar-is-no-column"),
        pytest.param({}, {"EF-02": {"mode": "shadow"}}, "| shadow |", id="its-mode"),
        pytest.param({}, {"EF-02": {"severity": "low"}}, "| low |", id="severity-of-the-settings"),
        pytest.param({"package": None}, {}, "the sidecar", id="the-sidecars-own"),
        pytest.param(
            {"package": None, "waits_for": "approvals"}, {}, "waits for approvals", id="waits"
        ),
        pytest.param({"refs": []}, {}, "| - |", id="nothing-to-say"),
    ],
)
def test_a_row_says_what_it_is(change, rules, told):
    (line,) = lines(ROW | change, rules)
    assert told in line
    assert line.replace("\\|", "").count("|") == 9


def test_a_tree_without_a_catalogue_has_no_page():
    assert catalogue_page(a_tree()) is None


def test_a_page_that_is_not_what_is_made_is_told(tmp_path):
    root = write_tree(
        tmp_path,
        {
            "outrider/main.rego": ALLOW_ALL,
            "controls.yaml": "EF-02: {title: Payment, package: null}\n",
        },
    )
    assert not is_outdated(root, read(root))
    (root / "CATALOGUE.md").write_text("# Mine\n", encoding="utf-8")
    found = lint(
        root,
        library=shipped_rego(),
        language=read_language(shipped_rego()),
        entrypoint=ENTRYPOINT,
        today=TODAY,
    )
    assert [(one.check, one.file) for one in found] == [("index", "CATALOGUE.md")]


def test_the_shipped_page_is_what_is_made():
    assert (shipped_rego() / "CATALOGUE.md").is_file()
    assert not is_outdated(shipped_rego(), read(shipped_rego()))
