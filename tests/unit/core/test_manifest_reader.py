from typing import Any

import pytest

from outrider.core.catalogue import ResultField
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from outrider.core.manifest import parse_manifest
from outrider.core.vocabulary import ActionEffect, FieldLabel, Sensitivity
from tests.support.builders import CRM


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param({"effect": "read"}, ("read", True, "low"), id="read"),
        pytest.param({"effect": "write"}, ("write", False, "high"), id="write"),
        pytest.param({}, ("execute", False, "high"), id="nothing-said"),
        pytest.param(
            {"effect": "write", "reversible": True, "impact": "low"},
            ("write", True, "low"),
            id="all",
        ),
        pytest.param(
            {"effect": "read", "impact": "low", "unwrap": {"name": "$.tool", "arguments": "$.a"}},
            ("execute", False, "high"),
            id="a-meta-tool",
        ),
    ],
)
def test_what_an_entry_leaves_out_is_read_carefully(entry: Any, expected: Any) -> None:
    manifest = parse_manifest({"x": {"tools": {"t": entry}}})
    tool = manifest.upstreams["x"].tools["t"]
    assert (tool.effect.value, tool.reversible, tool.impact.value) == expected
    assert tool.sensitivity is Sensitivity.CONFIDENTIAL


def test_an_upstream_says_its_defaults_zone_credential_and_tenant() -> None:
    manifest = parse_manifest(
        {
            "a": {
                "tenant": "acme",
                "credential": "none",
                "default": {
                    "effect": "write",
                    "reversible": True,
                    "impact": "low",
                    "sensitivity": "public",
                },
                "tools": {"t": {"tags": ["guard"], "records": "$.x"}},
            },
            "b": {},
        },
        {"domains": {"*.internal": "internal"}},
        hosts={"a": "a.example:443", "b": "b.internal:443"},
    )
    first, second = manifest.upstreams["a"], manifest.upstreams["b"]
    assert (first.tenant, first.takes_credential, first.zone) == ("acme", False, "external")
    assert (first.default.effect, first.default.declared) == (ActionEffect.WRITE, False)
    assert first.tools["t"].sensitivity is Sensitivity.PUBLIC
    assert first.tools["t"].tags == ("guard",)
    assert (second.tenant, second.takes_credential, second.zone) == (None, True, "internal")
    assert parse_manifest(None).upstreams == {}


def test_results_and_operations_are_read() -> None:
    manifest = parse_manifest(
        {
            "x": {
                "tools": {
                    "t": {
                        "result": [
                            {"path": "$.a", "label": "platform", "match": "exact"},
                            {"path": "$.b", "when": {"argument": "/p", "prefix": "/h"}},
                            {"path": "$.c", "creates": True},
                        ],
                        "arguments": {"/rows/*/to/*": {"role": "destination", "type": "url"}},
                    }
                },
                "operations": {
                    "POST /a/{b}/c": {"operation_id": "op", "opaque": True, "array_fields": ["n"]}
                },
            }
        }
    )
    operation = manifest.upstreams["x"].operations["POST /a/{b}/c"]
    assert (operation.operation_id, operation.opaque, operation.array_fields) == (
        "op",
        True,
        frozenset({"n"}),
    )
    tool = manifest.upstreams["x"].tools["t"]
    assert tool.arguments[0].pointer == "/rows/*/to"
    assert tool.result == (
        ResultField(path=("a",), label=FieldLabel.PLATFORM, exact=True),
        ResultField(path=("b",), when=("/p", "/h")),
        ResultField(path=("c",), creates=True),
    )
    assert tool.records is None


def test_what_is_counted_is_a_path_too() -> None:
    manifest = parse_manifest({"x": {"tools": {"t": {"records": "$.pages[*].items"}}}})
    assert manifest.upstreams["x"].tools["t"].records == ("pages", "*", "items")


