"""`outrider identity check` over real handshakes: each end by its reason, and nothing but TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from outrider.app import peer_check
from outrider.app.identity import OwnIdentity
from outrider.app.peer_check import AT_ONCE, PeerCheck
from outrider.config.load import Loaded, validate
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, bundle_of
from tests.support.spiffe_wire import listening, their_server

A, B, OTHER = a_ca("a.test"), a_ca("b.test"), a_ca("other.test")
CRM = "spiffe://a.test/crm"


class Room:
    """A sidecar's identity: an SVID of a.test, bundles of a.test and b.test; upstream `crm`."""

    def __init__(self, port: int = 1, expect: str = CRM) -> None:
        document: JsonObject = {
            "identity": {
                "source": "files",
                "files": {"directory": "."},
                "spiffe_id": "spiffe://a.test/sidecar",
            },
            "upstreams": {
                "crm": {
                    "url": f"https://127.0.0.1:{port}/mcp",
                    "prefix": "/crm",
                    "tls": {"spiffe": {"expect": [expect]}},
                }
            },
            "limits": {"tls_s": 1.0, "connect_s": 1.0},
        }
        self.loaded = Loaded(settings=validate(document), base=Path(), source=None, pod_uid=None)
        self.events = RecordingIdentityEvents()
        self.identity = OwnIdentity(self.loaded, SystemClock(), self.events)
        self.own = A.own("/sidecar")
        Trust(own=self.own, bundles=[bundle_of(A), bundle_of(B)]).give(self.identity.keeper)
        self.check = PeerCheck(self.identity, lambda: self.loaded).check


def requiring(svid: Svid, *trusted: Ca) -> ssl.SSLContext:
    """A server that takes only clients by `trusted`."""
    context = their_server(svid)
    context.verify_mode = ssl.CERT_REQUIRED
    for ca in trusted:
        context.load_verify_locations(cadata=ca.der)
    return context


