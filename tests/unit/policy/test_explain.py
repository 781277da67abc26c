"""Why a decision was made; the change that is told, applied, flips it."""

import copy
import inspect
from pathlib import Path

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core import grant as core_grant
from outrider.core.constraints import UNNAMED
from outrider.core.errors import ConfigError, TooLargeError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.changes import decision_of, get, put
from outrider.policy.clauses import Lens
from outrider.policy.explain import _LACKING, ENTRYPOINT, explain, explain_record
from outrider.policy.release import Release, load
from tests.support.policy import a_release

TRIAGE = "spiffe://acme.test/ns/support/sa/triage"
RETIRED = "spiffe://acme.test/ns/support/sa/retired"
STATUS = "/subject/properties/status"
ARGUMENTS = "/action/properties/arguments"
UNDECLARED: dict[str, Json] = {
    "/resource/id": "notes/wipe",
    "/resource/properties/declared": False,
    "/action/properties/effect": "execute",
    "/action/properties/class": "execute",
    "/action/properties/reversible": False,
}


@pytest.fixture(scope="module", name="release")
def _release() -> Release:
    return load(shipped_rego())


def a_query(release: Release, base: str, changes: dict[str, Json]) -> JsonObject:
    query = copy.deepcopy(release.fixtures[f"fixtures/{base}.yaml"])
    for pointer, value in changes.items():
        put(query, pointer, value)
    return query


def decided(release: Release, query: JsonObject, data: JsonObject | None = None) -> str:
    with Lens(release) as lens:
        lens.look_at(query)
        if data is not None:
            lens.lay(data)
        return str(decision_of(lens.decide(ENTRYPOINT)).get("effect"))


def applied(release: Release, query: JsonObject, change: Json) -> str:
    """What policy says once the told change is made, by hand."""
    query, data = copy.deepcopy(query), copy.deepcopy(release.data)
    told = as_object(change)
    for one in [told, *map(as_object, as_list(told["also"]))]:
        place = data if one["document"] == "data" else query
        assert get(place, str(one["pointer"])) == one["from"]
        put(place, str(one["pointer"]), one["to"])
    return decided(release, query, data)


@pytest.mark.parametrize(
    ("base", "changes", "effect", "code", "line_text"),
    [
        pytest.param(
            "mcp_send",
            {STATUS: "suspended"},
            "deny",
            "EF-00",
            'input.subject.properties.status == "active"',
            id="unknown-agent-status",
        ),
        pytest.param(
            "mcp_send",
            {STATUS: None, "/subject/id": "spiffe://acme.test/nobody", "/context/task": None},
            "deny",
            "EF-00",
            'input.context.task.state == "active"',
            id="agent-nobody-knows",
        ),
        pytest.param(
            "mcp_send",
            {"/subject/id": RETIRED, STATUS: "offboarded"},
            "deny",
            "ID-03",
            'input.subject.properties.status == "active"',
            id="offboarded-in-the-data",
        ),
        pytest.param("mcp_call", UNDECLARED, "deny", "TS-02", None, id="undeclared-tool"),
        pytest.param("mcp_pay", {f"{ARGUMENTS}/amount": 40}, "hold", "EF-02", None, id="pay"),
        pytest.param(
            "mcp_call",
            {
                "/resource/id": "notes/write_note",
                "/action/properties/effect": "write",
                "/action/properties/class": "write",
                "/action/properties/reversible": False,
            },
            "hold",
            "EF-01",
            None,
            id="irreversible-write",
        ),
        pytest.param(
            "mcp_send", {f"{ARGUMENTS}/ticket_id": "9001"}, "deny", "HD-01", None, id="team-rule"
        ),
        pytest.param("mcp_send", {}, "allow", None, None, id="allowed"),
    ],
)
def test_names_the_rule_and_a_change_that_flips_the_decision(
    release: Release,
    base: str,
    changes: dict[str, Json],
    effect: str,
    code: str | None,
    line_text: str | None,
) -> None:
    query = a_query(release, base, changes)

    found = explain(release, orjson.dumps(query))

    assert as_object(found["decision"])["effect"] == effect == decided(release, query)
    rules = [as_object(rule) for rule in as_list(found["decided_by"])]
    assert all(str(rule["file"]).endswith(".rego") and rule["line"] for rule in rules)
    if code is not None:
        named = next(rule for rule in rules if rule["code"] == code)
        assert named["holds"] is True
        assert named["title"]
        text = (shipped_rego() / str(named["file"])).read_text().splitlines()
        assert "contains" in text[int(str(named["line"])) - 1]
    if line_text is not None:
        assert line_text in [as_object(item)["text"] for item in as_list(found["failed"])]
    change = as_object(found["change"])
    assert change["effect"] != effect
    assert applied(release, query, change) == change["effect"]