@pytest.mark.parametrize("whole", [True, False], ids=["line", "tool"])
def test_what_nobody_confirmed_makes_no_field_trusted_but_warns_still(whole: bool) -> None:
    lines: list[JsonObject] = [
        {"path": "$.a", "label": "platform"},
        {"path": "$.b", "label": "secret"},
        {"path": "$.c", "label": "pii", "creates": True},
        {"path": "$.d", "creates": True},
    ]
    tool: JsonObject = {"effect": "read", "result": [*lines]}
    for one in lines if whole else [tool]:
        one["confirmed"] = False
    manifest = parse_manifest({"x": {"tools": {"t": tool}}})
    (line,) = manifest.upstreams["x"].tools["t"].result
    assert (line.path, line.label) == (("b",), FieldLabel.SECRET)


@pytest.mark.parametrize(
    ("confirmed", "guesses", "expected"),
    [
        pytest.param(False, False, ("execute", False, "high", "confidential"), id="a-guess"),
        pytest.param(False, True, ("read", True, "low", "internal"), id="guesses-are-taken"),
        pytest.param(True, False, ("read", True, "low", "internal"), id="a-person-looked"),
    ],
)
def test_what_nobody_confirmed_counts_as_unsaid(
    confirmed: bool, guesses: bool, expected: Any
) -> None:
    entry: Any = {"effect": "read", "sensitivity": "internal", "confirmed": confirmed}
    document: Any = {"x": {"tools": {"t": entry}, "operations": {"GET /a": entry}}}
    upstream = parse_manifest(document, guesses=guesses).upstreams["x"]
    for found in (upstream.tools["t"], upstream.operations["GET /a"]):
        assert (
            found.effect.value, found.reversible, found.impact.value, found.sensitivity.value
        ) == expected  # fmt: skip
        assert found.declared


def test_a_guess_lowers_no_sensitivity() -> None:
    entry: Any = {"effect": "read", "sensitivity": "secret", "confirmed": False}
    found = parse_manifest({"x": {"tools": {"t": entry}}}).upstreams["x"].tools["t"]
    assert found.sensitivity is Sensitivity.SECRET


def tool(**entry: Any) -> dict[str, Any]:
    return {"crm": CRM | {"tools": {"t": entry}}}


