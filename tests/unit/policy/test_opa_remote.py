"""OPA over TLS: asked only while what it proved holds, found by name, never on a guess."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Defined, Failed
from outrider.core.vocabulary import Reason
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.tls import Expected, client_context
from outrider.policy.engines.opa import OpaEngine, OpaLimits, OthersLink
from outrider.policy.opa_hot import HotClient, request_head
from outrider.policy.opa_remote import OpaTls, RemoteDoor, system_lookup
from outrider.policy.opa_reply import Reply
from tests.support.fake_opa import FakeOpa, Fault, a_result
from tests.support.identity import RecordingIdentityEvents
from tests.support.opa import ENTRYPOINT, a_release, until
from tests.support.tls import HOST, Issued, an_authority, listen_for_names

OK = a_result(True)
HEAD = request_head(ENTRYPOINT)
CLOCK = SystemClock()


class Trusting:
    """Whether what was proved holds, set by hand; counts how often it was asked."""

    def __init__(self, authority: Issued) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.load_verify_locations(cadata=authority.pem.decode())
        self.good = True
        self.asked: list[ssl.SSLObject] = []

    def holds(self, tls: ssl.SSLObject) -> bool:
        self.asked.append(tls)
        return self.good

    @property
    def tls(self) -> OpaTls:
        return OpaTls(context=self.context, holds=self.holds)


class Remote:
    """A double of OPA that speaks TLS on loopback, and what is trusted of it."""

    def __init__(self, opa: FakeOpa, port: int, trusting: Trusting, names: list) -> None:
        self.opa, self.port, self.trusting, self.names = opa, port, trusting, names

    def door(self, host: str = "127.0.0.1", **options) -> RemoteDoor:
        url = f"https://{host}:{self.port}"
        return RemoteDoor(url=url, tls=self.trusting.tls, clock=CLOCK, **options)

    def client(self, connections: int = 4, **options) -> HotClient:
        return HotClient(door=self.door(**options), connections=connections, clock=CLOCK)


@asynccontextmanager
async def remote_opa(always=OK, *, trusted: bool = True) -> AsyncIterator[Remote]:
    authority = await asyncio.to_thread(an_authority)
    context = authority.issue(HOST).server()
    names = listen_for_names(context)
    opa = FakeOpa(path=None, always=always)  # type: ignore[arg-type]
    server = await asyncio.start_server(opa.serve, "127.0.0.1", 0, ssl=context)
    other = authority if trusted else await asyncio.to_thread(an_authority)
    try:
        yield Remote(opa, server.sockets[0].getsockname()[1], Trusting(other), names)
    finally:
        server.close()
        await opa.close()
        for _ in range(3):  # what was aborted is closed a turn of the loop later
            await asyncio.sleep(0)


async def ask(client: HotClient, within_s: float = 5.0) -> Reply | Failed:
    return await client.ask(HEAD, b"{}", CLOCK.monotonic_s() + within_s)


def reason(found: Reply | Failed) -> Reason:
    assert isinstance(found, Failed), found
    return found.code


async def test_one_connection_serves_one_question_after_another():
    async with remote_opa() as remote:
        client = remote.client()
        for _ in range(3):
            assert isinstance(await ask(client), Reply)
        client.close()
        assert remote.opa.connections == 1
        assert len(remote.opa.requests) == 3


async def test_a_server_that_does_not_prove_itself_is_asked_nothing(caplog):
    async with remote_opa(trusted=False) as remote:
        assert reason(await ask(remote.client())) is Reason.POLICY_UNAVAILABLE
        assert remote.opa.requests == []
    (record,) = (r for r in caplog.records if r.name == "outrider.policy.opa_remote")
    assert (record.event, record.fault) == ("opa_identity", "CERTIFICATE_VERIFY_FAILED")


async def test_without_an_identity_of_ours_nobody_is_asked(caplog):
    events = RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=CLOCK, events=events)
    expect = Expected(("spiffe://acme.test/opa",))
    async with remote_opa() as remote:
        remote.trusting.context = client_context(keeper, events, CLOCK, expect=expect)
        assert reason(await ask(remote.client())) is Reason.POLICY_UNAVAILABLE
        assert remote.opa.requests == []
    assert events.handshakes == [(Role.CLIENT, HandshakeReason.NO_SVID)]
    (record,) = (r for r in caplog.records if r.name == "outrider.policy.opa_remote")
    assert record.fault == "no_svid"


async def test_a_kept_connection_whose_trust_is_gone_is_closed_unasked():
    async with remote_opa() as remote:
        client = remote.client()
        assert isinstance(await ask(client), Reply)
        (idle,) = client._idle
        remote.trusting.good = False
        assert reason(await ask(client)) is Reason.POLICY_UNAVAILABLE
        assert not idle.alive
        assert client._idle == []
    # what was asked anew was asked of a connection of its own, and its answer not believed
    assert remote.opa.connections == 2


async def test_an_answer_that_comes_after_trust_went_is_not_believed():
    async with remote_opa() as remote:
        client = remote.client()
        remote.trusting.good = False
        assert reason(await ask(client)) is Reason.POLICY_UNAVAILABLE
        assert len(remote.opa.requests) == 1
        remote.trusting.good = True
        assert isinstance(await ask(client), Reply)
        client.close()


async def test_after_a_renewal_no_connection_of_before_is_asked():
    async with remote_opa() as remote:
        client = remote.client()
        assert isinstance(await ask(client), Reply)
        (idle,) = client._idle
        client.renew()
        assert not idle.alive
        assert isinstance(await ask(client), Reply)
        client.close()
        assert remote.opa.connections == 2


async def test_a_question_under_way_has_its_answer_before_its_connection_is_renewed():
    async with remote_opa(Fault.HANG) as remote:
        client = remote.client()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(ask(client))
            await until(lambda: len(remote.opa.requests) == 1)
            client.renew()
            (writer,) = remote.opa._writers
            writer.write(OK)
        assert isinstance(asked.result(), Reply)
        assert client._idle == []


@pytest.mark.parametrize(
    ("host", "sent"), [("127.0.0.1", [None]), ("opa.acme.test", ["opa.acme.test"])]
)
async def test_a_name_is_sent_along_and_an_address_is_not(host, sent):
    async with remote_opa() as remote:
        client = remote.client(host=host, lookup=lambda *_: ["127.0.0.1"])
        assert isinstance(await ask(client), Reply)
        client.close()
        assert remote.names == sent


async def test_an_address_that_does_not_answer_is_tried_last_from_then_on():
    looked = []

    def lookup(host, port):
        looked.append((host, port, threading.current_thread() is threading.main_thread()))
        return ["::1", "127.0.0.1"]

    async with remote_opa() as remote:
        door = remote.door(host="opa.acme.test", lookup=lookup)
        client = HotClient(door=door, connections=1, clock=CLOCK)
        assert isinstance(await ask(client), Reply)
        assert list(door._known) == ["127.0.0.1", "::1"]
        client.renew()
        assert isinstance(await ask(client), Reply)
        client.close()
    assert looked == [("opa.acme.test", remote.port, False)]


async def test_who_does_not_shake_hands_is_left_at_the_deadline_and_tried_last():
    async def silent(reader, writer):
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with remote_opa() as remote:
        remote.port = port
        door = remote.door(host="opa.acme.test", lookup=lambda *_: ["127.0.0.1", "::1"])
        client = HotClient(door=door, connections=1, clock=CLOCK)
        assert reason(await ask(client, 0.2)) is Reason.POLICY_TIMEOUT
        assert list(door._known) == ["::1", "127.0.0.1"]
    server.close()


def test_the_system_names_each_address_once():
    assert system_lookup("127.0.0.1", 443) == ["127.0.0.1"]


async def test_a_name_nobody_knows_is_unavailable():
    def lookup(host, port):
        raise OSError("no such name")

    async with remote_opa() as remote:
        client = remote.client(host="opa.acme.test", lookup=lookup)
        assert reason(await ask(client)) is Reason.POLICY_UNAVAILABLE


async def test_a_resolver_that_hangs_holds_one_thread_however_often_opa_is_asked():
    release, begun = threading.Event(), []

    def lookup(host, port):
        begun.append(host)
        release.wait(10)
        return ["127.0.0.1"]

    async with remote_opa() as remote:
        client = remote.client(host="opa.acme.test", lookup=lookup)
        for _ in range(4):
            assert reason(await ask(client, 0.02)) in (
                Reason.POLICY_UNAVAILABLE,
                Reason.POLICY_TIMEOUT,
            )
        assert begun == ["opa.acme.test"]
        release.set()
        assert isinstance(await ask(client), Reply)
        client.close()


async def test_an_address_that_once_was_good_outlives_a_resolver_that_fails():
    class Moved(SystemClock):
        ahead_s = 0.0

        def monotonic_s(self):
            return super().monotonic_s() + type(self).ahead_s

    answers = [["127.0.0.1"], [], ["127.0.0.1", "127.0.0.2"]]
    looked = []

    def lookup(host, port):
        looked.append(host)
        return answers[len(looked) - 1]

    clock = Moved()
    async with remote_opa() as remote:
        url = f"https://opa.acme.test:{remote.port}"
        door = RemoteDoor(url=url, tls=remote.trusting.tls, clock=clock, lookup=lookup)
        client = HotClient(door=door, connections=1, clock=CLOCK)
        for round_ in range(1, 4):
            assert isinstance(await ask(client), Reply)
            await until(lambda round_=round_: len(looked) == round_ and door._looking is None)
            Moved.ahead_s += 60
            client.renew()
        client.close()
    assert set(door._known) == {"127.0.0.1", "127.0.0.2"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://", "unix:///run/opa", ""])
def test_only_https_is_a_way_to_an_opa_elsewhere(url):
    tls = OpaTls(context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), holds=lambda _: True)
    with pytest.raises(ConfigError, match=r"policy\.opa\.url"):
        RemoteDoor(url=url, tls=tls, clock=CLOCK)


def test_what_came_without_tls_never_holds():
    tls = OpaTls(context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), holds=lambda _: True)
    assert not RemoteDoor(url="https://opa.acme.test", tls=tls, clock=CLOCK).holds(None)


async def test_the_engine_names_the_host_and_answers_over_the_same_connection():
    async with remote_opa(a_result({"effect": "allow", "revision": "r1"}, "r1")) as remote:
        engine = OpaEngine(
            link=OthersLink(remote.door()),
            clock=CLOCK,
            entrypoint=ENTRYPOINT,
            limits=OpaLimits(connections=1, activation_s=5.0),
        )
        engine.renew()  # nothing is connected yet
        snapshot = await engine.activate(a_release("r1"))
        raw = await snapshot.evaluate(ENTRYPOINT, b"{}", CLOCK.monotonic_s() + 5, None)
        assert isinstance(raw, Defined)
        engine.renew()
        raw = await snapshot.evaluate(ENTRYPOINT, b"{}", CLOCK.monotonic_s() + 5, None)
        assert isinstance(raw, Defined)
        engine.renew()
        assert remote.opa.connections == 2
        for request in remote.opa.requests:
            assert f"Host: 127.0.0.1:{remote.port}\r\n".encode() in request
