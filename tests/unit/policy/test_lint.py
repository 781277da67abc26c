"""Lint: what the gate lets pass but a reviewer would not."""

from datetime import date

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.policy.lint import lint
from outrider.policy.world import read_language
from tests.support.policy import ENTRYPOINT, TRIAGE, write_tree

SHIPPED = shipped_rego()
TODAY = date(2026, 11, 23)
MAIN = 'package outrider\n\ndefault decision := {"effect": "deny"}\n\n'
LIB = "package outrider.lib\n\nfinding(code, effect, text, extra) := [code, effect, text, extra]\n"
ROW = {"mode": "enforce", "severity": "high", "owner": "security", "runbook": "https://x.test"}


def found(path, overlays=()):
    return [
        (one.check, one.file, one.message)
        for one in lint(
            path, overlays, library=SHIPPED, language=read_language(SHIPPED),
            entrypoint=ENTRYPOINT, today=TODAY,
        )
    ]  # fmt: skip


def checks(tmp_path, files):
    return [check for check, _, _ in found(write_tree(tmp_path, files))]


def test_the_shipped_library_is_clean():
    assert found(SHIPPED) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x if input.context.time.unix_s > 3", ["expression"], id="order"),
        pytest.param("x if 3 <= input.context.time.unix_s", ["expression"], id="order-right"),
        pytest.param("x if input.context.time.unix_s == 3", [], id="equality"),
        pytest.param(
            "x if { n := input.context.time.unix_s; is_number(n); n > 3 }", [], id="a-guarded-local"
        ),
        pytest.param(
            'x if glob.match("a*", [], input.resource.id)', ["expression"], id="glob-empty"
        ),
        pytest.param(
            'x if glob.match("a*", null, input.resource.id)', ["expression"], id="glob-null"
        ),
        pytest.param('x if glob.match("a*", ["/"], input.resource.id)', [], id="glob-named"),
        pytest.param("x if { y with input as {} }\ny := 1", ["expression"], id="with"),
        pytest.param("x if { nobody }", ["name"], id="the-gate-too"),
    ],
)
def test_expressions(tmp_path, text, expected):
    assert checks(tmp_path, {"outrider/main.rego": MAIN + text + "\n"}) == expected


@pytest.mark.parametrize(
    ("call", "head", "rules", "expected"),
    [
        pytest.param('"HD-01"', "# METADATA\n# id: HD-01\n", {"HD-01": ROW}, [], id="declared"),
        pytest.param('"HD-02"', "# METADATA\n# id: HD-01\n", {"HD-02": ROW}, ["code"], id="no-id"),
        pytest.param('"HD-01"', "# METADATA\n# id: HD-01\n", {}, ["code"] * 2, id="no-owner"),
        pytest.param(
            'concat("", ["H", "D"])', "# METADATA\n# id: HD-01\n", {}, ["code"], id="made"
        ),
    ],
)  # fmt: skip
def test_codes_are_written_out_declared_and_owned(tmp_path, call, head, rules, expected):
    files = {
        "outrider/main.rego": MAIN,
        "outrider/lib/lib.rego": LIB,
        "outrider/rules.rego": "package outrider.rules\n\n"
        "findings contains f if some f in data.outrider.rules.desk.findings\n",
        "outrider/rules/desk/desk.rego": "package outrider.rules.desk\n\n"
        "import data.outrider.lib\n\n"
        f'{head}findings contains lib.finding({call}, "deny", "m", {{}})\n',
        "outrider/rules/data.json": orjson.dumps(rules),
    }
    assert checks(tmp_path, files) == expected


def test_a_helper_may_hand_on_a_code_that_its_callers_write_out(tmp_path):
    files = {
        "outrider/main.rego": MAIN,
        "outrider/lib/lib.rego": LIB,
        "outrider/rules.rego": "package outrider.rules\n\n"
        "findings contains f if some f in data.outrider.rules.desk.findings\n",
        "outrider/rules/desk/desk.rego": "package outrider.rules.desk\n\n"
        "import data.outrider.lib\n\n"
        '_found(code) := lib.finding(code, "deny", "m", {})\n\n'
        '# METADATA\n# id: HD-01\nfindings contains _found("HD-01")\n',
        "outrider/rules/data.json": orjson.dumps({"HD-01": ROW}),
    }
    assert checks(tmp_path, files) == []


def test_a_controls_code_has_a_row_in_the_catalogue(tmp_path):
    files = {
        "outrider/main.rego": MAIN,
        "outrider/lib/lib.rego": LIB,
        "outrider/controls.rego": "package outrider.controls\n\n"
        "findings contains f if some f in data.outrider.controls.a.findings\n",
        "outrider/controls/a/a.rego": "package outrider.controls.a\n\nimport data.outrider.lib\n\n"
        '# METADATA\n# id: SQ-99\nfindings contains lib.finding("SQ-99", "deny", "m", {})\n',
        "outrider/rules/data.json": orjson.dumps({"SQ-99": ROW}),
    }
    assert checks(tmp_path, files) == ["code"]
    files["controls.yaml"] = "SQ-99: {title: x}\n"
    assert checks(tmp_path, files) == []


