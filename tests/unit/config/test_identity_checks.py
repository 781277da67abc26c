"""Rules between settings of identity: each refuses with key and remedy; its near miss passes."""

import copy
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from outrider.config.identity_checks import endpoint_of
from outrider.config.load import load, validate
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.identity.spiffe_id import SpiffeIdError
from outrider.identity.tls import Expected
from outrider.policy.changes import put

ISSUER: JsonObject = {"issuer": "https://login.acme.test/realm", "audience": "outrider"}
GOOD: JsonObject = {
    "identity": {
        "source": "workload_api",
        "workload_api": {"address": "unix:///run/spire/agent.sock"},
        "oidc": {"login": ISSUER},
    },
    "upstreams": {
        "crm": {
            "url": "https://crm.acme.test:8443/mcp",
            "prefix": "/crm",
            "tls": {"spiffe": {"expect": ["spiffe://acme.test/crm"]}},
        },
        "agent": {"url": "http://127.0.0.1:9000", "prefix": "/agent", "direction": "ingress"},
    },
    "policy": {
        "engine": "opa",
        "opa": {
            "mode": "remote",
            "url": "https://opa.acme.test:8181",
            "expect": ["spiffe://acme.test/opa"],
        },
    },
}
CRM = "/upstreams/crm"
EXPECT = f"{CRM}/tls/spiffe/expect"
OPA = "/policy/opa"
LOGIN = "/identity/oidc/login"


def faults(changes: dict[str, Json]) -> list[str]:
    document = copy.deepcopy(GOOD)
    for pointer, value in changes.items():
        put(document, pointer, value)
    try:
        validate(document)
    except ConfigError as fault:
        return str(fault).splitlines()
    return []


def test_the_base_is_good() -> None:
    assert faults({}) == []


BAD = [
    pytest.param(
        {"/identity/workload_api/address": "unix://relative/agent.sock"},
        "identity.workload_api.address",
        "unix:///absolute/path",
        id="W-3-host-in-a-unix-address",
    ),
    pytest.param(
        {"/identity/source": "files"}, "identity.files.directory", "directory", id="files-nowhere"
    ),
    pytest.param(
        {
            "/identity/source": "files",
            "/identity/files": {"directory": ".", "federated": {"B.test": "b.pem"}},
        },
        "identity.files.federated",
        "trust domain's name",
        id="federated-in-upper-case",
    ),
    *(
        pytest.param(
            {f"/identity/{key}": value}, f"identity.{key}", "such as acme.test", id=f"{key}-{name}"
        )
        for name, domain in (("id", "spiffe://b.test"), ("text", "B test!"), ("empty", ""))
        for key, value in (("trust_domains", [domain]), ("trust_bundles", {domain: "b.json"}))
    ),
    pytest.param(
        {"/identity/workload_api/address": "unix:///" + "a" * 107},
        "identity.workload_api.address",
        "at most 107 bytes",
        id="socket-path-too-long",
    ),
    pytest.param({EXPECT: []}, "upstreams.crm.tls.spiffe.expect", "SPIFFE IDs", id="T5-nobody"),
    pytest.param(
        {f"{CRM}/url": "http://127.0.0.1:8443"}, "upstreams.crm.url", "give https", id="plain"
    ),
    pytest.param({f"{CRM}/url": "https://[::1"}, "upstreams.crm.url", "give http", id="no-url"),
    pytest.param(
        {f"{CRM}/ca_file": "ca.pem"}, "upstreams.crm.ca_file", "no CA else", id="two-kinds-of-trust"
    ),
    pytest.param(
        {"/identity/source": "none", "/identity/spiffe_id": "spiffe://acme.test/a"},
        "identity.source",
        "upstreams.crm takes an SVID",
        id="no-source-for-an-upstream",
    ),
    pytest.param(
        {"/identity/source": "none", "/identity/spiffe_id": "spiffe://acme.test/a"},
        "identity.source",
        "upstreams.agent takes an SVID",
        id="no-source-for-ingress",
    ),
    pytest.param(
        {"/identity/source": "none", "/identity/spiffe_id": "spiffe://acme.test/a"},
        "identity.source",
        "OPA is asked under our SVID",
        id="no-source-for-opa",
    ),
    *(
        pytest.param({f"{OPA}/url": url}, "policy.opa.url", "https://host:port", id=f"opa-{name}")
        for name, url in (
            ("nowhere", None),
            ("plain", "http://opa.acme.test:8181"),
            ("path", "https://opa.acme.test:8181/v1"),
            ("userinfo", "https://me@opa.acme.test:8181"),
            ("query", "https://opa.acme.test:8181?x=1"),
            ("no-host", "https://"),
            ("broken", "https://[::1"),
            ("port", "https://opa.acme.test:port"),
        )
    ),
    pytest.param({f"{OPA}/expect": []}, "policy.opa.expect", "SPIFFE IDs", id="opa-nobody"),
    *(
        pytest.param(
            {f"{LOGIN}/{key}": url},
            f"identity.oidc.login.{key}",
            "give https://",
            id=f"{key}-{name}",
        )
        for key in ("issuer", "jwks_url")
        for name, url in (
            ("plain", "http://login.acme.test"),
            ("userinfo", "https://me@login.acme.test"),
            ("query", "https://login.acme.test/?x"),
            ("fragment", "https://login.acme.test/#x"),
            ("port-0", "https://login.acme.test:0"),
            ("broken", "https://[login"),
            ("not-ascii", "https://l\u043egin.acme.test"),
        )
    ),
    pytest.param(
        {f"{LOGIN}/audience": ""}, "identity.oidc.login.audience", "aud", id="no-audience"
    ),
    pytest.param(
        {f"{LOGIN}/algorithms": []}, "identity.oidc.login.algorithms", "at least one", id="no-alg"
    ),
    pytest.param(
        {f"{LOGIN}/algorithms": ["none"]},
        "identity.oidc.login.algorithms",
        "give one of",
        id="none",
    ),
    pytest.param(
        {f"{LOGIN}/algorithms": ["HS256"]},
        "identity.oidc.login.algorithms",
        "give one of",
        id="hmac",
    ),
    pytest.param(
        {"/identity/oidc/again": ISSUER},
        "identity.oidc.again.issuer",
        "login has it already",
        id="one-issuer-under-two-names",
    ),
    pytest.param(
        {"/identity/oidc/a@b": ISSUER}, "identity.oidc.a@b", "give text like", id="at-in-a-name"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "remedy"), BAD)
