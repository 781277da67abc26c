"""`outrider manifest lint`: what is missing, and what a grant lets flow where."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from outrider.cli.manifest import read_lists
from outrider.core.errors import ConfigError
from tests.support.command import outrider
from tests.support.policy import ALLOW_ALL, write_tree

AGENT = "spiffe://acme.test/ns/support/sa/triage"
MAIL: Any = {
    "owner": "team",
    "destination": {"zone": "internal"},
    "tools": {
        "read": {"effect": "read"},
        "send": {
            "effect": "send",
            "arguments": {"to": {"role": "destination", "type": "email"}},
        },
    },
}
GRANT: Any = {
    "tools": ["mail/*"],
    "effects": ["read", "send"],
    "destinations": ["mail.internal", "*.example"],
    "sensitivity": "confidential",
}


def a_tree(room: Path, mail: Any = MAIL, grant: Any = GRANT, rego: str = ALLOW_ALL) -> Path:
    agent = {
        "owner": "t", "tier": "low", "environment": "dev", "status": "active", "grant": grant,
    }  # fmt: skip
    return write_tree(
        room / "policy",
        {
            "outrider/main.rego": rego,
            "outrider/manifest/mail/data.yaml": yaml.safe_dump(mail),
            "outrider/zones/data.yaml": "domains: {mail.internal: internal}\n",
            "outrider/agents/data.yaml": yaml.safe_dump({AGENT: agent}),
        },
    )


@pytest.mark.control("GV-03")
def test_the_demo_has_a_toxic_flow_and_it_is_said_what_breaks_it() -> None:
    said = outrider("manifest", "lint")
    assert said.code == 0, said
    assert "toxic flow" in said.out
    assert "untrusted text    people/GET /people" in said.out
    assert "→ attacker.example" in said.out
    assert "held by PV-03: Confidential data stays inside (enforce)" in said.out
    assert "ok nothing is missing" in said.out


def test_a_flow_that_nothing_stops_fails_with_the_way_and_what_would_end_it(tmp_path: Path) -> None:
    said = outrider("manifest", "lint", a_tree(tmp_path))
    assert said.code == 1
    assert "1 toxic flows, 0 of them stopped" in said.out
    assert "mail/send → attacker.example" in said.out
    assert "FAIL nothing stops it" in said.out
    assert "take *.example out of the grant's destinations" in said.out
    assert "take mail/send or the effect send out of the grant" in said.out


def test_a_narrower_grant_from_a_file_is_proved_instead(tmp_path: Path) -> None:
    tree = a_tree(tmp_path)
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text(yaml.safe_dump(GRANT | {"destinations": ["mail.internal"]}))
    said = outrider("manifest", "lint", tree, "--grant", narrow)
    assert said.code == 0, said
    assert "grant narrow.yaml: no way from untrusted text to the outside" in said.out


def test_a_reading_grant_that_reaches_a_change_fails(tmp_path: Path) -> None:
    mail = MAIL | {"tools": {"delete_all": {"effect": "read"}}}
    said = outrider("manifest", "lint", a_tree(tmp_path, mail, GRANT | {"effects": ["read"]}))
    assert said.code == 1
    assert (
        f"agent {AGENT} → mail/delete_all: it counts as read, and its name says delete" in said.out
    )


def test_guesses_fail_unless_it_is_a_draft(tmp_path: Path) -> None:
    mail = MAIL | {"tools": {"read": {"effect": "read", "confirmed": False}}}
    tree = a_tree(tmp_path, mail, GRANT | {"destinations": ["mail.internal"]})
    said = outrider("manifest", "lint", tree)
    assert (said.code, "its effect is a guess" in said.out) == (1, True)
    assert outrider("manifest", "lint", tree, "--draft").code == 0


def test_a_recorded_list_is_held_against_the_manifest(tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    tools = [{"name": "send", "inputSchema": {"properties": {"recipient": {}}}}, {"name": "new"}]
    listed.write_bytes(orjson.dumps({"result": {"tools": tools}}))
    tree = a_tree(tmp_path, grant=GRANT | {"destinations": ["mail.internal"]})
    said = outrider("manifest", "lint", tree, "--tools", f"mail={listed}", "--json")
    assert said.code == 1
    assert {(one["check"], one["fails"]) for one in said.json["problems"]} == {
        ("role", True),
        ("path", True),
        ("gone", False),
        ("undeclared", False),
    }


def test_one_agent_or_template_may_be_named(tmp_path: Path) -> None:
    tree = a_tree(tmp_path)
    said = outrider("manifest", "lint", tree, "--agent", AGENT, "--json")
    assert [grant["name"] for grant in said.json["grants"]] == [f"agent {AGENT}"]
    flow = said.json["grants"][0]["flows"][0]
    assert flow["path"] == ["mail/read", "mail/send"]
    assert (flow["carries"], flow["outside"]) == ("confidential", ["attacker.example"])
    assert (flow["effect"], flow["broken_by"]) == ("allow", [])
    unknown = outrider("manifest", "lint", tree, "--template", "none")
    assert (unknown.code, "no active agent or template none" in unknown.err) == (1, True)


def test_a_manifest_that_cannot_be_read_is_refused_by_key(tmp_path: Path) -> None:
    said = outrider("manifest", "lint", a_tree(tmp_path, MAIL | {"tools": {"t": {"tags": ["x"]}}}))
    assert (said.code, "tools.t.tags is 'x'" in said.err) == (1, True)


@pytest.mark.parametrize("given", ["mail", "=x", "mail=", "mail={empty}"])
def test_a_list_is_named_with_its_upstream(given: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    with pytest.raises(ConfigError):
        read_lists([given.format(empty=empty)])
