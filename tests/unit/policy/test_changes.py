"""Changes are tried before they are told: near first, at most so many, on copies."""

import copy

import pytest

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.changes import (
    ChangeSearch,
    decision_of,
    get,
    is_kind_of_action,
    pointer_of,
    put,
)
from outrider.policy.clauses import Lens
from tests.support.policy import a_release

ENTRYPOINT = "data.outrider.decision"
DENY = 'package outrider\n\ndefault decision := {"effect": "deny"}\n\n'


def found(
    policy: str, query: JsonObject, data: JsonObject | None = None, effect: str = "deny"
) -> JsonObject | None:
    with Lens(a_release(DENY + policy, data)) as lens:
        lens.look_at(query)
        path = tuple(ENTRYPOINT.split("."))
        return ChangeSearch(lens, query, ENTRYPOINT).find(effect, lens.clauses(path))


def allow(conditions: str) -> str:
    return f'decision := {{"effect": "allow"}} if {{\n\t{conditions}\n}}\n'


@pytest.mark.parametrize(
    ("conditions", "query", "pointer", "to"),
    [
        pytest.param('input.x == "a"', {"x": "b"}, "/x", "a", id="constant"),
        pytest.param('input.x in {"a", "b"}', {"x": "c"}, "/x", "a", id="member-of-a-set"),
        pytest.param("input.x == true", {"x": False}, "/x", True, id="the-other-truth"),
        pytest.param("input.x > 3", {"x": 1}, "/x", 4, id="just-above"),
        pytest.param("input.x < 3", {"x": 9}, "/x", 2, id="just-below"),
        pytest.param("input.x >= 3", {"x": 1}, "/x", 3, id="the-bound-itself"),
        pytest.param("is_string(input.x)", {}, "/x", "", id="missing"),
        pytest.param(
            'x := input.a.b\n\tx == "deep"',
            {"a": {"b": "no"}},
            "/a/b",
            "deep",
            id="by-a-local-name",
        ),
        pytest.param(
            'every d in input.ds { d.z == "in" }',
            {"ds": [{"z": "in"}, {"z": "out"}]},
            "/ds/1/z",
            "in",
            id="in-a-list",
        ),
        pytest.param("not input.x == 1", {"x": 1}, "/x", None, id="anything-else"),
    ],
)
def test_finds_the_one_place_that_flips_it(
    conditions: str, query: JsonObject, pointer: str, to: Json
) -> None:
    change = found(allow(conditions), query)
    if pointer == "/x" and to == "":
        assert change is None or change["pointer"] == "/x"
        return
    assert change is not None
    assert (change["document"], change["pointer"]) == ("input", pointer)
    assert change["effect"] == "allow"
    if to is not None:
        assert change["to"] == to


def test_arguments_come_before_facts_and_facts_before_the_kind_of_action() -> None:
    policy = "\n".join(
        allow(f'input.{place} == "go"')
        for place in (
            "action.properties.effect",
            "context.environment",
            "resource.properties.owner",
            "action.properties.arguments.mode",
        )
    )
    query: JsonObject = {
        "action": {"properties": {"effect": "x", "arguments": {"mode": "x"}}},
        "context": {"environment": "x"},
        "resource": {"properties": {"owner": "x"}},
    }
    order = []
    for _ in range(4):
        change = found(policy, query)
        assert change is not None
        order.append(change["pointer"])
        put(query, str(change["pointer"]), 0)  # of another kind: not to be changed again
    assert order == [
        "/action/properties/arguments/mode",
        "/resource/properties/owner",
        "/context/environment",
        "/action/properties/effect",
    ]


def test_an_effect_is_changed_with_its_class() -> None:
    change = found(
        allow(
            'input.action.properties.effect == "send"\n\tinput.action.properties.class == "write"'
        ),
        {"action": {"properties": {"effect": "read", "class": "read"}}},
    )
    assert change is not None
    assert (change["to"], change["also"]) == (
        "send",
        [
            {
                "document": "input",
                "pointer": "/action/properties/class",
                "from": "read",
                "to": "write",
            }
        ],
    )