def test_a_setting_that_cannot_be_used_is_refused_by_its_key(
    changes: dict[str, Json], key: str, remedy: str
) -> None:
    found = faults(changes)
    assert any(line.startswith(key) and remedy in line for line in found), found


def test_an_empty_list_is_called_empty() -> None:
    assert any(" is empty; give SPIFFE IDs" in line for line in faults({EXPECT: []}))


@pytest.mark.parametrize(
    ("below", "is_taken"),
    [
        pytest.param("{spiffe: }", False, id="nothing"),
        pytest.param("{spiffe: null}", False, id="null"),
        pytest.param("{spiffe: {}}", False, id="nobody"),
        pytest.param('{spiffe: {expect: ["spiffe://acme.test/crm"]}}', True, id="somebody"),
        pytest.param("{}", True, id="left-out"),
    ],
)
def test_T5_a_spiffe_with_nothing_below_it_never_becomes_the_web_pki(
    tmp_path: Path, below: str, is_taken: bool
) -> None:
    file = tmp_path / "outrider.yaml"
    file.write_text(
        "identity: {source: workload_api, workload_api: {address: 'unix:///a.sock'}}\n"
        f"upstreams: {{crm: {{url: 'https://crm.test', prefix: /crm, tls: {below}}}}}\n",
        "utf-8",
    )
    if is_taken:
        assert "crm" in load(file, {}).settings.upstreams
        return
    with pytest.raises(ConfigError, match=r"upstreams\.crm\.tls\.spiffe.* (not set|empty); give"):
        load(file, {})


@pytest.mark.parametrize(
    "document", ["upstreams: [a]", "upstreams: {a: 1}", "upstreams: {a: {tls: 1}}"]
)
def test_what_is_no_upstream_is_left_to_other_checks(tmp_path: Path, document: str) -> None:
    file = tmp_path / "outrider.yaml"
    file.write_text(document, "utf-8")
    with pytest.raises(ConfigError, match="upstreams"):
        load(file, {})


