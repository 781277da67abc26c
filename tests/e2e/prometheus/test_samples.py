"""The samples to try at home, under the whole library that ships; loading it takes its time."""

import shutil
from pathlib import Path

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.command import outrider
from tests.support.rules import DEPLOY
from tests.support.sidecar import GuardedUpstream, a_world
from tests.support.sidecar_mcp import reason_of

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(180)]
COMPOSE = DEPLOY / "compose"
KIND = DEPLOY / "kubernetes" / "kind"
AGENT = "spiffe://laptop.test/agent/triage"


def test_the_laptops_settings_and_policy_load() -> None:
    said = outrider("config", "check", COMPOSE / "outrider.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("ok ")
    lint = outrider("manifest", "lint", "--overlay", COMPOSE / "site")
    assert lint.code == 0, lint.out + lint.err


async def test_the_laptops_agent_may_read_a_ticket_and_delete_none(tmp_path: Path) -> None:
    """With `tickets` on loopback, which is where this test has it."""
    site = tmp_path / "site"
    shutil.copytree(COMPOSE / "site", site)
    agents = site / "outrider" / "agents" / "data.yaml"
    named = agents.read_text("utf-8")
    agents.write_text(named.replace('["tickets",', '["127.0.0.1", "tickets",'), "utf-8")
    policy: JsonObject = {"path": None, "overlay": [str(site)]}
    settings: JsonObject = {
        "identity": {"spiffe_id": AGENT},
        "policy": policy,
        "upstreams": {"tickets": {"prefix": "/tickets-api"}},
    }
    tickets = GuardedUpstream()
    async with a_world({}, upstreams={"tickets": tickets}, settings=settings) as world:
        assert (await world.get("/tickets-api/tickets/7")).status == 200
        head = world.head("DELETE", "/tickets-api/tickets/7")
        refused = await world.raw(head)
        assert (refused.status, reason_of(refused)) == (403, "grant")
        assert [seen.line.split(" ")[0] for seen in tickets.seen] == ["GET"]


def test_the_sidecars_settings_load_beside_the_bundle(tmp_path: Path) -> None:
    built = tmp_path / "bundle.tar.gz"
    site = ("--overlay", COMPOSE / "site")
    assert outrider("policy", "build", *site, "-o", built).code == 0
    settings = tmp_path / "outrider.yaml"
    settings.write_bytes((KIND / "outrider.yaml").read_bytes())
    said = outrider("config", "check", settings)
    assert said.code == 0, said.err