def operation(key: str, **entry: Any) -> dict[str, Any]:
    return {"crm": {"operations": {key: entry}}}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "manifest: give a map"),
        ({"Crm": {}}, "'Crm' is no name of an upstream"),
        ({"crm": []}, "crm: give a map"),
        ({"crm": {"tool": {}}}, "crm.tool is unknown; give one of credential, default"),
        ({"crm": {"owner": 1}}, "crm.owner is 1"),
        ({"crm": {"owner": ""}}, "crm.owner is ''"),
        ({"crm": {"destination": {"host": "x"}}}, "crm.destination.host is unknown"),
        ({"crm": {"credential": "bao"}}, "crm.credential is 'bao'; give none"),
        (
            {"crm": {"default": {"effect": "reed"}}},
            "crm.default.effect is 'reed'; give one",
        ),
        ({"crm": {"default": {"tags": []}}}, "crm.default.tags is unknown"),
        ({"crm": {"tools": []}}, "crm.tools: give a map"),
        (tool(effect=None), "crm.tools.t.effect is None"),
        (tool(effect="READ"), "crm.tools.t.effect is 'READ'"),
        (tool(reversible="no"), "crm.tools.t.reversible is 'no'; give true or false"),
        (tool(impact="medium"), "crm.tools.t.impact is 'medium'; give one of high, low"),
        (tool(sensitivity="top"), "crm.tools.t.sensitivity is 'top'"),
        (tool(tags=["x"]), "crm.tools.t.tags is 'x'; give one of autostart"),
        (tool(tags="guard"), "crm.tools.t.tags: give a list"),
        (tool(opaque=True), "crm.tools.t.opaque is unknown"),
        (tool(unwrap={"tool": "x"}), "crm.tools.t.unwrap.tool is unknown"),
        (tool(unwrap={"name": "$.tool"}), "unwrap.arguments is ''; give a path of names"),
        (tool(unwrap={"name": "tool", "arguments": "$.a"}), "unwrap.name is 'tool'"),
        (tool(unwrap={"name": "$", "arguments": "$.a"}), "unwrap.name is '$'"),
        (tool(unwrap={"name": "$.a[*]", "arguments": "$.a"}), "unwrap.name is '$.a[*]'"),
        (
            tool(unwrap={"name": "$.t", "arguments": "$.a", "upstream": "gone"}),
            "crm.tools.t.unwrap.upstream is 'gone'; give an upstream of the manifest",
        ),
        (tool(offers={"items": "$.x"}), "crm.tools.t.offers.name is ''; give a path of names"),
        (tool(offers={"items": "$.x[*]", "name": "$.n"}), "crm.tools.t.offers.items is '$.x[*]'"),
        (
            tool(offers={"items": "$.x", "name": "$.n", "upstream": "gone"}),
            "crm.tools.t.offers.upstream is 'gone'; give an upstream of the manifest",
        ),
        (tool(confirmed="no"), "crm.tools.t.confirmed is 'no'; give true or false"),
        (tool(arguments={"to": {"role": "content", "confirmed": 0}}), "to.confirmed is 0"),
        (tool(result=[{"path": "$", "confirmed": 0}]), "crm.tools.t.result.confirmed is 0"),
        ({"crm": {"review_by": "soon"}}, "crm.review_by is 'soon'; give a day"),
        ({"crm": {"escalation": 1}}, "crm.escalation is 1"),
        (tool(records=1), "crm.tools.t.records is 1"),
        (tool(arguments=[]), "crm.tools.t.arguments: give a map"),
        (tool(arguments={"to": {}}), "crm.tools.t.arguments.to: give a name or JSON pointer"),
        (tool(arguments={"": {"role": "content"}}), "and a role"),
        (tool(arguments={"/~x": {"role": "content"}}), "and a role"),
        (tool(arguments={"to": {"role": "dest"}}), "crm.tools.t.arguments.to.role is 'dest'"),
        (tool(arguments={"to": {"role": "content", "type": "host"}}), "to.type is 'host'"),
        (tool(arguments={"to": {"role": "content", "x": 1}}), "to.x is unknown"),
        (tool(result={}), "crm.tools.t.result: give a list"),
        (tool(result=[{}]), "each line needs a path"),
        (tool(result=[{"path": "$", "label": "user"}]), "crm.tools.t.result.label is 'user'"),
        (tool(result=[{"path": "$", "match": "some"}]), "crm.tools.t.result.match is 'some'"),
        (tool(result=[{"path": "$", "creates": 1}]), "crm.tools.t.result.creates is 1"),
        (tool(result=[{"path": "$", "when": {"x": 1}}]), "crm.tools.t.result.when.x is unknown"),
        (tool(result=[{"path": "$", "when": {}}]), "crm.tools.t.result.when: give an argument and"),
        (
            tool(result=[{"path": "$", "when": {"argument": "/a~", "prefix": "p"}}]),
            "crm.tools.t.result.when.argument is '/a~'; give a name or JSON pointer",
        ),
        (tool(result=[{"path": "items"}]), "crm.tools.t.result.path is 'items'; give a path such"),
        (tool(records="$..x"), "crm.tools.t.records is '$..x'; give a path such as $.items[*].id"),
        (operation("TRACE /a"), "give METHOD /template"),
        (operation("GET a"), "give METHOD /template"),
        (operation("GET /{a"), "give METHOD /template"),
        (operation("GET /x{a}"), "give METHOD /template"),
        (operation("GET /{}"), "give METHOD /template"),
        (operation("GET /{a}/{a}"), "give METHOD /template"),
        (operation("GET /{{a}}"), "give METHOD /template"),
        (operation("GET /a?b"), "give METHOD /template"),
        (operation("GET /a", opaque=1), "opaque is 1"),
        (operation("GET /a", array_fields=[1]), "array_fields is 1; give one of any string"),
        (operation("GET /a", operation_id=""), "operation_id is ''"),
    ],
)
def test_a_manifest_that_cannot_be_used_names_key_value_and_what_is_allowed(
    document: Any, named: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_manifest(document)
    assert named in str(refused.value)
