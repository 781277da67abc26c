"""`outrider config`: a wrong file is named by key, value and range; a good one is shown whole."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.config.load import load, validate
from tests.support.bundles import write_keys
from tests.support.command import outrider, write_settings
from tests.support.policy import write_tree


def test_a_wrong_file_names_key_value_and_range_and_exits_2(tmp_path: Path) -> None:
    path = write_settings(tmp_path, policy={"timeout_ms": 0}, limits={"in_flight": "many"})

    said = outrider("config", "check", path)

    assert said.code == 2
    assert "policy.timeout_ms is 0; give 1 or more (the range is 1 to 10000)" in said.err
    assert "limits.in_flight is 'many'" in said.err
    assert said.out == ""


def test_a_good_file_is_told_as_good(tmp_path: Path) -> None:
    said = outrider("config", "check", write_settings(tmp_path))
    assert said.code == 0
    assert "profile development, 0 upstreams" in said.out


AGENT = "spiffe://acme.test/triage"
IDENTITIES = [
    pytest.param(
        {"identity": {"spiffe_id": AGENT}},
        [f"{AGENT}, taken on trust", "whoever shares our network namespace"],
        id="none",
    ),
    pytest.param(
        {
            "identity": {
                "source": "workload_api",
                "workload_api": {"address": "unix:///run/agent.sock"},
                "oidc": {"login": {"issuer": "https://login.test", "audience": "outrider"}},
                "attested_local": False,
            },
            "upstreams": {
                "agent": {"url": "http://127.0.0.1:1", "prefix": "/a", "direction": "ingress"},
                "crm": {
                    "url": "https://crm.test",
                    "prefix": "/crm",
                    "tls": {"spiffe": {"expect": ["spiffe://acme.test/crm", "spiffe://b.test/*"]}},
                },
            },
        },
        [
            "the first SVID from the Workload API at unix:/run/agent.sock",
            "tokens of OIDC issuers are taken: login",
            "others call agent by mutual TLS at 0.0.0.0:15006",
            "crm must prove spiffe://acme.test/crm or spiffe://b.test/*",
        ],
        id="workload-api",
    ),
    pytest.param(
        {
            "identity": {"source": "files", "spiffe_id": AGENT, "files": {"directory": "[svid]"}},
            "listeners": {
                "egress": {"addresses": [], "unix": "e.sock", "uids": [7], "bearer": True}
            },
        },
        [
            f"{AGENT} from files in ",
            "/[svid]",
            "the Unix socket for uid 7",
            "JWT-SVIDs count without mutual TLS on egress: our own trust domain",
        ],
        id="files",
    ),
]


@pytest.mark.parametrize(("settings", "told"), IDENTITIES)
def test_what_the_settings_of_identity_come_to_is_told(
    tmp_path: Path, settings: dict[str, Any], told: list[str]
) -> None:
    (tmp_path / "[svid]").mkdir()
    for name in ("svid.pem", "svid_key.pem", "svid_bundle.pem"):
        (tmp_path / "[svid]" / name).touch()
    said = outrider("config", "check", write_settings(tmp_path, **settings))
    assert said.code == 0
    for words in told:
        assert words in said.out
    assert ("local callers" in said.out) is settings["identity"].get("attested_local", True)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param(
            "manifest/crm/data.yaml",
            "owner: a\noperations: {GET /x: {effect: reed}}\n",
            "outrider/manifest/crm/data.yaml: data.outrider.manifest: crm.operations.GET /x.effect"
            " is 'reed'; give one of admin, delete, execute, pay, read, send, share, write",
            id="manifest",
        ),
        pytest.param(
            "agents/data.yaml",
            "spiffe://x/a: {owner: o, tier: low, environment: e, status: active,"
            " grant: {efects: [read]}}\n",
            "outrider/agents/data.yaml: data.outrider.agents['spiffe://x/a'].grant",
            id="grant",
        ),
        pytest.param("zones/data.yaml", "domains: [\n", "outrider/zones/data.yaml:2", id="yaml"),
        pytest.param(
            "rules/x/x.rego",
            "package outrider.rules.x\n\nfoo {\n",
            "outrider/rules/x/x.rego:3",
            id="rego",
        ),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_told_with_its_file(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    file = tmp_path / "overlay" / "outrider" / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    said = outrider("config", "check", write_settings(tmp_path, policy={"overlay": ["overlay"]}))
    assert said.code == 2
    assert said.out == ""
    assert told in said.err
    assert str(tmp_path / "overlay") in said.err


def test_an_overlay_that_can_be_loaded_is_told_as_good(tmp_path: Path) -> None:
    file = tmp_path / "overlay" / "outrider" / "manifest" / "crm" / "data.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("owner: team-crm\noperations: {GET /x: {effect: read}}\n")
    said = outrider("config", "check", write_settings(tmp_path, policy={"overlay": ["overlay"]}))
    assert (said.code, said.err) == (0, "")


@pytest.mark.control("GV-01")
def test_guesses_and_whoever_is_missing_are_warned_of(tmp_path: Path) -> None:
    write_tree(
        tmp_path / "overlay",
        {"outrider/manifest/crm/data.yaml": "tools: {t: {effect: read, confirmed: false}}\n"},
    )
    said = outrider("config", "check", write_settings(tmp_path, policy={"overlay": ["overlay"]}))
    assert said.code == 0, said
    assert (
        "warning: 1 guesses in the manifest are not confirmed, the first: crm.tools.t" in said.out
    )
    assert "warning: data.outrider.manifest.crm: owner is missing" in said.out


def test_a_file_that_the_start_could_not_read_is_a_fault_with_its_path(tmp_path: Path) -> None:
    identity: Any = {"spiffe_id": AGENT, "trust_bundles": {"b.test": "b.json"}}
    said = outrider("config", "check", write_settings(tmp_path, identity=identity))
    assert said.code == 2
    assert (
        f"identity.trust_bundles.b.test: cannot be read (No such file or directory): {tmp_path}"
        in (said.err)
    )


def test_a_socket_that_is_not_there_is_warned_of(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/none.sock"
    identity: Any = {"source": "workload_api", "workload_api": {"address": address}}
    said = outrider("config", "check", write_settings(tmp_path, identity=identity))
    assert (said.code, said.err) == (0, "")
    assert f"warning: the Workload API's socket {tmp_path}/none.sock: cannot be found" in said.out


def test_the_file_may_come_from_the_environment(tmp_path: Path) -> None:
    path = write_settings(tmp_path, profile="demo")
    said = outrider("config", "check", env={"OUTRIDER_CONFIG": str(path)})
    assert "profile demo" in said.out


def test_what_is_shown_is_what_is_in_force(tmp_path: Path) -> None:
    path = write_settings(tmp_path, limits={"in_flight": 7})
    said = outrider("config", "show", "--json", "--config", path)
    shown = orjson.loads(said.out)
    assert shown["limits"]["in_flight"] == 7
    assert validate(shown).limits.wait_queue == 64


def test_what_is_shown_as_yaml_is_a_settings_file(tmp_path: Path) -> None:
    changes: Any = {
        "listeners": {"egress": {"addresses": ["127.0.0.1:0"], "unix": "e.sock", "unix_mode": 384}},
        "identity": {"source": "workload_api", "workload_api": {"address": "tcp://127.0.0.1:1"}},
        "upstreams": {
            "crm": {"url": "https://crm.test", "prefix": "/crm"},
            "desk": {
                "url": "https://desk.test",
                "prefix": "/desk",
                "tls": {"spiffe": {"expect": ["spiffe://acme.test/desk"]}},
            },
        },
        "limits": {"wait_s": 0.5},
    }
    path = write_settings(tmp_path, **changes)
    before = load(path, {}).settings
    said = outrider("config", "show", "--config", path)
    assert said.code == 0
    assert "unix_mode: 0600\n" in said.out
    assert "None" not in said.out
    (tmp_path / "again.yaml").write_text(said.out, "utf-8")
    assert load(tmp_path / "again.yaml", {}).settings == before
    checked = outrider("config", "check", tmp_path / "again.yaml")
    assert (checked.code, checked.err) == (0, "")


def test_production_is_refused_naming_what_is_missing(tmp_path: Path) -> None:
    said = outrider("config", "check", write_settings(tmp_path, profile="production"))
    assert said.code == 2
    assert "still lacks" in said.err


@pytest.mark.parametrize("key", ["limits", "upstreams", "profile"])
def test_the_schema_is_json(key: str) -> None:
    assert key in outrider("config", "schema").json["properties"]


def test_policy_that_is_fetched_is_not_waited_for(tmp_path: Path) -> None:
    policy = {
        "bundle": {"url": "https://p.test/b.tar.gz"},
        "signature": {"keys": {"release": {"file": "release.pem"}}},
    }
    file = write_settings(tmp_path, policy=policy)
    missing = outrider("config", "check", file)
    assert missing.code == 2
    assert "policy.signature.keys.release.file" in missing.err
    (tmp_path / "release.pem").write_text("no key")
    broken = outrider("config", "check", file)
    assert "no PEM public key" in broken.err
    write_keys(tmp_path)
    good = outrider("config", "check", file)
    assert good.code == 0
    assert "no bundle of https://p.test/b.tar.gz was in force here yet" in good.out
