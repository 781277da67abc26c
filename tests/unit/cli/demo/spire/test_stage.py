"""The stage is a usable configuration for each party, with a policy that loads and judges."""

import os
from datetime import date
from pathlib import Path

import pytest

from outrider.cli.demo.spire import stage as staging
from outrider.config.load import load
from outrider.config.paths import shipped_rego
from outrider.policy.bundle import read
from outrider.policy.lint import lint
from outrider.policy.world import read_language

ADDRESS = "unix:///run/a.sock"


@pytest.fixture
def stage(tmp_path: Path) -> staging.Stage:
    return staging.set_up(tmp_path, own_users=False)


def test_each_party_reaches_the_other_by_its_spiffe_id_and_lets_itself_be_called(
    stage: staging.Stage,
) -> None:
    one, other = stage.parties
    staging.describe(one, other, address=ADDRESS, behind="http://127.0.0.1:9")
    loaded = load(one.settings, {})
    found = loaded.settings
    assert loaded.workload_api == "unix:/run/a.sock"
    there, here = found.upstreams["directory"], found.upstreams["planner"]
    assert there.url == f"https://127.0.0.1:{other.ports.ingress}"
    assert there.tls.spiffe is not None
    assert there.tls.spiffe.expect == ("spiffe://a.test/directory",)
    assert (there.direction, here.direction) == ("egress", "ingress")
    assert here.url == "http://127.0.0.1:9"


def test_the_policy_names_both_agents_and_has_the_callers_rule(stage: staging.Stage) -> None:
    overlay = stage.home / "policy"
    tree = read(shipped_rego(), [overlay])
    data = tree.data["outrider"]
    assert isinstance(data, dict)
    agents, manifests = data["agents"], data["manifest"]
    assert isinstance(agents, dict)
    assert isinstance(manifests, dict)
    assert {"spiffe://a.test/planner", "spiffe://a.test/directory"} <= agents.keys()
    assert manifests["directory"] == manifests["planner"] == manifests["people"]
    found = lint(
        shipped_rego(),
        [overlay],
        library=shipped_rego(),
        language=read_language(shipped_rego()),
        entrypoint="data.outrider.decision",
        today=date(2026, 11, 23),
    )
    assert found == []


def test_parties_with_users_own_their_folders_and_others_are_told_apart_by_agent(
    tmp_path: Path, stage: staging.Stage
) -> None:
    assert {party.selector for party in stage.parties} == {f"unix:uid:{os.getuid()}"}
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    (tmp_path / "apart").mkdir()
    apart = staging.set_up(tmp_path / "apart", own_users=True)
    for party, other in (apart.parties, apart.parties[::-1]):
        staging.describe(party, other, address=ADDRESS, behind="http://127.0.0.1:9")
        assert party.selector == f"unix:uid:{party.uid}"
        assert party.settings.stat().st_uid == (party.home / "data").stat().st_uid == party.uid
