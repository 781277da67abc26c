"""Rules between settings: each refuses with key, value and remedy; its near miss passes."""

import copy

import pytest

from outrider.config.checks import is_loopback, split_address
from outrider.config.load import validate
from outrider.config.settings import LACKS_FOR_PRODUCTION
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.changes import put

SPIFFE_ID = "spiffe://acme.test/ns/support/sa/triage"
GOOD: JsonObject = {
    "identity": {"spiffe_id": SPIFFE_ID},
    "upstreams": {"crm": {"url": "http://127.0.0.1:9000", "prefix": "/crm"}},
    "credentials": {"key": {"file": "key", "upstreams": ["crm"]}},
}


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


@pytest.mark.parametrize(
    ("changes", "key", "remedy"),
    [
        pytest.param(
            {"/identity/spiffe_id": None}, "identity.spiffe_id", "SPIFFE ID", id="no-identity"
        ),
        pytest.param(
            {"/identity/spiffe_id": "spiffe://Acme.test/x"},
            "identity.spiffe_id",
            "lower-case",
            id="upper-case-domain",
        ),
        pytest.param(
            {"/identity/spiffe_id": "https://acme.test/x"},
            "identity.spiffe_id",
            "spiffe://",
            id="not-spiffe",
        ),
        pytest.param(
            {"/identity/spiffe_id": SPIFFE_ID + "/"},
            "identity.spiffe_id",
            "trailing /",
            id="trailing-slash",
        ),
        pytest.param(
            {"/identity/spiffe_id": "spiffe://acme.test/" + "a" * 2040},
            "identity.spiffe_id",
            "give spiffe://",
            id="too-long-an-id",
        ),
        pytest.param(
            {"/listeners/control/addresses": ["0.0.0.0:15000"]},
            "listeners.control.addresses",
            "loopback",
            id="control-for-everybody",
        ),
        pytest.param(
            {"/listeners/control/addresses": ["[::]:15000"]},
            "listeners.control.addresses",
            "loopback",
            id="control-for-everybody-v6",
        ),
        pytest.param(
            {"/listeners/egress": {"addresses": ["10.0.0.1:1"], "bearer": True}},
            "listeners.egress.addresses",
            "without mTLS",
            id="bearer-from-afar",
        ),
        pytest.param(
            {"/listeners/egress": {"addresses": ["127.0.0.1:1"], "uids": [7]}},
            "listeners.egress.uids",
            "listeners.egress.unix",
            id="uids-over-tcp",
        ),
        pytest.param(
            {"/listeners/control/addresses": ["127.0.0.1:15001"]},
            "listeners.control.addresses",
            "listeners.egress.addresses has it already",
            id="one-port-for-two",
        ),
        pytest.param(
            {"/listeners/telemetry/addresses": ["0.0.0.0:15000"]},
            "listeners.telemetry.addresses",
            "listeners.control.addresses has it already",
            id="all-addresses-and-one-of-them",
        ),
        pytest.param(
            {
                "/identity/source": "workload_api",
                "/upstreams/crm/direction": "ingress",
                "/listeners/ingress": {"addresses": ["0.0.0.0:15001"]},
            },
            "listeners.ingress.addresses",
            "listeners.egress.addresses has it already",
            id="one-port-for-egress-and-ingress",
        ),
        pytest.param(
            {"/listeners/egress": {"unix": "a.sock"}, "/listeners/control": {"unix": "a.sock"}},
            "listeners.control.unix",
            "listeners.egress.unix has it already",
            id="one-socket-for-two",
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["localhost:15001"]},
            "listeners.egress.addresses",
            "IP address",
            id="a-name-to-listen-on",
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.1:65536"]},
            "listeners.egress.addresses",
            "host:port",
            id="no-such-port",
        ),
        pytest.param(
            {"/listeners/telemetry/addresses": []},
            "listeners.telemetry.addresses",
            "unix path",
            id="nowhere-to-listen",
        ),
        pytest.param(
            {"/upstreams/crm/url": "ftp://127.0.0.1/x"},
            "upstreams.crm.url",
            "http(s)",
            id="no-http",
        ),
        pytest.param(
            {"/upstreams/crm/url": "http://user:pw@127.0.0.1/"},
            "upstreams.crm.url",
            "userinfo",
            id="userinfo",
        ),
        pytest.param(
            {"/upstreams/crm/url": "http://127.0.0.1/?q=1"},
            "upstreams.crm.url",
            "query",
            id="query-in-url",
        ),
        pytest.param(
            {"/upstreams/crm/url": "http://127.0.0.1:99999/"},
            "upstreams.crm.url",
            "port",
            id="bad-port",
        ),
        *(
            pytest.param({"/upstreams/crm/url": url}, "upstreams.crm.url", "http(s)", id=name)
            for name, url in {
                "bracket-open": "http://[::1/desk",
                "bracket-without-address": "http://[crm]/",
                "scoped-address": "http://[fe80::1%25eth0]/",
                "no-host": "http:///desk",
                "name-of-dots": "http://crm..example/",
                "label-too-long": f"http://{'a' * 64}.example/",
                "host-beyond-ascii": "http://ex\u00e4mple/",
                "host-that-folds": "http://ex\u2100mple/",
                "space-in-path": "http://crm.example/a b",
                "port-of-many-digits": f"http://crm.example:{'1' * 4000}/",
                "port-zero": "http://crm.example:0/",
            }.items()
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.1:" + "1" * 4000]},
            "listeners.egress.addresses",
            "host:port",
            id="port-of-many-digits-to-listen-on",
        ),
        pytest.param(
            {"/allow_plain": False, "/upstreams/crm/url": "http://crm.example/"},
            "upstreams.crm.url",
            "https",
            id="plain-where-not-allowed",
        ),
        pytest.param(
            {"/upstreams/crm/prefix": None}, "upstreams.crm.prefix", "hosts", id="no-way-in"
        ),
        pytest.param(
            {"/upstreams/crm/prefix": "/crm/"}, "upstreams.crm.prefix", "trailing", id="slash-end"
        ),
        pytest.param(
            {"/upstreams/crm/prefix": "/.outrider/x"},
            "upstreams.crm.prefix",
            "reserved",
            id="reserved",
        ),
        pytest.param(
            {"/upstreams/crm/prefix": "/a/../b"}, "upstreams.crm.prefix", "letters", id="dots"
        ),
        pytest.param(
            {"/upstreams/crm/hosts": ["CRM.example"]},
            "upstreams.crm.hosts",
            "lower case",
            id="upper-case-host",
        ),
        pytest.param(
            {"/upstreams/crm/networks": ["10.0.0.0/99"]},
            "upstreams.crm.networks",
            "CIDR",
            id="no-network",
        ),
        pytest.param(
            {"/upstreams/crm/credential": "nokey"},
            "upstreams.crm.credential",
            "one of",
            id="unknown-credential",
        ),
        pytest.param(
            {"/credentials/key/upstreams": ["erp"]},
            "credentials.key.upstreams",
            "crm",
            id="credential-for-nobody",
        ),
        pytest.param(
            {"/policy": {"engine": "opa", "opa": {"mode": "socket"}}},
            "policy.opa.socket",
            "path",
            id="opa-without-socket",
        ),
        pytest.param(
            {"/agent_credentials": ["x-token", "content-type"]},
            "agent_credentials",
            "cannot do without",
            id="a-header-that-frames",
        ),
        pytest.param({"/tasks/life_s": 86_401}, "tasks.life_s", "at most", id="tasks"),
    ],
)
def test_each_rule_refuses_with_key_and_remedy(
    changes: dict[str, Json], key: str, remedy: str
) -> None:
    (line,) = faults(changes)
    assert line.startswith(f"{key} is ")
    assert remedy in line


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"/listeners/control/addresses": ["[::1]:0"]}, id="control-on-loopback-v6"),
        pytest.param(
            {"/listeners/control": {"unix": "control.sock"}}, id="control-on-a-unix-socket"
        ),
        pytest.param({"/listeners/egress/addresses": ["10.0.0.1:1"]}, id="egress-without-bearer"),
        pytest.param(
            {"/listeners/egress": {"addresses": ["127.0.0.9:1"], "bearer": True}},
            id="bearer-on-loopback",
        ),
        pytest.param(
            {"/allow_plain": False, "/upstreams/crm/url": "http://127.0.0.1:80/"},
            id="plain-to-loopback",
        ),
        pytest.param(
            {"/allow_plain": False, "/upstreams/crm/url": "https://crm.example/"}, id="https"
        ),
        pytest.param(
            {"/upstreams/crm/prefix": None, "/upstreams/crm/hosts": ["crm.example:8080"]},
            id="hosts-alone",
        ),
        *(
            pytest.param({"/upstreams/crm/url": url}, id=f"url {url}")
            for url in ("HTTPS://Crm_1.example.", "http://[::1]:8080/a%20b", "http://10.0.0.1:1")
        ),
        pytest.param({"/upstreams/crm/networks": ["10.0.0.0/8", "fd00::/8"]}, id="networks"),
        pytest.param({"/upstreams/crm/credential": "key"}, id="known-credential"),
        pytest.param(
            {"/policy": {"engine": "opa", "opa": {"mode": "socket", "socket": "o.sock"}}},
            id="opa-with-socket",
        ),
        pytest.param({"/upstreams/crm/prefix": "/.outriders"[:5]}, id="a-dot-name-not-reserved"),
    ],
)
def test_the_near_miss_of_each_rule_passes(changes: dict[str, Json]) -> None:
    assert faults(changes) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.1:0"], "/listeners/control/addresses":
             ["127.0.0.1:0"]}, id="a-free-port-each",
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.1:15006"]}, id="the-port-of-a-closed-ingress"
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.1:1", "[::1]:1"]}, id="both-versions-of-ip"
        ),
        pytest.param(
            {"/listeners/egress/addresses": ["127.0.0.2:1"], "/listeners/control/addresses":
             ["127.0.0.1:1"]}, id="one-port-of-two-addresses",
        ),
    ],
)  # fmt: skip
def test_listeners_beside_each_other_are_taken(changes: dict[str, Json]) -> None:
    assert faults(changes) == []


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://u:pass-word@crm.test", id="plain"),
        pytest.param("https://u:pa/pass-word@crm.test", id="with-a-slash"),
        pytest.param("https://u:a pass-word@crm.test", id="with-a-space"),
        pytest.param("https://u:p@pass-word@crm.test", id="with-an-at"),
    ],
)
def test_a_password_in_a_url_is_not_printed(url: str) -> None:
    (line,) = faults({"/upstreams/crm/url": url})
    assert "pass-word" not in line
    assert "crm.test" in line