NEAR = [
    pytest.param({"/identity/workload_api": {}}, id="the-environment-says-where"),
    pytest.param({"/identity/source": "files", "/identity/files": {"directory": "d"}}, id="files"),
    pytest.param({"/identity/trust_domains": ["b.test"]}, id="a-trust-domain"),
    pytest.param({EXPECT: ["spiffe://b.test/*"]}, id="a-whole-trust-domain"),
    pytest.param({EXPECT: ["spiffe://b.test/ns/crm/*", "spiffe://b.test/x"]}, id="below-a-path"),
    pytest.param({f"{CRM}/tls": {}, f"{CRM}/ca_file": None}, id="web-pki"),
    pytest.param({f"{CRM}/url": "HTTPS://crm.acme.test"}, id="scheme-in-upper-case"),
    pytest.param({f"{OPA}/url": "https://10.0.0.1:8181/"}, id="opa-with-a-slash"),
    pytest.param({f"{LOGIN}/jwks_url": "https://keys.acme.test/jwks?"}, id="empty-query"),
    pytest.param(
        {"/identity/oidc/again": {**ISSUER, "issuer": "https://login.acme.test/other"}},
        id="another-realm-of-one-host",
    ),
]


@pytest.mark.parametrize("changes", NEAR)
def test_its_near_miss_is_used(changes: dict[str, Json]) -> None:
    assert faults(changes) == []


# --- whom an upstream may be ----------------------------------------------------------------