def test_an_effect_of_the_same_class_is_changed_alone() -> None:
    policy = allow('input.action.properties.effect == "delete"')
    query: JsonObject = {"action": {"properties": {"effect": "pay", "class": "write"}}}
    change = found(policy, query)
    assert change is not None
    assert (change["pointer"], change["to"]) == ("/action/properties/effect", "delete")
    assert change["also"] == []


def test_a_worse_effect_is_no_change_to_tell() -> None:
    policy = (
        'decision := {"effect": "hold", "reasons": []} if input.x == "a"\n\n'
        'other if input.x == "b"\n'
    )
    assert found(policy, {"x": "a"}, effect="hold") is None


def test_a_hold_is_better_than_a_deny_where_there_is_no_allow() -> None:
    policy = 'decision := {"effect": "hold", "reasons": []} if input.x == 1\n'
    change = found(policy, {"x": 2})
    assert change is not None
    assert change["effect"] == "hold"


def test_a_person_may_answer_a_hold() -> None:
    policy = allow('input.context.approval.state == "granted"')
    change = found(policy, {"context": {"approval": {"state": "none"}}}, effect="hold")
    assert change is not None
    assert change["pointer"] == "/context/approval/state"


@pytest.mark.parametrize(
    ("conditions", "query", "data", "pointer", "to"),
    [
        pytest.param(
            "not input.x in data.outrider.bad",
            {"x": {"not": "a leaf"}},
            {"bad": [{"not": "a leaf"}], "on": 1},
            None,
            None,
            id="no-plain-value-helps",
        ),
        pytest.param(
            "data.outrider.max >= 5\n\tdata.outrider.max != 3",
            {},
            {"max": 1},
            "/outrider/max",
            5,
            id="a-limit-named-twice",
        ),
        pytest.param(
            "data.outrider.on == 7\n\tdata.outrider.on != 8",
            {},
            {"on": False},
            None,
            None,
            id="what-was-tried-once-is-not-tried-again",
        ),
        pytest.param(
            'data.outrider.manifest.crm.owner == "desk"',
            {},
            {"manifest": {"crm": {"owner": "me"}}},
            None,
            None,
            id="never-what-the-manifest-says",
        ),
        pytest.param("data.outrider.none == 1", {}, {}, None, None, id="what-data-does-not-have"),
        pytest.param(
            "input.a == [data.outrider.max]",
            {"a": ["5", 1]},
            {"max": 1},
            None,
            None,
            id="values-of-another-kind-and-the-same-one",
        ),
        pytest.param("data.outrider.on", {}, {"on": False}, "/outrider/on", True, id="a-switch"),
        pytest.param("5 <= data.outrider.max", {}, {"max": 1}, "/outrider/max", 5, id="a-limit"),
        pytest.param(
            'data.outrider.mode == "on"', {}, {"mode": "off"}, "/outrider/mode", "on", id="a-mode"
        ),
    ],
)
def test_data_is_changed_where_no_input_helps(
    conditions: str,
    query: JsonObject,
    data: JsonObject,
    pointer: str | None,
    to: Json,
) -> None:
    change = found(allow(conditions), query, data)
    if pointer is None:
        assert change is None
        return
    assert change is not None
    assert (change["document"], change["pointer"], change["to"]) == ("data", pointer, to)


def test_a_member_is_added_to_or_taken_from_a_list() -> None:
    fixed: JsonObject = {"subject": {"id": "me"}}
    listed = found(allow("input.subject.id in data.outrider.good"), fixed, {"good": []})
    taken = found(
        allow("count([x | some x in data.outrider.bad; x == input.subject.id]) == 0"),
        fixed,
        {"bad": ["me", "you"]},
    )
    assert listed is not None
    assert listed["to"] == ["me"]
    assert taken is not None
    assert taken["to"] in (["you"], "me-2")


def test_an_unknown_tool_is_declared_in_the_manifest() -> None:
    query: JsonObject = {
        "resource": {
            "type": "tool",
            "id": "crm/a/b~c",
            "properties": {"upstream": "crm", "declared": False},
        },
        "action": {"properties": {"effect": "execute", "class": "execute"}},
    }
    change = found(
        allow('input.resource.properties.declared\n\tinput.action.properties.class == "read"'),
        query,
    )
    assert change is not None
    assert change["pointer"] == "/outrider/manifest/crm/tools/a~1b~0c"