def test_a_failed_condition_is_told_with_the_value_it_had(release: Release) -> None:
    query = a_query(release, "mcp_send", {STATUS: "suspended"})

    found = explain(release, query)

    (failed,) = map(as_object, as_list(found["failed"]))
    assert failed["rule"] == "data.outrider.permitted"
    assert failed["file"] == "outrider/main.rego"
    assert failed["values"] == [
        {"name": "input.subject.properties.status", "value": "suspended"},
    ]
    assert found["change"] == {
        "document": "input",
        "pointer": STATUS,
        "from": "suspended",
        "to": "active",
        "effect": "allow",
        "codes": [],
        "also": [],
    }


def test_a_value_that_is_not_there_is_told_as_missing(release: Release) -> None:
    query = a_query(release, "mcp_send", {"/context/task": None})

    found = explain(release, query)

    (failed,) = map(as_object, as_list(found["failed"]))
    assert failed["values"] == [{"name": "input.context.task.state", "missing": True}]


def test_a_fact_from_policy_data_is_changed_where_the_data_stands(release: Release) -> None:
    query = a_query(release, "mcp_send", {"/subject/id": RETIRED, STATUS: "offboarded"})

    change = as_object(explain(release, query)["change"])

    assert change["document"] == "data"
    assert str(change["pointer"]).endswith("~1retired/status")
    assert [as_object(one)["pointer"] for one in as_list(change["also"])] == [STATUS]


def test_negation_is_judged_as_the_engine_judges_it() -> None:
    release = a_release(
        "package outrider\n\ndefault decision := false\n\n"
        "decision if not _bad\n\n_bad if input.x in {1, 2}\n"
    )

    bad, good = explain(release, {"x": 1}), explain(release, {"x": 3})

    assert as_object(bad["decision"])["effect"] == "deny"
    assert as_object(good["decision"])["effect"] == "allow"
    (failed,) = map(as_object, as_list(bad["failed"]))
    assert failed["text"] == "not _bad"
    assert as_object(bad["change"])["pointer"] == "/x"
    assert applied(release, {"x": 1}, bad["change"]) == "allow"


@pytest.mark.parametrize(
    ("policy", "query", "pointer"),
    [
        pytest.param(
            'decision := {"effect": "allow"} if {\n\tinput.n > 3\n} else := {"effect": "deny"}',
            {"n": 3},
            "/n",
            id="else-chain",
        ),
        pytest.param(
            'default decision := {"effect": "deny"}\n\n'
            'decision := {"effect": "allow"} if {\n\tevery x in input.xs {\n\t\tx == "a"\n\t}\n}',
            {"xs": ["a", "b"]},
            "/xs/1",
            id="every",
        ),
        pytest.param(
            'default decision := {"effect": "deny"}\n\n'
            'decision := {"effect": "allow"} if "ok" == input["odd key"].v',
            {"odd key": {"v": "no"}},
            "/odd key/v",
            id="quotes-at-the-edge",
        ),
    ],
)
def test_a_policy_without_codes_is_traced_from_its_entry_point(
    policy: str, query: JsonObject, pointer: str
) -> None:
    release = a_release(f"package outrider\n\n{policy}\n")

    found = explain(release, query)

    assert as_object(found["decision"])["effect"] == "deny"
    assert as_object(found["change"])["pointer"] == pointer
    assert applied(release, query, found["change"]) == "allow"


def test_a_finding_in_shadow_mode_decided_nothing() -> None:
    release = a_release(
        "package outrider\n\n"
        'decision := {"effect": "deny", "reasons": [f | some f in findings]}\n\n'
        'findings contains {"code": "A", "message": "a", "mode": "shadow"} if input.x\n\n'
        'findings contains {"code": "B", "message": "b", "mode": "enforce"} if input.x\n'
    )

    found = explain(release, {"x": 1})

    assert [as_object(rule)["code"] for rule in as_list(found["decided_by"])] == ["B"]


def test_says_so_where_no_single_change_flips_it() -> None:
    release = a_release('package outrider\n\ndecision := {"effect": "deny"}\n')

    found = explain(release, {"x": 1})

    assert found["change"] is None
    assert as_object(found["decision"])["effect"] == "deny"


def test_policy_data_is_changed_where_no_input_would_do() -> None:
    release = a_release(
        'package outrider\n\ndefault decision := {"effect": "deny"}\n\n'
        'decision := {"effect": "allow"} if data.outrider.switch == true\n',
        {"switch": False},
    )

    found = explain(release, {})

    change = as_object(found["change"])
    assert (change["document"], change["pointer"]) == ("data", "/outrider/switch")
    assert applied(release, {}, change) == "allow"


