"""Whom a check is of, and the words for each of its ends. The handshakes: tests/wire/identity."""

from pathlib import Path
from typing import Any

import pytest

from outrider.app import peer_check
from outrider.app.identity import OwnIdentity
from outrider.app.peer_check import PEER_CHARS, PeerCheck, Place, place_of
from outrider.config.load import Loaded, validate
from outrider.core.errors import ConfigError
from tests.support.builders import FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import a_ca

EXPECT = "spiffe://acme.test/crm"


def loaded_with(source: str = "files", **upstreams: Any) -> Loaded:
    document: Any = {
        "identity": {
            "source": source,
            "files": {"directory": "."},
            "spiffe_id": "spiffe://acme.test/triage",
        },
        "upstreams": upstreams,
    }
    return Loaded(settings=validate(document), base=Path(), source=None, pod_uid=None)


def an_upstream(url: str, **changes: Any) -> dict[str, Any]:
    return {"url": url, "prefix": "/crm", **changes}


SPIFFE = {"spiffe": {"expect": [EXPECT]}}

PLACES = [
    pytest.param("crm.test:8443", "crm.test", 8443, id="host-port"),
    pytest.param("https://crm.test:8443", "crm.test", 8443, id="url"),
    pytest.param("https://crm.test", "crm.test", 443, id="url-of-the-usual-port"),
    pytest.param("https://crm.test:8443/", "crm.test", 8443, id="url-with-a-slash"),
    pytest.param("10.0.0.1:8443", "10.0.0.1", 8443, id="v4"),
    pytest.param("[::1]:8443", "::1", 8443, id="v6"),
]


@pytest.mark.parametrize(("peer", "host", "port"), PLACES)
def test_a_place_is_named_by_host_and_port(peer: str, host: str, port: int) -> None:
    assert place_of(peer, loaded_with()) == Place(host=host, port=port)


def test_an_upstream_is_named_by_its_name_and_brings_whom_it_expects() -> None:
    loaded = loaded_with(crm=an_upstream("https://crm.test:8443/mcp", tls=SPIFFE))
    assert place_of("crm", loaded) == Place(
        host="crm.test", port=8443, upstream="crm", expect=(EXPECT,)
    )


@pytest.mark.parametrize(
    ("peer", "upstream"),
    [
        pytest.param("crm.test:8443", "crm", id="its-place"),
        pytest.param("https://CRM.test:8443", "crm", id="its-place-as-a-url"),
        pytest.param("crm.test:8444", None, id="another-port"),
        pytest.param("web.test:8443", None, id="an-upstream-by-web-pki"),
    ],
)
def test_an_address_of_an_upstream_brings_whom_that_expects(
    peer: str, upstream: str | None
) -> None:
    loaded = loaded_with(
        crm=an_upstream("https://crm.test:8443/mcp", tls=SPIFFE),
        web=an_upstream("https://web.test:8443", prefix="/web"),
    )
    place = place_of(peer, loaded)
    assert (place.upstream, place.expect) == (upstream, (EXPECT,) if upstream else None)


def test_an_address_of_two_upstreams_brings_whom_either_expects() -> None:
    other = "spiffe://acme.test/other"
    loaded = loaded_with(
        crm=an_upstream("https://crm.test:8443/mcp", tls=SPIFFE),
        too=an_upstream(
            "https://crm.test:8443/too", prefix="/too", tls={"spiffe": {"expect": [EXPECT, other]}}
        ),
    )
    place = place_of("crm.test:8443", loaded)
    assert (place.upstream, place.expect) == ("crm, too", (EXPECT, other))


NOWHERE = [
    pytest.param("crn", id="a-mistyped-upstream"),
    pytest.param("crm.test", id="a-host-without-a-port"),
    pytest.param("", id="empty"),
    pytest.param("http://crm.test:80", id="http"),
    pytest.param("ftp://crm.test:21", id="ftp"),
    pytest.param("https://me@crm.test:8443", id="userinfo"),
    pytest.param("https://crm.test:8443/mcp", id="path"),
    pytest.param("https://crm.test:8443?x", id="query"),
    pytest.param("https://crm.test:8443#x", id="fragment"),
    pytest.param("crm.test:0", id="port-0"),
    pytest.param("crm.test:65536", id="port-too-high"),
    pytest.param("crm.test:port", id="port-is-no-number"),
    pytest.param("2130706433:8443", id="number-as-host"),
    pytest.param("127.1:8443", id="short-number-as-host"),
    pytest.param("crm.test.:8443", id="rooted"),
    pytest.param("crm.test:8443\n", id="newline"),
    pytest.param("crm .test:8443", id="space"),
    pytest.param("crm\u2024test:8443", id="not-ascii"),
    pytest.param("/run/peer.sock", id="path-of-a-socket"),
    pytest.param("a" * PEER_CHARS + ".test:1", id="endless"),
]


@pytest.mark.parametrize("peer", NOWHERE)
def test_what_names_no_peer_is_refused_with_what_would(peer: str) -> None:
    loaded = loaded_with(crm=an_upstream("https://crm.test:8443/mcp", tls=SPIFFE))
    with pytest.raises(ConfigError, match=r"give host:port, .* upstream, one of: crm"):
        place_of(peer, loaded)


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        pytest.param(an_upstream("http://127.0.0.1:80"), "is not https", id="plain"),
        pytest.param(an_upstream("https://crm.test"), "by its host name and CAs", id="web-pki"),
    ],
)
def test_an_upstream_without_a_spiffe_id_says_how_it_is_verified(
    upstream: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        place_of("crm", loaded_with(crm=upstream))


async def test_without_a_source_there_is_nothing_to_check_under() -> None:
    loaded = loaded_with("none")
    identity = OwnIdentity(loaded, FixedClock(), RecordingIdentityEvents())
    with pytest.raises(ConfigError, match=r"identity\.source is none"):
        await PeerCheck(identity, lambda: loaded).check("crm.test:8443")


def test_L3_a_certificate_of_one_extension_twice_is_shown_as_unreadable() -> None:
    der = a_ca("a.test").svid("/x").der
    twice = der.replace(bytes.fromhex("551d23"), bytes.fromhex("551d11"))
    assert twice != der
    shown = peer_check._certificate(peer_check._Findings(leaf=twice))
    assert shown is not None
    assert shown["unreadable"] is True
    whole = peer_check._certificate(peer_check._Findings(leaf=der))
    assert whole is not None
    assert "unreadable" not in whole
