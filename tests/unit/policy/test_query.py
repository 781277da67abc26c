"""The query: full shape, sorted, whole or refused, and held against the schema that ships."""

import hashlib

import jsonschema_rs
import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.action import Definition
from outrider.core.errors import MalformedError, TooLargeError
from outrider.core.facts import Facts
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import ApprovalFacts
from outrider.core.vocabulary import ActionEffect, BodyKind, Phase, ResourceType, Role
from outrider.policy.query import QueryBuilder
from tests.support.builders import (
    FixedClock,
    a_destination,
    a_get,
    a_head,
    a_subject,
    a_task,
    an_action,
    an_ask,
    an_exchange,
)
from tests.support.policy import FixedSnapshot, a_policy, a_question, answers

POLICY = a_policy(FixedSnapshot([answers(True)]))
SCHEMA = jsonschema_rs.validator_for(
    orjson.loads((shipped_rego() / "schemas" / "input.json").read_bytes())
)
MAIL = an_action(
    ask=an_ask(
        resource="send_email",
        arguments={"to": "kim@customer.example", "body": "x" * 1025, "note": "y" * 1025},
        schema_valid=True,
        definition=Definition(digest="sha256:" + "a" * 64, pinned=True),
    ),
    effect=ActionEffect.SEND,
    roles=(("/to", Role.DESTINATION), ("/body", Role.CONTENT)),
    destinations=(
        a_destination(),
        a_destination("customer.example", pointer="/to", value="kim@customer.example",
                      zone="external"),
    ),
)  # fmt: skip


def builder(clock=None, arguments_bytes=8192, query_bytes=32_768):
    return QueryBuilder(
        clock=clock or FixedClock(),
        environment="prod",
        arguments_bytes=arguments_bytes,
        query_bytes=query_bytes,
    )


def document(**changes):
    return orjson.loads(builder().build(a_question(**changes), POLICY))


QUESTIONS = [
    pytest.param({}, id="a-read"),
    pytest.param({"action": MAIL}, id="a-send"),
    pytest.param({"task": None}, id="no-task"),
    pytest.param(
        {"task": a_task(principal="oidc:alice@acme.test", tenant="acme", deadline_unix_s=2e9)},
        id="a-person's-task",
    ),
    pytest.param({"subject": a_subject(id="spiffe://acme.test/unknown")}, id="unknown-agent"),
    pytest.param({"subject": a_subject(expires_unix_s=1.8e9, instance=None)}, id="expiring"),
    pytest.param(
        {"action": an_action(ask=an_ask(arguments=None, phase=Phase.LIST))}, id="a-list-item"
    ),
    pytest.param(
        {"action": an_action(ask=an_ask(arguments=None, body=BodyKind.OPAQUE))}, id="opaque"
    ),
    pytest.param(
        {
            "exchange": an_exchange(head=a_get("/people/7", "q=a&q=b&empty=")),
            "action": an_action(
                ask=an_ask(
                    resource_type=ResourceType.API, upstream="people", resource="GET /people"
                )
            ),
        },
        id="plain-http",
    ),
    pytest.param(
        {"approval": ApprovalFacts(id="apr_1", approvers=("oidc:bob@acme.test",))}, id="approved"
    ),
    pytest.param({"action": an_action(destinations=())}, id="no-destination"),
]


@pytest.mark.parametrize("changes", QUESTIONS)
def test_validates_against_the_schema_that_ships(changes):
    found = document(**changes)
    assert [str(error) for error in SCHEMA.iter_errors(found)] == []


@pytest.mark.parametrize("changes", QUESTIONS)
def test_stands_in_sorted_order_throughout(changes):
    query = builder().build(a_question(**changes), POLICY)
    assert orjson.dumps(orjson.loads(query), option=orjson.OPT_SORT_KEYS) == query


@pytest.mark.parametrize("changes", QUESTIONS)
def test_has_every_path_of_the_schema(changes):
    missing = set(_missing(SCHEMA_DOCUMENT, document(**changes), ""))
    assert sorted(missing.difference(UNITLESS)) == []


SCHEMA_DOCUMENT = orjson.loads((shipped_rego() / "schemas" / "input.json").read_bytes())
# Members of the grant stand as the grant was written; of the budgets only money has a unit.
OPEN = ("/context/task/grant",)
UNITLESS = tuple(
    f"/context/task/budget/{name}/unit" for name in ("bytes", "calls", "records", "tokens")
)