@pytest.mark.parametrize("query", [b"[]", b'"x"', b"null"])
def test_refuses_an_input_that_is_no_object(query: bytes) -> None:
    with pytest.raises(ConfigError, match="no object"):
        explain(a_release(), query)


def test_leaves_the_release_and_the_query_as_they_were(release: Release) -> None:
    query = a_query(release, "mcp_pay", {})
    before, data = copy.deepcopy(query), copy.deepcopy(release.data)

    explain(release, query)

    assert query == before
    assert release.data == data


# --- records --------------------------------------------------------------------------------


def a_record(**decision: Json) -> JsonObject:
    return {
        "kind": "decision",
        "time": "2026-11-23T09:30:00Z",
        "subject": {"id": TRIAGE},
        "action": {"resource": "tickets/reply", "effect": "send"},
        "decision": {"id": "0193", "effect": "deny", "enforced": "deny", **decision},
    }


def test_a_replayed_record_says_whether_policy_says_the_same(release: Release) -> None:
    query = orjson.dumps(a_query(release, "mcp_send", {STATUS: "suspended"}))

    same = explain_record(a_record(reason="policy"), query, release)
    other = explain_record(a_record(effect="allow", enforced="allow"), query, release)

    assert same["by"] == "policy"
    assert as_object(same["replayed"])["same"] is True
    assert as_object(other["replayed"])["same"] is False
    assert as_object(other["replayed"])["effect"] == "deny"


@pytest.mark.parametrize(
    ("action", "detail", "key", "wanted"),
    [
        pytest.param(
            {"resource": "payroll/raise", "effect": "pay"},
            "the grant does not name this tool",
            "tools",
            ["payroll/raise"],
            id="tool",
        ),
        pytest.param(
            {"resource": "payroll/initialize", "effect": "read"},
            "no tool of this upstream is granted",
            "tools",
            ["payroll/*"],
            id="upstream",
        ),
        pytest.param(
            {"resource": "tickets/purge", "effect": "delete"},
            "the grant does not allow this effect",
            "effects",
            ["delete"],
            id="effect",
        ),
    ],
)
def test_a_grant_that_lacks_something_is_explained_from_the_record(
    release: Release, action: JsonObject, detail: str, key: str, wanted: list[Json]
) -> None:
    record = a_record(reason="grant", detail=detail)
    record["action"] = action

    found = explain_record(record, None, release)

    assert found["by"] == "proxy"
    change = as_object(found["change"])
    assert str(change["pointer"]).endswith(f"/grant/{key}")
    assert as_list(change["to"]) == as_list(change["from"]) + wanted
    (failed,) = map(as_object, as_list(found["failed"]))
    assert str(wanted[0]) in str(failed["text"])


def test_the_words_of_a_grants_gap_are_those_of_the_core() -> None:
    source = inspect.getsource(core_grant)
    assert all(words in source for words in _LACKING)


def test_a_resource_too_sensitive_for_the_grant_names_how_far_it_would_have_to_reach(
    release: Release,
) -> None:
    record = a_record(reason="grant", detail="more sensitive than the grant allows")
    record["action"] = {"resource": "nowhere/secret", "effect": "read"}
    change = as_object(explain_record(record, None, release)["change"])
    assert (str(change["pointer"]).rpartition("/")[2], change["to"]) == (
        "sensitivity",
        "confidential",
    )


DESK: JsonObject = {
    "default": {"sensitivity": "secret"},
    "tools": {"find": {"effect": "read", "sensitivity": "public"}},
    "operations": {
        "GET /tickets": {"effect": "read", "sensitivity": "internal"},
        "GET /tickets/{id}": {
            "effect": "read",
            "sensitivity": "internal",
            "operation_id": "getTicket",
        },
    },
}


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        pytest.param("desk/GET /tickets", "internal", id="operation"),
        pytest.param("desk/getTicket", "internal", id="operation-by-its-id"),
        pytest.param("desk/find", "public", id="tool"),
        pytest.param("desk/GET /tickets/{id}", "secret", id="a-key-that-has-an-id"),
        pytest.param("desk/other", "secret", id="undeclared-here"),
        pytest.param("nowhere/GET /tickets", "confidential", id="no-such-upstream"),
    ],
)
def test_a_grant_is_advised_to_reach_no_further_than_needed(resource: str, wanted: str) -> None:
    agent: JsonObject = {
        "owner": "a", "tier": "low", "environment": "prod", "status": "active",
        "grant": {"tools": ["desk/*"], "effects": ["read"]},
    }  # fmt: skip
    release = a_release(data={"manifest": {"desk": DESK}, "agents": {TRIAGE: agent}})
    record = a_record(reason="grant", detail="more sensitive than the grant allows")
    record["action"] = {"resource": resource, "effect": "read"}
    change = as_object(explain_record(record, None, release)["change"])
    assert (change["from"], change["to"]) == (None, wanted)


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        pytest.param("notes/add_note", "`outrider pins diff notes add_note`", id="tool"),
        pytest.param("notes/a; rm x", "`outrider pins diff notes 'a; rm x'`", id="hostile"),
        pytest.param(None, "`outrider pins diff`", id="unknown"),
    ],
)
def test_a_changed_definition_is_told_with_how_to_review_it(
    release: Release, resource: str | None, told: str
) -> None:
    record = a_record(reason="definition_changed", detail="the definition differs")
    record["action"] = {"resource": resource}
    summary = str(explain_record(record, None, release)["summary"])
    assert told in summary
    assert "outrider pins accept" in summary


