"""What is asked for when a task is registered."""

from typing import Any

import pytest

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import json_digest
from outrider.tasks.asking import Asked, Bounds, read_ask
from outrider.tasks.task import Principal
from tests.support.builders import AGENT, NOW_UNIX_S

BOUNDS = Bounds(anchors_bytes=32, life_s=600, max_life_s=3600)


def ask(**changes: Any) -> Asked:
    body = {"purpose": "read tickets"} | changes
    return read_ask(body, bounds=BOUNDS, now_unix_s=NOW_UNIX_S)


def test_the_least_that_can_be_asked() -> None:
    asked = ask()
    assert (asked.grant, asked.template, asked.agent, asked.parent) == (None, None, None, None)
    assert asked.principal == Principal()
    assert asked.deadline_unix_s == NOW_UNIX_S + 600
    assert asked.purpose_digest == json_digest({"purpose": "read tickets", "anchors": []})


def test_everything_that_can_be_asked() -> None:
    asked = ask(
        template="triage",
        agent=AGENT,
        parent="tsk_1",
        principal={"id": "oidc:a@b", "tenant": "acme", "acr": "mfa", "auth_time": 5},
        anchors=["a@b.test", {"ticket": 4711, "of": ["x", None, True, 1.5]}],
        grant={"tools": ["crm/*"]},
        deadline="2026-11-23T10:30:00+00:00",
    )
    assert asked.anchors == ("a@b.test", "4711", "x", "1.5")
    assert asked.principal == Principal(id="oidc:a@b", tenant="acme", acr="mfa", auth_time=5)
    assert asked.grant is not None
    assert asked.grant.tools == ("crm/*",)
    assert asked.deadline_unix_s == NOW_UNIX_S + 3600


def test_another_anchor_is_another_purpose() -> None:
    one, other = ask(anchors=["a"]), ask(anchors=["b"])
    assert one.purpose_digest != other.purpose_digest
    assert one.anchors_digest != other.anchors_digest


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"purpos": 1}, "no such key; give agent, anchors"),
        ({"grant": {"expires_at": "2020-01-01T00:00:00Z"}}, "grant.expires_at is past"),
        ({"purpose": None}, "purpose is missing"),
        ({"purpose": ""}, "purpose: give"),
        ({"purpose": "a\nb"}, "purpose: give"),
        ({"purpose": "x" * 1025}, "purpose: give"),
        ({"purpose": 1}, "purpose: give"),
        ({"template": "No"}, "template is no name"),
        ({"template": 1}, "template: give"),
        ({"agent": "oidc:alice@corp"}, "agent is no SPIFFE ID"),
        ({"agent": "spiffe://acme.test"}, "agent is no SPIFFE ID"),
        ({"principal": 1}, "principal: give"),
        ({"principal": {}}, "principal.id is missing"),
        ({"principal": {"id": "a", "name": "b"}}, "principal: give"),
        ({"principal": {"id": "a", "auth_time": 1.5}}, "principal.auth_time"),
        ({"anchors": "text"}, "anchors: give a list"),
        ({"anchors": ["x" * 33]}, "anchors: give at most 32 bytes"),
        ({"anchors": ["é" * 17]}, "anchors: give at most 32 bytes"),
        ({"anchors": [2**60]}, "no one spelling"),
        ({"grant": []}, "grant: a grant is a map"),
        ({"grant": {"fly": 1}}, "grant.fly"),
        ({"deadline": "2026-11-23T09:30:00+00:00"}, "give a time within the next 3600"),
        ({"deadline": "2026-11-23T10:30:01+00:00"}, "give a time within the next 3600"),
        ({"deadline": "2026-11-23T10:00:00"}, "deadline: give a time such as"),
        ({"deadline": "soon"}, "deadline: give a time such as"),
        ({"deadline": 5}, "deadline: give a time such as"),
    ],
)
def test_what_cannot_be_taken_names_its_key(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ask(**changes)
    assert named in str(refused.value)


@pytest.mark.parametrize("body", [None, [], "purpose", 1])
def test_what_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(ConfigError, match="give an object"):
        read_ask(body, bounds=BOUNDS, now_unix_s=NOW_UNIX_S)


def test_anchors_are_not_nested_without_end() -> None:
    nested: Any = "x"
    for _ in range(20):
        nested = [nested]
    with pytest.raises(ConfigError, match="nested more than"):
        ask(anchors=nested)


def test_many_texts_are_too_many() -> None:
    with pytest.raises(ConfigError, match="in 1024 texts"):
        ask(anchors=[""] * 1025)


def test_a_grant_too_large_to_keep_is_refused() -> None:
    rules = {f"/{number}": {"prefix": "x" * 400} for number in range(200)}
    with pytest.raises(ConfigError, match="larger than 65536 bytes"):
        ask(grant={"arguments": {"crm/x": rules}})
