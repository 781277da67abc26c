"""What is told of our identity: its state and what to do in plain words, never a key."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from outrider.app.identity_view import IdentityView, key_of
from outrider.config.load import Loaded, validate
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.identity.bundles import TrustBundle
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import OwnSvid, SourceState
from outrider.identity.spiffe_id import parse_spiffe_id
from outrider.telemetry.families.identity import SOURCE_STATES
from outrider.telemetry.metrics import Metrics
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock
from tests.support.identity import RecordingIdentityEvents
from tests.support.tls import an_authority
from tests.support.virtual import in_virtual_time, now_s

LIFE_S = 3600.0
API = {"source": "workload_api", "workload_api": {"address": "unix:///run/spire/agent.sock"}}
FILES = {"source": "files", "files": {"directory": "."}}
NONE = {"spiffe_id": AGENT}
AUTHORITY = an_authority()
ISSUED = AUTHORITY.issue("agent.acme.test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The shape of `spiffe.X509Svid`."""

    leaf: x509.Certificate
    cert_chain: list[x509.Certificate]
    private_key: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """The shape of `spiffe.X509Bundle`."""

    x509_authorities: set[x509.Certificate]


def an_svid(**changes: Any) -> OwnSvid:
    held: Any = Held(
        leaf=ISSUED.certificate, cert_chain=[ISSUED.certificate], private_key=ISSUED.key
    )
    fields: dict[str, Any] = {
        "spiffe_id": parse_spiffe_id(AGENT),
        "svid": held,
        "begins_unix_s": NOW_UNIX_S,
        "expires_unix_s": NOW_UNIX_S + LIFE_S,
        "leaf_sha256": "ab" * 32,
    }
    return OwnSvid(**fields | changes)