def _missing(schema, value, where):
    if not isinstance(value, dict) or where in OPEN:
        return
    for name, part in schema.get("properties", {}).items():
        if name not in value:
            yield f"{where}/{name}"
        else:
            yield from _missing(part, value[name], f"{where}/{name}")


def test_a_long_leaf_of_role_content_stands_as_digest_and_size_and_no_other():
    arguments = document(action=MAIL)["action"]["properties"]["arguments"]
    assert arguments["body"] == {
        "digest": "sha256:" + hashlib.sha256(b"x" * 1025).hexdigest(),
        "bytes": 1025,
    }
    assert (arguments["to"], arguments["note"]) == ("kim@customer.example", "y" * 1025)


@pytest.mark.parametrize(
    ("text", "shortened"),
    [
        pytest.param("x" * 1024, False, id="1024-bytes"),
        pytest.param("x" * 1025, True, id="1025-bytes"),
        pytest.param("é" * 512, False, id="1024-bytes-in-512-characters"),
        pytest.param("é" * 513, True, id="1026-bytes-in-513-characters"),
    ],
)
def test_content_is_measured_in_bytes(text, shortened):
    action = an_action(ask=an_ask(arguments={"body": text}), roles=(("/body", Role.CONTENT),))
    told = document(action=action)["action"]["properties"]["arguments"]["body"]
    assert isinstance(told, dict) is shortened


def test_every_long_leaf_below_a_content_argument_is_shortened():
    arguments = {"parts": [{"text": "x" * 2000, "kind": "text"}, "y" * 2000], "a/b": "z" * 2000}
    roles = (("/parts", Role.CONTENT), ("/a~1b", Role.CONTENT), ("/absent/0", Role.CONTENT))
    action = an_action(ask=an_ask(arguments=arguments), roles=roles)
    told = document(action=action)["action"]["properties"]["arguments"]
    assert told["parts"][0]["kind"] == "text"
    assert told["parts"][0]["text"]["bytes"] == 2000
    assert told["parts"][1]["bytes"] == 2000
    assert told["a/b"]["bytes"] == 2000
    assert arguments["parts"][1] == "y" * 2000


def test_arguments_over_their_limit_are_refused_not_cut():
    action = an_action(ask=an_ask(arguments={"note": "y" * 8192}))
    with pytest.raises(TooLargeError) as refused:
        builder().build(a_question(action=action), POLICY)
    assert refused.value.cause == "arguments"
    told = refused.value.detail
    assert told.startswith("larger than the limit of 8192 bytes: limits.policy_arguments_bytes")
    assert "role content" in told
    assert "raise the setting" in told


def test_a_query_over_its_limit_is_refused():
    with pytest.raises(TooLargeError) as refused:
        builder(query_bytes=1024).build(a_question(), POLICY)
    assert refused.value.cause == "query"
    assert "policy.query_bytes" in refused.value.detail


def test_arguments_json_cannot_hold_are_malformed():
    action = an_action(ask=an_ask(arguments={"x": "\ud800"}))
    with pytest.raises(MalformedError):
        builder().build(a_question(action=action), POLICY)


def test_only_listed_headers_are_told():
    headers = (
        ("user-agent", "triage/1.0"), ("authorization", "Bearer s3cret"), ("cookie", "a=b"),
        ("accept", "application/json"), ("accept", "text/event-stream"),
    )  # fmt: skip
    exchange = an_exchange(head=a_head(headers=headers))
    assert document(exchange=exchange)["context"]["request"]["headers"] == {
        "accept": "application/json, text/event-stream",
        "user-agent": "triage/1.0",
    }


def test_the_time_is_the_clocks_in_utc():
    assert document()["context"]["time"] == {
        "rfc3339": "2026-11-23T09:30:00Z",
        "unix_s": 1795426200,
        "weekday": "monday",
        "minute_of_day": 570,
    }


def test_the_time_goes_on():
    clock = FixedClock()
    made = builder(clock)
    made.build(a_question(), POLICY)
    clock.pass_s(61)
    told = orjson.loads(made.build(a_question(), POLICY))["context"]["time"]
    assert (told["rfc3339"], told["minute_of_day"]) == ("2026-11-23T09:31:01Z", 571)


def test_the_same_question_gives_the_same_bytes():
    made = builder()
    assert made.build(a_question(), POLICY) == made.build(a_question(), POLICY)