@pytest.mark.parametrize(
    ("other", "key"),
    [
        pytest.param({"prefix": "/crm"}, "upstreams.erp.prefix", id="prefix"),
        pytest.param({"hosts": ["crm.example"]}, "upstreams.erp.hosts", id="host"),
    ],
)
def test_two_upstreams_never_share_a_way_in(other: JsonObject, key: str) -> None:
    (line,) = faults(
        {
            "/upstreams/crm/hosts": ["crm.example"],
            "/upstreams/erp": {"url": "http://127.0.0.1:9001", **other},
        }
    )
    assert line.startswith(key)
    assert "crm has it already" in line


def test_production_refuses_to_start_naming_all_it_lacks() -> None:
    (line,) = faults({"/profile": "production"})
    assert line.startswith("profile is 'production'")
    assert all(lack in line for lack in LACKS_FOR_PRODUCTION)


@pytest.mark.parametrize("profile", ["demo", "development"])
def test_other_profiles_start(profile: str) -> None:
    assert faults({"/profile": profile}) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        ("127.0.0.1", None),
        ("127.0.0.1:", None),
        ("127.0.0.1:+1", None),
        ("127.0.0.1:\u0661", None),
        ("127.0.0.1:65536", None),
        ("localhost:80", None),
        (":80", None),
        ("", None),
        ("127.0.0.1:80\r\n", None),
    ],
)
def test_an_address_is_an_ip_and_a_port(address: str, expected: tuple[str, int] | None) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.evil.example:1", False),
        ("[::ffff:10.0.0.1]:1", False),
        ("nonsense", False),
    ],
)
def test_loopback_is_this_machine_alone(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


# --- traces ---


@pytest.mark.parametrize(
    "tracing",
    [
        pytest.param({"endpoint": "http://127.0.0.1:4317"}, id="loopback"),
        pytest.param({"endpoint": "http://[::1]:4317"}, id="loopback-6"),
        pytest.param({"endpoint": "https://collector.test:4317"}, id="https"),
        pytest.param(
            {"endpoint": "http://collector.test:4317", "allow_plain": True}, id="plain-on-purpose"
        ),
        pytest.param({}, id="off"),
    ],
)
def test_a_collector_is_reached_where_nobody_listens_in(tracing):
    assert validate({"telemetry": {"tracing": tracing}})


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param("http://collector.test:4317", id="plain"),
        pytest.param("collector.test:4317", id="no-scheme"),
        pytest.param("https://collector.test", id="no-port"),
        pytest.param("https://collector.test:4317/v1/traces", id="a-path"),
        pytest.param("https://user:word@collector.test:4317", id="userinfo"),
        pytest.param("grpc://collector.test:4317", id="another-scheme"),
    ],
)
def test_a_collector_that_is_none_is_a_fault(endpoint):
    with pytest.raises(ConfigError, match=r"^telemetry\.tracing\.endpoint is ") as caught:
        validate({"telemetry": {"tracing": {"endpoint": endpoint}}})
    assert "word" not in str(caught.value)