@asynccontextmanager
async def a_stranger(answer: bytes | None) -> AsyncIterator[int]:
    """A port where no TLS is spoken: it says `answer`, or nothing for None, or hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer:
            writer.write(answer)
        if answer == b"":
            writer.close()
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_a_peer_that_is_expected_is_accepted_and_named() -> None:
    svid = A.below().svid("/crm")
    async with listening(requiring(svid, A)) as echo:
        room = Room(echo.port)
        found = await room.check("crm")
        await echo.reached.wait()
    shown = as_object(found["found"])
    assert (found["accepted"], found["reason"], found["upstream"]) == (True, "ok", "crm")
    assert (found["ours"], found["address"]) == ("spiffe://a.test/sidecar", "127.0.0.1")
    assert (found["tls"], found["bundle_known"], found["expected"]) == ("TLSv1.3", True, [CRM])
    assert (shown["verified"], shown["spiffe_id"], shown["trust_domain"]) == (True, CRM, "a.test")
    assert shown["serial"] == format(svid.certificate.serial_number, "x")
    assert len(as_list(shown["chain"])) == 3
    assert room.events.handshakes == []  # a check is no traffic


async def test_by_host_and_port_anyone_of_a_known_domain_is_accepted() -> None:
    async with listening(their_server(B.svid("/anyone"))) as echo:
        found = await Room().check(f"127.0.0.1:{echo.port}")
    assert (found["accepted"], found["upstream"], found["expected"]) == (True, None, None)
    assert as_object(found["found"])["spiffe_id"] == "spiffe://b.test/anyone"


async def test_who_is_verified_and_not_expected_is_named_and_refused() -> None:
    async with listening(their_server(A.svid("/crm-twin"))) as echo:
        found = await Room(echo.port).check("crm")
    shown = as_object(found["found"])
    assert (found["accepted"], found["reason"]) == (False, "not_expected")
    assert (shown["verified"], shown["spiffe_id"]) == (True, "spiffe://a.test/crm-twin")
    assert "tls.spiffe.expect" in str(found["next"])


REFUSED = [
    pytest.param(
        lambda: B.svid(uris=("spiffe://a.test/crm",)), "wrong_authority", CRM, True, id="forged"
    ),
    pytest.param(
        lambda: A.svid(uris=("spiffe://gone.test/crm",)),
        "no_bundle",
        "spiffe://gone.test/crm",
        False,
        id="no-bundle",
    ),
    pytest.param(
        lambda: OTHER.svid("/crm"),
        "unknown_authority",
        "spiffe://other.test/crm",
        False,
        id="unknown-authority",
    ),
    pytest.param(lambda: A.svid("/crm", seconds=(-90, -30)), "expired", CRM, True, id="expired"),
    pytest.param(
        lambda: A.svid("/crm", seconds=(3600, 7200)), "not_yet_valid", CRM, True, id="not-yet-valid"
    ),
    pytest.param(lambda: A.svid("/crm", basics=True), "leaf", CRM, True, id="leaf"),
    pytest.param(lambda: A.svid(uris=()), "leaf", None, False, id="no-name"),
    pytest.param(
        lambda: A.svid(uris=("https://a.test/crm",)),
        "spiffe_id",
        "https://a.test/crm",
        False,
        id="spiffe-id",
    ),
]


@pytest.mark.parametrize(("svid", "reason", "claimed", "known"), REFUSED)
async def test_a_bad_certificate_is_refused_for_its_reason_and_shown_as_a_claim(
    svid, reason, claimed, known
) -> None:
    async with listening(their_server(svid())) as echo:
        room = Room(echo.port)
        found = await room.check("crm")
    shown = as_object(found["found"])
    assert (found["accepted"], found["reason"]) == (False, reason)
    assert (shown["verified"], shown["spiffe_id"]) == (False, claimed)
    assert found["bundle_known"] is known
    assert found["next"]
    assert room.events.handshakes == []


async def test_a_peer_that_does_not_take_our_svid_is_told_from_one_that_does() -> None:
    async with listening(requiring(A.svid("/crm"), B)) as echo:
        found = await Room(echo.port).check("crm")
        assert not echo.reached.is_set()
    assert (found["accepted"], found["reason"]) == (False, "refused_us")
    assert as_object(found["found"])["verified"] is True


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="speaks-http"),
        pytest.param(b"", id="hangs-up"),
    ],
)
async def test_what_speaks_no_tls_is_said_so(answer: bytes) -> None:
    async with a_stranger(answer) as port:
        found = await Room(port).check("crm")
    assert (found["accepted"], found["reason"], found["found"]) == (False, "protocol", None)
    assert "holds no SVID itself" in str(found["says"])


async def test_who_says_nothing_is_told_from_who_hangs_up() -> None:
    async with a_stranger(None) as port:
        found = await Room(port).check("crm")
    assert (found["accepted"], found["reason"], found["found"]) == (False, "timeout", None)
    assert found["address"] == "127.0.0.1"


async def test_a_server_of_an_older_tls_shows_its_certificate_and_is_refused() -> None:
    context = their_server(A.svid("/crm"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(context) as echo:
        found = await Room(echo.port).check("crm")
    assert (found["accepted"], found["reason"]) == (False, "protocol")
    assert as_object(found["found"])["spiffe_id"] == CRM


async def test_nobody_there_is_unreachable() -> None:
    async with a_stranger(None) as port:
        pass
    found = await Room(port).check("crm")
    assert (found["accepted"], found["reason"], found["address"]) == (False, "unreachable", None)
    assert found["detail"]


async def test_a_name_is_looked_up_and_its_addresses_tried_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lookup(host: str, _: int) -> list[str]:
        assert host == "crm.acme.test"
        return ["::1", "127.0.0.1"]

    monkeypatch.setattr(peer_check, "system_lookup", lookup)
    async with listening(their_server(A.svid("/crm"))) as echo:
        found = await Room().check(f"crm.acme.test:{echo.port}")
    assert (found["accepted"], found["address"]) == (True, "127.0.0.1")
    assert found["peer"] == f"crm.acme.test:{echo.port}"


async def _unknown(_: str, __: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def _empty(_: str, __: int) -> list[str]:
    return []


async def _late(_: str, __: int) -> list[str]:
    raise TimeoutError


@pytest.mark.parametrize(
    ("lookup", "why"),
    [
        pytest.param(_unknown, "Name or service not known", id="unknown"),
        pytest.param(_empty, "the name cannot be resolved", id="no-address"),
        pytest.param(_late, "did not answer in time", id="late"),
    ],
)
async def test_a_name_without_an_address_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, lookup: Callable[..., object], why: str
) -> None:
    monkeypatch.setattr(peer_check, "system_lookup", lookup)
    found = await Room().check("crm.acme.test:8443")
    assert (found["accepted"], found["reason"]) == (False, "unreachable")
    assert why in str(found["detail"])


async def test_a_check_that_is_given_up_leaves_no_socket() -> None:
    """Nothing warns of a socket that nobody closed: warnings are errors here."""
    async with a_stranger(None) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await Room(port).check("crm")


async def test_without_an_svid_nothing_is_dialled() -> None:
    async with listening(their_server(A.svid("/crm"))) as echo:
        room = Room(echo.port)
        room.identity.keeper.redact()
        found = await room.check("crm")
        assert echo.peers == []
    assert (found["accepted"], found["reason"], found["ours"]) == (False, "no_svid", None)
    assert (found["address"], room.events.handshakes) == (None, [])


async def test_only_a_few_checks_are_under_way_at_once() -> None:
    async with a_stranger(None) as port:
        room = Room(port)
        async with asyncio.TaskGroup() as group:
            under_way = [group.create_task(room.check("crm")) for _ in range(AT_ONCE)]
            await asyncio.sleep(0)
            with pytest.raises(ConfigError, match="under way"):
                await room.check("crm")
    assert [task.result()["reason"] for task in under_way] == ["timeout"] * AT_ONCE


async def test_no_key_is_told() -> None:
    async with listening(their_server(A.svid("/crm"))) as echo:
        room = Room(echo.port)
        told = orjson.dumps(await room.check("crm"))
    key = room.own.svid.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert b"PRIVATE" not in told
    assert key.hex().encode() not in told