NO_IDS = [
    pytest.param("spiffe://acme.test", id="a-trust-domain"),
    pytest.param("spiffe://acme.test/", id="an-empty-path"),
    pytest.param("spiffe://*", id="everyone"),
    pytest.param("*", id="a-star"),
    pytest.param("spiffe://*/crm", id="any-domain"),
    pytest.param("spiffe://acme.test/crm*", id="half-a-segment"),
    pytest.param("spiffe://acme.test/*/crm", id="a-star-within"),
    pytest.param("spiffe://acme.test/crm/", id="a-slash-at-the-end"),
    pytest.param("spiffe://acme.test/crm//x", id="an-empty-segment"),
    pytest.param("spiffe://acme.test/../crm", id="dots"),
    pytest.param("spiffe://acme.test/./crm", id="a-dot"),
    pytest.param("spiffe://acme.test/crm/..", id="dots-at-the-end"),
    pytest.param("spiffe://acme.test/../*", id="dots-before-the-star"),
    pytest.param("spiffe://Acme.test/crm", id="upper-case"),
    pytest.param("spiffe://acme.test:1/crm", id="a-port"),
    pytest.param("spiffe://me@acme.test/crm", id="userinfo"),
    pytest.param("spiffe://acme.test/%63rm", id="percent"),
    pytest.param("https://acme.test/crm", id="https"),
    pytest.param("spiffe://acme.test/" + "a" * 2048, id="endless"),
    pytest.param("spiffe://" + "a" * 256 + "/crm", id="endless-domain"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("name", NO_IDS)
@pytest.mark.parametrize("pointer", [EXPECT, f"{OPA}/expect"], ids=["upstream", "opa"])
def test_only_spiffe_ids_and_what_is_below_a_path_can_be_expected(pointer: str, name: str) -> None:
    assert faults({pointer: [name]})


@given(
    st.lists(
        st.sampled_from(["/", "*", "crm", ".", "..", "/*", "/crm", "A", ":1", "@", "%", "\n"]),
        max_size=6,
    ).map(lambda parts: "spiffe://acme.test" + "".join(parts))
)
def test_whatever_settings_let_through_tls_can_expect(name: str) -> None:
    """The two readers agree: what the settings take, a handshake can be held to, and no more."""
    try:
        Expected((name,))
    except SpiffeIdError:
        assert faults({EXPECT: [name]})
    else:
        assert faults({EXPECT: [name]}) == []


# --- where the Workload API is --------------------------------------------------------------

ENDPOINTS = [
    pytest.param("unix:///run/spire/agent.sock", "unix:/run/spire/agent.sock", id="unix"),
    pytest.param("unix:/run/spire/agent.sock", "unix:/run/spire/agent.sock", id="unix-short"),
    pytest.param("tcp://127.0.0.1:8081", "127.0.0.1:8081", id="S5-tcp"),
    pytest.param("tcp://[::1]:8081", "[::1]:8081", id="tcp-v6"),
    pytest.param("tcp://10.1.2.3:65535", "10.1.2.3:65535", id="highest-port"),
    pytest.param("unix:///" + "a" * 106, "unix:/" + "a" * 106, id="longest-path"),
    pytest.param("unix:///" + "a" * 107, None, id="path-too-long"),
    pytest.param("unix://host/agent.sock", None, id="W-3-unix-with-a-host"),
    pytest.param("unix:agent.sock", None, id="relative"),
    pytest.param("unix://", None, id="no-path"),
    pytest.param("unix:////agent.sock", None, id="two-slashes"),
    pytest.param("unix:///agent.sock?x", None, id="query"),
    pytest.param("unix:///agent.sock#x", None, id="fragment"),
    pytest.param("unix:///agent%2esock", None, id="percent"),
    pytest.param("unix:///agent.sock\n", None, id="newline"),
    pytest.param("unix:///a b", None, id="space"),
    pytest.param("tcp://127.0.0.1:8081/path", None, id="W-3-tcp-with-a-path"),
    pytest.param("tcp://127.0.0.1", None, id="no-port"),
    pytest.param("tcp://127.0.0.1:0", None, id="port-0"),
    pytest.param("tcp://127.0.0.1:65536", None, id="port-too-high"),
    pytest.param("tcp://localhost:8081", None, id="a-name"),
    pytest.param("tcp://agent.acme.test:8081", None, id="a-name-of-dns"),
    pytest.param("tcp://127.1:8081", None, id="short-v4"),
    pytest.param("tcp://::1:8081", None, id="v6-without-brackets"),
    pytest.param("tcp://me@127.0.0.1:8081", None, id="userinfo"),
    pytest.param("tcp://127.0.0.1:8081\n", None, id="tcp-newline"),
    pytest.param("https://127.0.0.1:8081", None, id="https"),
    pytest.param("/run/spire/agent.sock", None, id="a-bare-path"),
    pytest.param("UNIX:///agent.sock", None, id="upper-case"),
    pytest.param("", None, id="empty"),
]


@pytest.mark.parametrize(("address", "target"), ENDPOINTS)
def test_an_address_of_the_workload_api_is_read_in_one_way(
    address: str, target: str | None
) -> None:
    assert endpoint_of(address) == target


ENVIRONMENT = [
    pytest.param({"SPIFFE_ENDPOINT_SOCKET": "unix:///a.sock"}, None, "unix:/a.sock", id="W-2"),
    pytest.param(
        {"SPIFFE_ENDPOINT_SOCKET": "unix:///a.sock"},
        "unix:///b.sock",
        "unix:/b.sock",
        id="the-setting-first",
    ),
]


@pytest.mark.parametrize(("environ", "setting", "target"), ENVIRONMENT)
def test_the_address_is_the_settings_else_the_environments(
    environ: dict[str, str], setting: str | None, target: str
) -> None:
    environ = environ | {"OUTRIDER_IDENTITY__SOURCE": "workload_api"}
    if setting is not None:
        environ["OUTRIDER_IDENTITY__WORKLOAD_API__ADDRESS"] = setting
    assert load(None, environ).workload_api == target


@pytest.mark.parametrize(
    "environ", [{}, {"SPIFFE_ENDPOINT_SOCKET": "a.sock"}], ids=["nowhere", "relative"]
)
def test_a_workload_api_that_nothing_names_is_a_fault_that_says_how(
    environ: dict[str, str],
) -> None:
    with pytest.raises(ConfigError, match=r"here or as SPIFFE_ENDPOINT_SOCKET"):
        load(None, environ | {"OUTRIDER_IDENTITY__SOURCE": "workload_api"})


def test_without_that_source_the_environment_is_not_looked_at() -> None:
    assert load(None, {"SPIFFE_ENDPOINT_SOCKET": "nonsense"}).workload_api is None