AGENT = "spiffe://acme.example/agents/me"


@pytest.mark.parametrize(
    ("task", "with_task"),
    [pytest.param({"state": "active"}, False, id="on-a-task"), pytest.param(None, True, id="none")],
)
def test_an_unknown_agent_is_registered_with_a_task_where_it_has_none(
    task: Json, with_task: bool
) -> None:
    query: JsonObject = {
        "subject": {"id": AGENT, "properties": {"status": "unknown"}},
        "resource": {"id": "crm/get"},
        "context": {"task": task},
    }
    change = found(
        allow(
            'input.subject.properties.status == "active"\n\tinput.context.task.state\n\t'
            "data.outrider.agents[input.subject.id]"
        ),
        query,
    )
    assert change is not None
    assert change["pointer"] == "/outrider/agents/" + AGENT.replace("/", "~1")
    places = [as_object(one)["pointer"] for one in as_list(change["also"])]
    assert ("/context/task" in places) is with_task
    assert "/subject/properties/status" in places


@pytest.mark.parametrize(
    ("fact", "document", "pointer"),
    [
        pytest.param(
            "tier",
            "data",
            "/outrider/agents/" + AGENT.replace("/", "~1") + "/tier",
            id="a-fact-of-its-entry",
        ),
        pytest.param("sponsor", "input", "/subject/properties/sponsor", id="one-it-does-not-have"),
    ],
)
def test_a_fact_of_an_agent_is_changed_where_its_entry_gives_it(
    fact: str, document: str, pointer: str
) -> None:
    entry: JsonObject = {
        "owner": "me", "tier": "standard", "environment": "prod", "status": "active",
    }  # fmt: skip
    change = found(
        allow(f'input.subject.properties.{fact} == "low"'),
        {"subject": {"id": AGENT, "properties": {"tier": "standard", "sponsor": "nobody"}}},
        {"agents": {AGENT: entry}},
    )
    assert change is not None
    assert (change["document"], change["pointer"], change["to"]) == (document, pointer, "low")


def test_nothing_is_told_where_nothing_helps() -> None:
    assert found(allow("false"), {"x": 1}) is None


def test_what_is_searched_stays_as_it_was() -> None:
    query: JsonObject = {"x": {"y": [1, "a"]}}
    before = copy.deepcopy(query)
    found(allow('input.x.y[1] == "b"'), query)
    assert query == before


@pytest.mark.parametrize(
    ("raw", "effect"),
    [
        (True, "allow"),
        (False, "deny"),
        (None, "deny"),
        ("allow", "deny"),
        ({}, "deny"),
        (1, "deny"),
    ],
    ids=str,
)
def test_a_bare_truth_value_is_a_decision_and_nothing_else_is(raw: Json, effect: str) -> None:
    assert decision_of(raw)["effect"] == effect


@pytest.mark.parametrize("path", [("a", "b"), ("a/b", "~c"), ("", "x")], ids=str)
def test_a_pointer_leads_to_where_it_was_put(path: tuple[str, ...]) -> None:
    document: JsonObject = {}
    put(document, pointer_of(path), 7)
    assert get(document, pointer_of(path)) == 7


def test_nothing_is_put_below_a_plain_value() -> None:
    document: JsonObject = {"a": [1]}
    put(document, "/a/0/x", 7)
    assert document == {"a": [1]}


def test_a_pointer_into_lists() -> None:
    document: JsonObject = {"a": [{"b": 1}, 2]}
    put(document, "/a/0/b", 5)
    put(document, "/a/1", 6)
    assert document == {"a": [{"b": 5}, 6]}
    assert get(document, "/a/9") is None
    assert get(document, "/a/x") is None
    assert get(document, "/a/0/b/c") is None


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/action/properties/effect", True),
        ("/action/properties/effects", False),
        ("/resource/id", True),
        ("/subject/properties/status", False),
        ("/action/name/x", True),
    ],
)
def test_what_says_which_kind_of_action_it_is(pointer: str, expected: bool) -> None:
    assert is_kind_of_action(pointer) is expected
