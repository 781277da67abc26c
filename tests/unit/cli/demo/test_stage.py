"""The stage is a usable configuration, with a policy that loads."""

from pathlib import Path

from outrider.cli.demo import stage as staging
from outrider.config.load import load
from outrider.config.paths import shipped_rego
from outrider.policy import bundle

URLS = dict.fromkeys(("notes", "tickets", "people"), "http://127.0.0.1:9")


def test_the_settings_load_and_name_each_upstream(tmp_path: Path) -> None:
    stage = staging.set_up(tmp_path)
    staging.describe(stage, None, URLS)
    settings = load(stage.settings, {}).settings
    assert set(settings.upstreams) == set(URLS)
    assert settings.policy.engine == "embedded"
    assert settings.audit.inputs == "store"
    assert settings.listeners.egress.bearer


def test_an_opa_is_named_by_its_path(tmp_path: Path) -> None:
    stage = staging.set_up(tmp_path)
    staging.describe(stage, Path("/opt/opa"), URLS)
    settings = load(stage.settings, {}).settings
    assert (settings.policy.engine, settings.policy.opa.binary) == ("opa", "/opt/opa")


def test_the_overlay_lets_small_refunds_pass_and_holds_what_it_is_told(tmp_path: Path) -> None:
    stage = staging.set_up(tmp_path)
    stage.hold("4711")
    data = bundle.read(shipped_rego(), [tmp_path / "policy"]).data["outrider"]
    assert isinstance(data, dict)
    rules = data["rules"]
    assert isinstance(rules, dict)
    assert rules["helpdesk"] == {"legal_holds": ["4711"]}
    assert rules["EF-02"]["limits"] == {"pay_auto": 100}  # type: ignore[index, call-overload]


def test_the_credential_is_for_its_owner_alone(tmp_path: Path) -> None:
    staging.set_up(tmp_path)
    assert (tmp_path / "desk.token").stat().st_mode & 0o077 == 0
