from dataclasses import replace
from typing import Any

import pytest

from outrider.core.grant import parse_grant
from outrider.core.manifest import parse_manifest
from outrider.core.vocabulary import Sensitivity
from outrider.policy.flow import UNDECLARED, Flow, Subject, flows, placed
from tests.support.builders import NOW_UNIX_S

MAIL: Any = {
    "destination": {"zone": "internal"},
    "tools": {
        "read": {"effect": "read", "sensitivity": "internal"},
        "vault": {
            "effect": "read",
            "sensitivity": "internal",
            "result": [{"path": "$.key", "label": "secret"}, {"path": "$", "label": "record"}],
        },
        "send": {
            "effect": "send",
            "sensitivity": "internal",
            "arguments": {
                "to": {"role": "destination", "type": "email"},
                "/parts/*/url": {"role": "destination", "type": "url"},
                "n": {"role": "amount"},
            },
        },
    },
}
ZONES: Any = {"domains": {"*.acme.test": "internal"}}


def found(upstreams: Any = None, **grant: Any) -> list[Flow]:
    manifest = parse_manifest(upstreams or {"mail": MAIL}, ZONES)
    document = {
        "tools": ["*"],
        "effects": ["read", "send"],
        "destinations": ["*.acme.test", "*.example"],
        "sensitivity": "secret",
    } | grant
    subject = Subject(name="g", agent="a", grant=parse_grant(document, "grant"))
    return flows(subject, placed(manifest, subject.grant), NOW_UNIX_S)


def test_the_way_leads_from_untrusted_text_over_what_is_sensitive_to_the_outside() -> None:
    flow = found()[0]
    assert flow.steps == ("mail/read", "mail/vault", "mail/send")
    assert flow.highest is Sensitivity.SECRET
    assert flow.outside == ("attacker.example",)
    assert flow.sink.ask.arguments == {
        "to": "a@attacker.example",
        "parts": [{"url": "https://attacker.example/"}],
        "n": 1,
    }


def test_one_tool_may_be_both_sources() -> None:
    both = {"effect": "read", "sensitivity": "confidential"}
    flow = found({"mail": MAIL | {"tools": MAIL["tools"] | {"both": both}}})[0]
    assert flow.steps == ("mail/both", "mail/send")
    assert flow.sensitive is flow.source


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param({"destinations": ["*.acme.test"]}, id="nowhere-outside"),
        pytest.param({"effects": ["read"]}, id="only-reading"),
        pytest.param({"tools": ["mail/send"]}, id="nothing-to-read"),
        pytest.param({"tools": ["mail/vault", "mail/send"]}, id="nothing-untrusted"),
        pytest.param({"arguments": {"mail/send": {"/n": {"max": 1}}}}, id="no-destination-to-name"),
        pytest.param(
            {"arguments": {"mail/send": {"/to": {"in": ["a@x.acme.test"]}}}}, id="one-destination"
        ),
        pytest.param({"arguments": {"mail/send": {"/to": {"forbidden": True}}}}, id="forbidden"),
    ],
)
def test_a_grant_that_lets_nothing_out_has_no_flow(grant: Any) -> None:
    assert found(**grant) == []


def test_without_anything_sensitive_untrusted_text_still_leads_outside() -> None:
    flow = found(tools=["mail/read", "mail/send"])[0]
    assert flow.steps == ("mail/read", "mail/send")
    assert flow.sensitive is None
    assert flow.highest is Sensitivity.INTERNAL


def test_what_nobody_declared_may_do_anything() -> None:
    steps = [flow.steps for flow in found(effects=["read", "execute"])]
    assert (f"mail/{UNDECLARED}", f"mail/{UNDECLARED}") in [(one[0], one[-1]) for one in steps]


def test_a_fetch_is_a_way_out() -> None:
    fetch = {
        "effect": "read",
        "sensitivity": "internal",
        "arguments": {"url": {"role": "destination", "type": "url"}},
    }
    flow = found({"mail": MAIL | {"tools": MAIL["tools"] | {"fetch": fetch}}}, effects=["read"])[0]
    assert flow.sink.resource_id == "mail/fetch"


def test_an_upstream_outside_is_a_way_out_by_itself() -> None:
    outside = {"destination": {"zone": "external"}, "tools": {"log": {"effect": "send"}}}
    found_ = found({"mail": MAIL, "out": outside}, tools=["mail/read", "out/log"])
    assert [flow.sink.resource_id for flow in found_] == ["out/log"]


def test_an_upstream_without_a_place_gets_one_the_grant_names_in_its_zone() -> None:
    manifest = parse_manifest({"mail": MAIL, "out": {"destination": {"zone": "external"}}}, ZONES)
    grant = parse_grant({"destinations": ["*.example", "*.acme.test", "::1"]}, "grant")
    assert placed(manifest, grant).hosts == {
        "mail": "attacker.acme.test:443",
        "out": "attacker.example:443",
    }
    given = replace(manifest, hosts={"mail": "m:1", "out": "o:1"})
    assert placed(given, grant).hosts == given.hosts