@pytest.mark.parametrize(
    "detail", ["the grant has expired", "the grant does not name this destination"]
)
def test_another_gap_is_told_without_a_change(release: Release, detail: str) -> None:
    found = explain_record(a_record(reason="grant", detail=detail), None, release)
    (failed,) = map(as_object, as_list(found["failed"]))
    assert failed["text"] == detail
    assert found["change"] is None


def test_an_argument_the_grant_does_not_name_is_told_with_the_line_that_names_it(
    release: Release,
) -> None:
    record = a_record(reason="grant", detail=UNNAMED, pointer="/header.x-tenant")
    record["action"] = {"resource": "tickets/refund", "effect": "pay"}
    found = explain_record(record, None, release)
    (failed,) = map(as_object, as_list(found["failed"]))
    assert "/header.x-tenant" in str(failed["text"])
    change = as_object(found["change"])
    assert str(change["pointer"]).endswith("/grant/arguments/tickets~1refund/~1header.x-tenant")
    assert (change["from"], change["to"], change["effect"]) == (None, {}, "asked")


def test_an_argument_that_several_rules_leave_out_is_told_without_a_change(
    release: Release,
) -> None:
    record = a_record(reason="grant", detail=UNNAMED, pointer="/x")
    record["action"] = {"resource": "tickets/unconstrained", "effect": "pay"}
    found = explain_record(record, None, release)
    assert found["change"] is None
    (failed,) = map(as_object, as_list(found["failed"]))
    assert "/x" in str(failed["text"])


@pytest.mark.parametrize("detail", [UNNAMED, "an argument is outside what the grant allows"])
def test_the_argument_that_a_grant_refuses_is_named(release: Release, detail: str) -> None:
    found = explain_record(
        a_record(reason="grant", detail=detail, pointer="/amount"), None, release
    )
    (failed,) = map(as_object, as_list(found["failed"]))
    assert "/amount" in str(failed["text"])
    assert str(found["summary"]).endswith(f"{detail}: /amount")


@pytest.mark.parametrize("reason", ["overload", "unauthenticated", "malformed", "grant"])
def test_a_refusal_of_the_proxys_own_is_put_in_words(release: Release, reason: str) -> None:
    record = a_record(reason=reason, detail="a fixed sentence")
    record["subject"] = None

    found = explain_record(record, None, release)

    assert found["by"] == "proxy"
    assert "a fixed sentence" in str(found["summary"])
    assert found["change"] is None


@pytest.mark.parametrize("query", [None, b""], ids=["not-kept", "kept-as-empty"])
def test_arguments_too_large_for_policy_are_explained_from_the_record(
    release: Release, query: bytes | None
) -> None:
    fault = TooLargeError(8192, remedy="limits.policy_arguments_bytes; raise it")
    found = explain_record(a_record(reason="too_large", detail=fault.detail), query, release)
    assert (found["by"], found["change"]) == ("proxy", None)
    assert str(found["summary"]) == (
        "the request is too large: larger than the limit of 8192 bytes: "
        "limits.policy_arguments_bytes; raise it"
    )


def test_a_question_that_was_never_put_is_told_as_that(release: Release) -> None:
    found = explain_record(a_record(reason="policy_timeout"), b"", release)
    assert (found["by"], found["change"]) == ("policy", None)
    assert "not asked" in str(found["summary"])


def test_says_what_to_set_where_the_input_was_not_kept(release: Release) -> None:
    found = explain_record(a_record(reason="policy"), None, release)

    assert "audit.inputs" in str(found["summary"])


def test_files_named_are_those_of_the_library(release: Release) -> None:
    found = explain(release, a_query(release, "mcp_send", {f"{ARGUMENTS}/ticket_id": "9001"}))

    files = {str(as_object(rule)["file"]) for rule in as_list(found["decided_by"])}
    assert files == {"outrider/rules/helpdesk/helpdesk.rego"}
    assert all((Path(shipped_rego()) / name).is_file() for name in files)
