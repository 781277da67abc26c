"""Settings of tunnels and of capture: each fault by key and remedy, its near miss passes."""

import copy

import pytest

from outrider.config.load import validate
from outrider.config.tunnel_checks import tunnel_place
from outrider.config.upstream_settings import Upstream
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject

GOOD: JsonObject = {
    "identity": {"spiffe_id": "spiffe://acme.test/ns/support/sa/triage"},
    "upstreams": {"api": {"url": "https://api.example.com", "protocol": "connect"}},
}


def faults(upstream: JsonObject | None = None, **more: Json) -> list[str]:
    document = copy.deepcopy(GOOD) | more
    if upstream is not None:
        document["upstreams"] = {"api": {**GOOD["upstreams"]["api"], **upstream}}  # type: ignore[index,call-overload,dict-item]
    try:
        validate(document)
    except ConfigError as fault:
        return str(fault).splitlines()
    return []


@pytest.mark.parametrize(
    ("url", "place"),
    [
        pytest.param("https://api.example.com", "api.example.com:443", id="bare"),
        pytest.param("https://API.example.com:8443", "api.example.com:8443", id="port"),
        pytest.param("https://web1", "web1:443", id="ends-in-a-digit"),
        pytest.param("http://api.example.com", None, id="http"),
        pytest.param("https://api.example.com/", None, id="path"),
        pytest.param("https://api.example.com?x", None, id="query"),
        pytest.param("https://api.example.com.", None, id="rooted"),
        pytest.param("https://10.0.0.1", None, id="v4"),
        pytest.param("https://2130706433", None, id="number"),
        pytest.param("https://0x7f.1", None, id="hex"),
        pytest.param("https://[::1]", None, id="v6"),
        pytest.param("https://u@api.example.com", None, id="userinfo"),
        pytest.param("https://api.example.com:99999", None, id="no-port"),
        pytest.param("https://xn--pple-43d.com", None, id="mixed-scripts"),
    ],
)
def test_a_tunnel_leads_to_one_name_and_port(url, place):
    assert tunnel_place(Upstream(url=url, protocol="connect")) == place


def test_the_base_is_good():
    assert faults() == []
    assert faults({"networks": ["10.0.0.0/8"], "connections": 4}) == []


@pytest.mark.parametrize(
    ("upstream", "key"),
    [
        pytest.param({"url": "https://10.0.0.1"}, "upstreams.api.url", id="an-address"),
        pytest.param({"prefix": "/api"}, "upstreams.api.prefix", id="prefix"),
        pytest.param({"hosts": ["api.example.com"]}, "upstreams.api.hosts", id="hosts"),
        pytest.param({"ca_file": "ca.pem"}, "upstreams.api.ca_file", id="ca"),
        pytest.param({"direction": "ingress"}, "upstreams.api.direction", id="ingress"),
        pytest.param(
            {"tls": {"spiffe": {"expect": ["spiffe://a.test/x"]}}},
            "upstreams.api.tls.spiffe",
            id="spiffe",
        ),
    ],
)
def test_what_says_something_of_what_is_read_is_refused(upstream, key):
    assert any(line.startswith(f"{key} ") for line in faults(upstream)), faults(upstream)


def test_two_tunnels_to_one_place_are_refused():
    document = copy.deepcopy(GOOD)
    document["upstreams"]["twin"] = dict(document["upstreams"]["api"])  # type: ignore[index,call-overload]
    with pytest.raises(ConfigError, match="api has it already"):
        validate(document)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        pytest.param({"capture": {"watch": True}}, "capture.watch", id="nothing-to-watch"),
        pytest.param(
            {
                "capture": {"mode": "transparent"},
                "listeners": {"egress": {"addresses": [], "unix": "x.sock"}},
            },
            "listeners.egress.addresses",
            id="nowhere-to-redirect-to",
        ),
        pytest.param({"capture": {"mode": "off"}}, "capture.mode", id="no-such-mode"),
        pytest.param({"capture": {"mode": "transparent", "watch": True}}, None, id="near-miss"),
    ],
)
def test_capture_has_what_it_needs(more, key):
    found = faults(None, **more)
    assert found == [] if key is None else any(line.startswith(key) for line in found), found
