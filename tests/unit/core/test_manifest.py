from typing import Any

import pytest

from outrider.core.manifest import complete
from outrider.core.vocabulary import (
    ActionEffect,
    Impact,
    ProtocolName,
    ResourceType,
    Role,
    Sensitivity,
)
from tests.support.builders import a_manifest, an_ask


def test_a_declared_tool_is_what_its_entry_says() -> None:
    action = complete(
        an_ask(resource="send_email", arguments={"to": ["a@b.example"], "body": "x"}), a_manifest()
    )
    assert (action.effect, action.reversible, action.impact) == (
        ActionEffect.SEND,
        False,
        Impact.LOW,
    )
    assert (action.sensitivity, action.owner, action.declared) == (
        Sensitivity.CONFIDENTIAL,
        "team-crm",
        True,
    )
    assert action.roles == (("/to", Role.DESTINATION), ("/body", Role.CONTENT))
    assert [(one.pointer, one.value, one.host, one.zone) for one in action.destinations] == [
        (None, None, "crm.internal", "internal"),
        ("/to/0", "a@b.example", "b.example", "external"),
    ]


UNDECLARED = (ActionEffect.EXECUTE, False, Impact.HIGH, Sensitivity.CONFIDENTIAL, False)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"resource": "unheard"}, id="another-tool"),
        pytest.param({"resource": "Get_Ticket"}, id="17-case-variant"),
        pytest.param({"resource": "get_ticket "}, id="17-trailing-space"),
        pytest.param({"upstream": "nobody"}, id="another-upstream"),
        pytest.param({"resource_type": ResourceType.PROMPT}, id="a-prompt-of-that-name"),
        pytest.param({"resource_type": ResourceType.API}, id="an-operation-of-that-name"),
    ],
)
def test_what_is_not_declared_is_the_most_dangerous_thing(changes: dict[str, Any]) -> None:
    action = complete(an_ask(**changes), a_manifest())
    assert (
        action.effect,
        action.reversible,
        action.impact,
        action.sensitivity,
        action.declared,
    ) == UNDECLARED


def test_an_unknown_upstream_has_no_owner_and_lies_where_its_host_does() -> None:
    action = complete(an_ask(upstream="nobody"), a_manifest())
    assert (action.owner, action.tenant) == (None, None)
    assert [(one.host, one.zone) for one in action.destinations] == [(None, "external")]


def test_a_protocols_own_operation_keeps_the_effect_its_specification_settles() -> None:
    listing = an_ask(
        name="tools/list",
        resource="tools/list",
        resource_type=ResourceType.API,
        effect=ActionEffect.READ,
        arguments=None,
    )
    action = complete(listing, a_manifest())
    assert (action.effect, action.reversible, action.impact) == (
        ActionEffect.READ,
        True,
        Impact.LOW,
    )
    assert action.declared is False
    level = an_ask(resource="logging/setLevel", effect=ActionEffect.WRITE, arguments=None)
    written = complete(level, a_manifest())
    assert (written.effect, written.reversible, written.impact) == (
        ActionEffect.WRITE,
        False,
        Impact.HIGH,
    )


@pytest.mark.parametrize("upstream", ["crm", "nobody"])
def test_plumbing_can_be_undone_and_does_little_harm(upstream: str) -> None:
    cancelled = an_ask(
        upstream=upstream,
        resource="notifications/cancelled",
        resource_type=ResourceType.API,
        effect=ActionEffect.WRITE,
        plumbing=True,
    )
    action = complete(cancelled, a_manifest())
    assert (action.effect, action.reversible, action.impact) == (
        ActionEffect.WRITE,
        True,
        Impact.LOW,
    )


def test_hosts_in_the_message_itself_are_destinations() -> None:
    action = complete(an_ask(hosts=("b.example:443", "x.internal")), a_manifest())
    assert [(one.pointer, one.value, one.host, one.zone) for one in action.destinations[1:]] == [
        (None, "b.example:443", "b.example", "external"),
        (None, "x.internal", "x.internal", "internal"),
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(None, [None], id="as-in-a-list"),
        pytest.param({}, [None], id="without-arguments"),
        pytest.param({"to": []}, [None], id="to-nobody"),
        pytest.param({"to": ["a@b.example"]}, [None, "/to/0"], id="to-somebody"),
    ],
)
def test_a_call_goes_where_its_arguments_send_it(arguments: Any, found: list[str | None]) -> None:
    action = complete(an_ask(resource="send_email", arguments=arguments), a_manifest())
    assert [one.pointer for one in action.destinations] == found


def test_an_operation_is_found_by_its_key() -> None:
    ask = an_ask(
        protocol=ProtocolName.HTTP,
        resource_type=ResourceType.API,
        upstream="people",
        resource="getPerson",
        operation="GET /people/{id}",
        arguments={"id": "42"},
    )
    action = complete(ask, a_manifest())
    assert (action.effect, action.declared, action.roles) == (
        ActionEffect.READ,
        True,
        (("/id", Role.TARGET),),
    )


def test_roles_name_each_item_of_a_list() -> None:
    entry: Any = {"arguments": {"/rows/*/to": {"role": "destination"}, "x": {"role": "content"}}}
    manifest = a_manifest(crm={"tools": {"t": entry}})
    ask = an_ask(resource="t", arguments={"rows": [{"to": "a.internal"}, {"to": "b.example"}]})
    action = complete(ask, manifest)
    assert action.roles == (
        ("/rows/0/to", Role.DESTINATION),
        ("/rows/1/to", Role.DESTINATION),
        ("/x", Role.CONTENT),
    )
    assert [one.host for one in action.destinations] == ["crm.internal", "a.internal", "b.example"]