def test_a_stray_data_file_is_named(tmp_path):
    files = {"outrider/main.rego": MAIN, "outrider/manifest/crm.yaml": "a: 1\n"}
    assert found(write_tree(tmp_path, files)) == [
        ("stray", "outrider/manifest/crm.yaml", "no engine loads this file")
    ]


def test_an_outdated_index_is_named(tmp_path):
    files = {
        "outrider/main.rego": MAIN,
        "outrider/rules.rego": "package outrider.rules\n\n"
        "findings contains f if some f in data.outrider.rules.gone.findings\n",
    }
    assert checks(tmp_path, files) == ["index"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x if lib.known", ["import"], id="a-rule"),
        pytest.param("x if input.resource.id in lib.known", ["import"], id="in-a-collection"),
        pytest.param("x if data.outrider.lib.known", [], id="in-full"),
        pytest.param("x if lib.is_it(1)", [], id="a-function"),
        pytest.param('x if { lib := {"known": 1}; lib.known == 1 }', [], id="a-local-of-that-name"),
    ],
)
def test_a_rule_is_not_reached_by_an_import(tmp_path, text, expected):
    files = {
        "outrider/main.rego": MAIN.replace("default", "import data.outrider.lib\n\ndefault", 1)
        + text
        + "\n",
        "outrider/lib/lib.rego": "package outrider.lib\n\nknown := {1}\n\nis_it(x) if x == 1\n",
    }
    assert checks(tmp_path, files) == expected


EXCEPTION = {
    "code": "EF-01", "owner": "a", "reason": "b", "until": "2026-12-31", "ticket": "T-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, None, id="good"),
        pytest.param({"until": None}, "until is missing", id="for-ever"),
        pytest.param({"until": "soon"}, "no date", id="no-date"),
        pytest.param({"until": "2027-02-22"}, "90 days", id="91-days"),
        pytest.param({"until": "2027-02-21"}, None, id="90-days"),
        pytest.param({"until": "2026-12-07"}, "renew", id="14-days-left"),
        pytest.param({"until": "2026-12-08"}, None, id="15-days-left"),
        pytest.param({"owner": None}, "owner is missing", id="no-owner"),
        pytest.param({"code": "EF-00"}, "takes no exceptions", id="not-exemptible"),
        pytest.param({"code": "EF-77"}, "takes no exceptions", id="a-code-without-a-row"),
        pytest.param({"ticket": None}, "ticket is missing", id="no-ticket"),
        pytest.param({"subjekt": "x"}, "subjekt is not known here", id="a-key-misspelt"),
        pytest.param({"resource": 3}, "resource is no text", id="a-resource-that-is-none"),
        pytest.param({"resource": "crm/*"}, None, id="for-one-upstream"),
    ],
)
def test_exceptions_end_and_are_owned(tmp_path, changes, told):
    files = {
        "outrider/main.rego": MAIN,
        "controls.yaml": "EF-00: {exemptible: false}\nEF-01: {exemptible: true}\n",
        "outrider/exceptions/data.json": orjson.dumps({"x": EXCEPTION | changes}),
    }
    messages = [message for _, _, message in found(write_tree(tmp_path, files))]
    assert len(messages) == (told is not None)
    assert told is None or told in messages[0]


@pytest.mark.parametrize(
    ("name", "data", "wrong"),
    [
        pytest.param("tiers", {"high": {"enforce": {"SQ-03": "external"}}}, False, id="a-tier"),
        pytest.param("tiers", {"high": {"enforce": {"SQ-03": "allways"}}}, True, id="no-such-when"),
        pytest.param("tiers", {"top": {}}, True, id="no-such-tier"),
        pytest.param(
            "calendar", {"windows": {"a": {"tags": ["deploy"], "from": 480}}}, False, id="a-window"
        ),
        pytest.param("calendar", {"windows": {"a": {"from": 480}}}, True, id="of-nothing"),
        pytest.param("calendar", {"windows": {"a": {"tags": ["x"], "to": 1441}}}, True, id="late"),
        pytest.param("calendar", {"hours": {"Monday": {"from": 1, "to": 2}}}, True, id="no-day"),
        pytest.param("calendar", {"freezes": {"a": {"effects": ["pay"]}}}, True, id="for-ever"),
    ],
)
def test_calendar_and_tiers_are_held_against_theirs(tmp_path, name, data, wrong):
    files = {"outrider/main.rego": MAIN, f"outrider/{name}/data.json": orjson.dumps(data)}
    assert bool(found(write_tree(tmp_path, files))) is wrong


def test_data_is_held_against_the_schemas_that_ship(tmp_path):
    files = {
        "outrider/main.rego": MAIN,
        "outrider/agents/data.json": orjson.dumps({"spiffe://a.test/b": TRIAGE | {"staus": "x"}}),
    }
    problems = found(write_tree(tmp_path, files))
    assert {(check, file) for check, file, _ in problems} == {("data", "outrider/agents")}
    assert [message for _, _, message in problems if "staus" in message]