def test_what_is_kept_never_answers_for_another_subject_grant_or_policy():
    made = builder()
    made.build(a_question(), POLICY)
    other = a_question(
        subject=a_subject(instance="host:other"), task=a_task(grant_revision=2, id="tsk_2")
    )
    told = orjson.loads(made.build(other, POLICY))
    assert told["subject"]["properties"]["instance"] == "host:other"
    assert told["context"]["task"]["id"] == "tsk_2"
    unknown = a_policy(FixedSnapshot([answers(True)]), agents={})
    told = orjson.loads(made.build(a_question(), unknown))
    assert told["subject"]["properties"]["status"] is None


def test_what_is_kept_is_bounded():
    made = builder()
    for place in range(1100):
        made.build(a_question(subject=a_subject(instance=f"host:{place}"), task=a_task()), POLICY)
    assert len(made._subjects) <= 1024
    assert len(made._plan.grants) <= 1024


READS = frozenset(
    {
        ("action", "properties", "effect"),
        ("context", "approval", "state"),
        ("context", "time", "unix_s"),
        ("resource", "properties", "upstream"),
    }
)


@pytest.mark.parametrize("changes", QUESTIONS)
def test_is_told_only_as_far_as_it_is_read_and_then_as_it_is(changes):
    whole = document(**changes)
    narrow = a_policy(FixedSnapshot([answers(True)]), reads=READS)
    told = orjson.loads(builder().build(a_question(**changes), narrow))
    assert told["subject"] == whole["subject"]  # never pruned (POLICY §2)
    assert told["context"] == {
        "approval": {"state": whole["context"]["approval"]["state"]},
        "time": {"unix_s": whole["context"]["time"]["unix_s"]},
    }
    assert set(told["action"]["properties"]) == {"arguments", "effect"}
    assert set(told["resource"]["properties"]) == {"upstream"}


def test_a_policy_that_reads_more_is_told_more_within_the_same_second():
    one = builder()
    narrow = a_policy(FixedSnapshot([answers(True)]), reads=READS)
    for policy, told in ((narrow, 1), (POLICY, 4), (narrow, 1)):
        document = orjson.loads(one.build(a_question(), policy))
        assert len(document["context"]["time"]) == told


@pytest.mark.parametrize(
    ("read", "task"),
    [
        pytest.param("state", {"state"}, id="the-state-alone"),
        pytest.param("grant", {"grant"}, id="the-grant-alone"),
    ],
)
def test_of_a_task_only_what_is_read_is_told(read, task):
    narrow = a_policy(FixedSnapshot([answers(True)]), reads=frozenset({("context", "task", read)}))
    told = orjson.loads(builder().build(a_question(), narrow))
    assert set(told["context"]["task"]) == task


BEHAVIOUR: JsonObject = {
    "flags": {"untrusted_read": True, "sensitive_read": False, "external_send": False},
    "highest_sensitivity_read": "internal",
    "counters": {"calls_60s": 3},
}
FACTS = Facts(
    behaviour=BEHAVIOUR,
    budget={"calls": {"used": 3, "limit": 10}},
    provenance={"/to": {"role": "destination", "label": "untrusted"}},
    incomplete=True,
    first_seen=frozenset({0}),
)


def test_what_the_books_know_is_told():
    told = document(facts=FACTS, task=a_task())
    assert told["context"]["behaviour"] == BEHAVIOUR
    assert told["context"]["task"]["budget"] == {"calls": {"used": 3, "limit": 10}}
    properties = told["action"]["properties"]
    assert properties["provenance"] == {"/to": {"role": "destination", "label": "untrusted"}}
    assert properties["provenance_incomplete"] is True
    assert properties["destinations"][0]["first_seen"] is True
    assert told["resource"]["properties"]["destination"]["first_seen"] is True


def test_of_behaviour_only_what_is_read_is_told():
    reads = frozenset({("context", "behaviour", "flags", "untrusted_read")})
    narrow = a_policy(FixedSnapshot([answers(True)]), reads=reads)
    told = orjson.loads(builder().build(a_question(facts=FACTS), narrow))
    assert told["context"] == {"behaviour": {"flags": {"untrusted_read": True}}}


def test_without_books_nothing_is_claimed_of_behaviour():
    told = document()
    assert told["context"]["behaviour"]["flags"]["untrusted_read"] is False
    assert told["action"]["properties"]["provenance"] == {}
    assert told["action"]["properties"]["destinations"][0]["first_seen"] is False