def a_twin() -> x509.Certificate:
    """An authority of AUTHORITY's name and another key, which nothing else tells apart."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = AUTHORITY.certificate.subject
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


class Room:
    """A view of an identity whose source is the test."""

    def __init__(self, identity: dict[str, Any], **listener: Any) -> None:
        document: Any = {"identity": identity}
        if listener:
            document["listeners"] = {"egress": listener}
        loaded = Loaded(
            settings=validate(document),
            base=Path(),
            source=None,
            pod_uid=None,
            workload_api="unix:/run/spire/agent.sock",
        )
        self.clock = FixedClock()
        self.keeper = IdentityKeeper(clock=self.clock, events=RecordingIdentityEvents())
        self.metrics = Metrics(upstreams=())
        self.view = IdentityView(
            keeper=self.keeper, loaded=loaded, clock=self.clock, instance="pod:one"
        )

    def reach(self, state: SourceState) -> None:
        """Bring the source into `state`, as a real one would come there."""
        if state is not SourceState.WAITING:
            self.keeper.connected(on=True)
            self.take()
        match state:
            case SourceState.DISCONNECTED:
                self.keeper.connected(on=False)
            case SourceState.REDACTED:
                self.keeper.redact()
            case SourceState.EXPIRED:
                self.clock.pass_s(LIFE_S)
            case SourceState.FAILED:
                self.keeper.failed("the Workload API says that it does not know this call")
            case _:
                pass
        assert self.keeper.state() is state

    def take(self, **changes: Any) -> None:
        bundle: Any = Brought(x509_authorities={AUTHORITY.certificate})
        self.keeper.take_x509(an_svid(**changes), {"acme.test": bundle}, own_domain="acme.test")

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"outrider_identity_{name}", labels)


# --- readiness ------------------------------------------------------------------------------

AT = "(at unix:/run/spire/agent.sock)"
ENTRY = "see that its agent runs and has an entry for this workload"
STATES = [
    pytest.param(
        SourceState.WAITING,
        f"waiting: no SVID came from the Workload API yet {AT}; {ENTRY}",
        id="waiting",
    ),
    pytest.param(SourceState.SERVING, None, id="serving"),
    pytest.param(SourceState.DISCONNECTED, None, id="disconnected"),
    pytest.param(
        SourceState.REDACTED,
        f"redacted: the Workload API says that we may hold no identity {AT}; {ENTRY}",
        id="redacted",
    ),
    pytest.param(
        SourceState.EXPIRED,
        f"expired: our SVID ran out and the Workload API gave no other {AT}; see that its agent "
        "runs and reaches its server",
        id="expired",
    ),
    pytest.param(
        SourceState.FAILED,
        "failed: the Workload API: the Workload API says that it does not know this call; mend "
        "that and start outrider anew",
        id="failed",
    ),
]


@pytest.mark.parametrize(("state", "missing"), STATES)
def test_readiness_says_the_state_and_what_to_do(state: SourceState, missing: str | None) -> None:
    room = Room(API)
    room.reach(state)
    (check,) = room.view.checks()
    assert (check.name, check.missing(), check.degraded()) == ("identity", missing, None)
    assert check.detail() == state.value


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        pytest.param("no_such_socket", "there is no such socket", id="absent"),
        pytest.param("not_allowed", "the socket does not let our user in", id="mode"),
        pytest.param("refused", "nothing listens on that socket", id="refused"),
        pytest.param("silent", "says nothing", id="silent"),
        pytest.param("denied", "has no entry for this workload", id="denied"),
        pytest.param("unavailable", "it cannot be reached", id="unavailable"),
    ],
)
def test_why_the_source_is_not_heard_is_said_with_its_address(trouble: str, words: str) -> None:
    room = Room(API)
    room.keeper.troubled(trouble)
    said = str(room.view.missing())
    assert words in said
    assert AT in said
    assert room.view.document()["note"] == said


def test_a_source_that_is_heard_again_has_no_trouble() -> None:
    room = Room(API)
    room.keeper.troubled("refused")
    room.reach(SourceState.SERVING)
    assert room.view.document()["note"] is None


def test_a_disconnected_source_is_ready_and_noted_with_its_cause() -> None:
    room = Room(API)
    room.reach(SourceState.DISCONNECTED)
    mark = marked(room)
    assert "serves to its own end" in str(room.view.document()["note"])
    room.keeper.troubled("refused")
    assert "nothing listens on that socket" in str(room.view.document()["note"])
    assert room.view.missing() is None
    assert marked(room) != mark


def test_a_late_renewal_says_why() -> None:
    room = Room(API)
    room.reach(SourceState.DISCONNECTED)
    room.keeper.troubled("refused")
    room.clock.pass_s(LIFE_S * 0.8)
    assert "nothing listens on that socket" in str(room.view.degraded())


@pytest.mark.parametrize("state", [SourceState.DISCONNECTED, SourceState.SERVING])
def test_what_is_wrong_with_the_files_is_noted(state: SourceState) -> None:
    room = Room(FILES)
    room.reach(state)
    room.keeper.troubled("identity.files.key has mode 0644")
    assert "identity.files.key has mode 0644" in str(room.view.document()["note"])


@pytest.mark.parametrize("state", list(SourceState))
def test_files_are_told_by_their_setting(state: SourceState) -> None:
    room = Room(FILES)
    room.reach(state)
    missing = room.view.missing()
    assert missing is None or "Workload API answers" not in missing
    assert missing is None or "identity.files" in missing


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"spiffe_id": AGENT}, "with identity.spiffe_id", id="id"),
        pytest.param(
            {"workload_api": {"address": "unix:///a", "hint": "main"}},
            "and identity.workload_api.hint",
            id="hint",
        ),
    ],
)
def test_what_the_entry_must_have_is_named(changes: dict[str, Any], named: str) -> None:
    assert named in str(Room({**API, **changes}).view.missing())


def test_without_a_source_there_is_no_condition() -> None:
    assert Room(NONE).view.checks() == ()


@pytest.mark.parametrize(
    ("left", "degraded"),
    [(0.26, False), (0.25, False), (0.2499, True), (0.0, False)],
    ids=["above", "on-the-line", "below", "run-out-is-more-than-degraded"],
)
@pytest.mark.parametrize("source", [API, FILES], ids=["api", "files"])
def test_below_a_quarter_of_its_life_it_is_degraded_and_ready(
    source: dict[str, Any], left: float, degraded: bool
) -> None:
    room = Room(source)
    room.reach(SourceState.SERVING)
    room.clock.pass_s(LIFE_S * (1 - left))
    assert (room.view.degraded() is not None) is degraded
    assert (room.view.missing() is None) is (left > 0)


# --- the gauges -----------------------------------------------------------------------------


def test_the_gauges_follow_the_source() -> None:
    room = Room(API)
    room.view.beat(room.metrics)
    assert room.metric("workload_api_state", state="waiting") == 1
    assert room.metric("svid_lifetime_seconds") == 0
    assert room.metric("workload_api_last_contact_timestamp_seconds") == 0

    room.reach(SourceState.SERVING)
    room.clock.pass_s(600)
    room.view.beat(room.metrics)
    assert room.metric("svid_seconds_remaining") == LIFE_S - 600
    assert room.metric("svid_lifetime_seconds") == LIFE_S
    assert room.metric("workload_api_last_contact_timestamp_seconds") == NOW_UNIX_S
    assert room.metric("bundle_trust_domains") == 1

    room.keeper.redact()
    room.view.beat(room.metrics)
    shown = [name for name in SOURCE_STATES if room.metric("workload_api_state", state=name)]
    assert shown == ["redacted"]
    assert room.metric("svid_seconds_remaining") == 0
    assert room.metric("bundle_trust_domains") == 0


def test_a_run_out_svid_keeps_its_life_so_that_the_alert_stays() -> None:
    room = Room(API)
    room.reach(SourceState.EXPIRED)
    room.view.beat(room.metrics)
    left, life = room.metric("svid_seconds_remaining"), room.metric("svid_lifetime_seconds")
    assert left is not None
    assert life is not None
    assert left < 0.25 * life


def test_without_a_source_no_gauge_is_moved() -> None:
    room = Room(NONE)
    room.view.beat(room.metrics)
    assert room.metric("workload_api_state", state="waiting") is None


# --- the document ---------------------------------------------------------------------------


def test_the_document_says_who_we_are_and_until_when() -> None:
    room = Room(API)
    room.reach(SourceState.SERVING)
    jwt = TrustBundle(trust_domain="other.test", jwt_keys=())
    room.keeper.take_jwt({"other.test": jwt})
    room.clock.pass_s(60)
    found = room.view.document()
    svid = as_object(found["svid"])
    assert found["spiffe_id"] == AGENT
    assert (found["state"], found["proven"], found["note"]) == ("serving", True, None)
    assert (found["instance"], found["address"]) == ("pod:one", "unix:/run/spire/agent.sock")
    assert (svid["remaining_s"], svid["lifetime_s"]) == (LIFE_S - 60, LIFE_S)
    assert svid["serial"] == format(ISSUED.certificate.serial_number, "x")
    assert (svid["key"], svid["chain"]) == ("EC secp256r1", 1)
    assert found["trust_domains"] == [
        {"name": "acme.test", "own": True, "x509_authorities": 1, "collisions": 0, "jwt_keys": 0},
        {"name": "other.test", "own": False, "x509_authorities": 0, "collisions": 0, "jwt_keys": 0},
    ]


def test_an_authority_left_out_for_a_collision_is_counted() -> None:
    room = Room(API)
    twin: Any = Brought(x509_authorities={a_twin()})
    own: Any = Brought(x509_authorities={AUTHORITY.certificate})
    room.keeper.take_x509(an_svid(), {"acme.test": own, "twin.test": twin}, own_domain="acme.test")
    domains = [as_object(one) for one in as_list(room.view.document()["trust_domains"])]
    assert [(one["name"], one["collisions"]) for one in domains] == [
        ("acme.test", 0),
        ("twin.test", 1),
    ]


def test_no_key_is_in_the_document() -> None:
    room = Room(API)
    room.reach(SourceState.SERVING)
    shown = orjson.dumps(room.view.document())
    secret = ISSUED.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert b"PRIVATE" not in shown
    assert secret.hex().encode() not in shown
    assert b"private_key" not in shown


def test_since_is_the_moment_that_the_state_was_reached() -> None:
    room = Room(API)
    assert room.view.document()["since"] == "2026-11-23T09:30:00.000000Z"
    room.clock.pass_s(10)
    room.reach(SourceState.SERVING)
    room.view.beat(room.metrics)
    room.clock.pass_s(300)
    assert room.view.document()["since"] == "2026-11-23T09:30:10.000000Z"


def test_without_a_source_the_id_is_said_to_be_unproven() -> None:
    found = Room(NONE).view.document()
    assert (found["spiffe_id"], found["proven"], found["svid"]) == (AGENT, False, None)
    assert (found["state"], found["since"], found["degraded"]) == (None, None, False)


@pytest.mark.parametrize(
    ("listener", "proves", "never"),
    [
        pytest.param(
            {"addresses": ["127.0.0.1:0"]}, "network namespace", "under which user", id="loopback"
        ),
        pytest.param({"addresses": [], "unix": "a.sock"}, "uids", "which program", id="unix"),
        pytest.param(
            {"addresses": ["[::1]:0"], "unix": "a.sock"}, "by loopback", "which program", id="both"
        ),
    ],
)
def test_what_attested_local_proves_and_does_not_is_said(
    listener: dict[str, Any], proves: str, never: str
) -> None:
    said: JsonObject = as_object(Room(NONE, **listener).view.document()["attested_local"])
    assert said["enabled"] is True
    assert proves in str(said["proves"])
    assert never in str(said["does_not_prove"])


def test_attested_local_that_is_off_proves_nothing() -> None:
    said = as_object(Room({**NONE, "attested_local": False}).view.document()["attested_local"])
    assert said == {"enabled": False, "proves": None, "does_not_prove": None}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param(
            lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "RSA 2048",
            id="rsa",
        ),
        pytest.param(ed25519.Ed25519PrivateKey.generate, "Ed25519", id="ed25519"),
    ],
)
def test_a_key_is_named_by_kind_and_size(key: Any, said: str) -> None:
    issued = AUTHORITY.issue("agent.acme.test", key=key())
    assert key_of(issued.certificate) == said


# --- waiting --------------------------------------------------------------------------------


def marked(room: Room) -> str:
    return str(room.view.document()["mark"])


CHANGES = [
    pytest.param(lambda room: room.take(leaf_sha256="cd" * 32), id="rotation"),
    pytest.param(lambda room: room.keeper.connected(on=False), id="state"),
    pytest.param(lambda room: room.clock.pass_s(LIFE_S * 0.8), id="degraded"),
    pytest.param(lambda room: room.clock.pass_s(LIFE_S), id="expired"),
    pytest.param(
        lambda room: room.keeper.take_jwt({"b.test": TrustBundle(trust_domain="b", jwt_keys=())}),
        id="jwt-bundle",
    ),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_ends_a_wait_at_the_next_beat_at_the_latest(change: Any) -> None:
    room = Room(API)
    room.reach(SourceState.SERVING)
    mark = marked(room)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(room.view.wait_other(mark, 30.0))
        await asyncio.sleep(0)
        room.view.beat(room.metrics)
        await asyncio.sleep(0)
        assert not waiting.done()
        change(room)
        room.view.beat(room.metrics)
    assert waiting.result()["mark"] != mark


async def test_a_swap_is_told_without_a_beat() -> None:
    room = Room(API)
    room.reach(SourceState.SERVING)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(room.view.wait_other(marked(room), 30.0))
        await asyncio.sleep(0)
        room.keeper.redact()
    assert waiting.result()["state"] == "redacted"


async def test_all_who_wait_are_told() -> None:
    room = Room(API)
    mark = marked(room)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(room.view.wait_other(mark, 30.0)) for _ in range(3)]
        await asyncio.sleep(0)
        room.reach(SourceState.SERVING)
    assert {task.result()["state"] for task in waiting} == {"serving"}


async def test_what_is_other_already_is_told_at_once() -> None:
    found = await Room(API).view.wait_other("another", 30.0)
    assert found["state"] == "waiting"


def test_a_wait_ends_by_itself_and_tells_the_same() -> None:
    async def wait() -> tuple[JsonObject, float]:
        room = Room(API)
        room.reach(SourceState.SERVING)
        return await room.view.wait_other(marked(room), 30.0), now_s()

    found, seconds = in_virtual_time(wait())
    assert (found["state"], seconds) == ("serving", 30.0)


def test_H1_an_identity_that_openssl_cannot_load_keeps_us_from_being_ready():
    room = Room({"source": "workload_api"})
    room.reach(SourceState.SERVING)
    assert room.view.missing() is None
    room.keeper.unusable("no TLS context can be made of it")
    assert room.view.missing() == (
        "failed: no TLS context can be made of it; see that what the Workload API gives is such as "
        "OpenSSL loads, and the log"
    )
