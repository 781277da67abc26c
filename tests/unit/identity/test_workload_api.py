"""The Workload API as a source: what the agent says becomes what the keeper holds."""

import asyncio
import logging
import time

import grpc
import pytest

from outrider.config.identity_settings import WorkloadApi as WorkloadApiSettings
from outrider.core.errors import CredentialUnavailableError
from outrider.identity import workload_proto as proto
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import SourceState
from outrider.identity.workload_api import OPTIONS, WorkloadApi
from tests.support import jwt
from tests.support.builders import FixedClock
from tests.support.fake_workload_api import an_entry
from tests.support.identity import RecordingIdentityEvents
from tests.support.scripted_calls import ScriptedStreams, ended
from tests.support.spiffe_ca import a_ca
from tests.support.virtual import at, in_virtual_time

CODE = grpc.StatusCode
A, B = a_ca("a.test"), a_ca("b.test")
X509, JWT = proto.FETCH_X509_SVID, proto.FETCH_JWT_BUNDLES


class _Channel:
    """A gRPC channel whose streams follow a script; `seen` are its calls."""

    def __init__(self, scripts):
        self._streams = {
            method: ScriptedStreams(*scripts.get(method, ([None],))) for method in (X509, JWT)
        }
        self.seen = []
        self.answer = ended(CODE.UNIMPLEMENTED)
        self.closed = 0

    def unary_stream(self, method):
        def call(request, *, metadata):
            self.seen.append((method, request, metadata))
            return self._streams[method]()

        return call

    def unary_unary(self, method):
        async def call(request, *, metadata, timeout):  # noqa: ASYNC109 - as gRPC has it
            self.seen.append((method, request, metadata))
            assert timeout == 5.0
            if isinstance(self.answer, bytes):
                return self.answer
            raise self.answer

        return call

    async def close(self):
        self.closed += 1


class _Sourced:
    def __init__(self, *, spiffe_id=None, x509=([None],), jwt_bundles=([None],), **settings):
        self.clock = FixedClock(now_unix_s=time.time())
        self.events = RecordingIdentityEvents()
        self.keeper = IdentityKeeper(clock=self.clock, events=self.events)
        self.channel = _Channel({X509: x509, JWT: jwt_bundles})
        self.dialled = []
        self.told = []
        self.keeper.tell(self.told.append)
        self.api = WorkloadApi(
            target="unix:/agent.sock",
            keeper=self.keeper,
            clock=self.clock,
            events=self.events,
            settings=WorkloadApiSettings(**settings),
            spiffe_id=spiffe_id,
            pause=self._pause,
            uniform=lambda low, high: high,
            dial=self._dial,
        )

    def _dial(self, target):
        self.dialled.append(target)
        return self.channel

    async def _pause(self, _seconds):
        await asyncio.sleep(0)

    async def settle(self, *, ticks=60):
        """Run it for a while, then end it."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.api.run())
            for _ in range(ticks):
                await asyncio.sleep(0)
            running.cancel()
        return self


def _x509(*entries, federated=None, crl=()):
    svids = [
        {
            "spiffe_id": entry.spiffe_id,
            "x509_svid": entry.chain,
            "x509_svid_key": entry.key,
            "bundle": entry.bundle,
            "hint": entry.hint,
        }
        for entry in entries
    ]
    return proto.encoded(
        "X509SVIDResponse", svids=svids, federated_bundles=federated or {}, crl=list(crl)
    )


def _jwt(**bundles):
    return proto.encoded(
        "JWTBundlesResponse",
        bundles={f"spiffe://{name}.test": document for name, document in bundles.items()},
    )


ONE = _x509(an_entry(A))
KEYS = _jwt(a=jwt.a_bundle(jwt.a_key().jwk(use=None)))


def test_the_channel_is_bounded_and_knows_no_proxy():
    assert dict(OPTIONS) == {
        "grpc.enable_http_proxy": 0,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2000,
        "grpc.max_receive_message_length": 16 * 1024 * 1024,
    }


async def test_what_the_agent_says_is_held():
    sourced = await _Sourced(
        x509=[[_x509(an_entry(A), federated={"spiffe://b.test": B.der}), None]],
        jwt_bundles=[[KEYS, None]],
    ).settle()
    snapshot = sourced.keeper.snapshot()
    assert snapshot.svid.spiffe_id.text == "spiffe://a.test/planner"
    assert set(snapshot.x509) == set(snapshot.anchors) == {"a.test", "b.test"}
    assert set(snapshot.jwt.by_domain) == {"a.test"}
    assert sourced.keeper.state() is SourceState.SERVING
    assert sourced.keeper.contact_unix_s == sourced.clock.unix_s()
    assert sourced.events.updates == {("x509", "applied"): 1, ("jwt_bundle", "applied"): 1}


async def test_W_1_every_call_carries_the_security_header():
    sourced = await _Sourced(x509=[[ONE, None]]).settle()
    with pytest.raises(CredentialUnavailableError):
        await sourced.api.fetch_jwt_svid("audience")
    assert {method for method, _, _ in sourced.channel.seen} == {
        X509,
        JWT,
        proto.FETCH_JWT_SVID,
    }
    assert {metadata for _, _, metadata in sourced.channel.seen} == {
        (("workload.spiffe.io", "true"),)
    }
    assert sourced.dialled == ["unix:/agent.sock"]


async def test_equal_content_changes_no_generation():
    sourced = await _Sourced(
        x509=[[ONE, ONE, CODE.UNAVAILABLE], [ONE, None]],
        jwt_bundles=[[KEYS, KEYS, CODE.UNAVAILABLE], [KEYS, None]],
    ).settle()
    assert sourced.events.updates == {("x509", "applied"): 3, ("jwt_bundle", "applied"): 3}
    assert (sourced.keeper.snapshot().generation, len(sourced.told)) == (1, 2)


async def test_a_rotation_is_a_new_generation():
    sourced = await _Sourced(x509=[[ONE, _x509(an_entry(A)), None]]).settle()
    assert sourced.keeper.snapshot().generation == 2


async def test_W_6_a_bundle_the_agent_no_longer_names_is_gone():
    both = _x509(an_entry(A), federated={"spiffe://b.test": B.der})
    sourced = await _Sourced(x509=[[both, ONE, None]]).settle()
    assert set(sourced.keeper.snapshot().x509) == {"a.test"}


async def test_S2_a_malformed_update_leaves_the_last_good_one():
    sourced = await _Sourced(
        x509=[[ONE, _x509(), b"\xff", None]], jwt_bundles=[[KEYS, _jwt(), None]]
    ).settle()
    assert sourced.keeper.state() is SourceState.SERVING
    assert sourced.keeper.snapshot().generation == 1
    assert sourced.events.updates["x509", "discarded"] == 2
    assert sourced.events.updates["jwt_bundle", "discarded"] == 1
    assert sourced.events.reconnects == {}
    assert set(sourced.keeper.snapshot().jwt.by_domain) == {"a.test"}


async def test_an_outage_serves_on_and_shows():
    sourced = await _Sourced(x509=[[ONE, CODE.UNAVAILABLE], [CODE.UNAVAILABLE]]).settle()
    assert sourced.keeper.state() is SourceState.DISCONNECTED
    assert sourced.keeper.own().spiffe_id.text == "spiffe://a.test/planner"
    assert sourced.keeper.snapshot().generation == 1


async def test_an_outage_of_the_jwt_stream_alone_is_not_the_sources():
    sourced = await _Sourced(
        x509=[[ONE, None]], jwt_bundles=[[KEYS, CODE.UNAVAILABLE], [CODE.UNAVAILABLE]]
    ).settle()
    assert sourced.keeper.state() is SourceState.SERVING
    assert set(sourced.keeper.snapshot().jwt.by_domain) == {"a.test"}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([[CODE.PERMISSION_DENIED]], id="before-entitlement"),
        pytest.param([[ONE, CODE.PERMISSION_DENIED], [CODE.PERMISSION_DENIED]], id="after"),
        pytest.param(
            [[ONE, CODE.PERMISSION_DENIED], [CODE.UNAVAILABLE]], id="after-and-then-an-outage"
        ),
    ],
)
async def test_S3_W_10_permission_denied_ends_our_identity_and_is_tried_on(script):
    sourced = await _Sourced(x509=script, jwt_bundles=[[KEYS, None]]).settle()
    snapshot = sourced.keeper.snapshot()
    assert sourced.keeper.state() is SourceState.REDACTED
    assert (snapshot.svid, dict(snapshot.x509), dict(snapshot.anchors)) == (None, {}, {})
    assert set(snapshot.jwt.by_domain) == {"a.test"}
    assert len([method for method, _, _ in sourced.channel.seen if method == X509]) > 2


async def test_entitlement_that_returns_is_served():
    sourced = await _Sourced(x509=[[ONE, CODE.PERMISSION_DENIED], [ONE, None]]).settle()
    assert sourced.keeper.state() is SourceState.SERVING
    assert sourced.keeper.snapshot().generation == 3


@pytest.mark.parametrize(
    ("grace_s", "x509", "state"),
    [
        pytest.param(5, [[ONE, CODE.UNAVAILABLE]], SourceState.DISCONNECTED, id="within"),
        pytest.param(0, [[ONE, CODE.UNAVAILABLE]], SourceState.REDACTED, id="no-grace"),
        pytest.param(5, [[ONE]], SourceState.REDACTED, id="no-outage"),
    ],
)
def test_a_denial_after_an_outage_waits_as_long_as_settings_say(grace_s, x509, state):
    denied = [CODE.PERMISSION_DENIED]
    scripts = [*x509, denied] if len(x509[0]) > 1 else [[*x509[0], *denied], denied]

    async def story():
        sourced = _Sourced(
            x509=scripts, jwt_bundles=[[KEYS, CODE.UNAVAILABLE], denied], denied_grace_s=grace_s
        )
        sourced.api._pause = asyncio.sleep
        async with asyncio.TaskGroup() as group:
            running = group.create_task(sourced.api.run())
            await at(4.9).wait()
            early = sourced.keeper.state(), len(sourced.keeper.snapshot().jwt.by_domain)
            await at(5.5).wait()
            late = sourced.keeper.state(), len(sourced.keeper.snapshot().jwt.by_domain)
            running.cancel()
            await sourced.api.close()
        return early, late

    early, late = in_virtual_time(story())
    assert early == (state, 1 if grace_s else 0)
    assert late == (SourceState.REDACTED, 0)


async def test_permission_denied_drops_all_jwt_bundles_and_no_svid():
    sourced = await _Sourced(
        x509=[[ONE, None]],
        jwt_bundles=[[KEYS, CODE.PERMISSION_DENIED], [CODE.PERMISSION_DENIED]],
    ).settle()
    assert dict(sourced.keeper.snapshot().jwt.by_domain) == {}
    assert sourced.keeper.state() is SourceState.SERVING


@pytest.mark.parametrize("code", [CODE.INVALID_ARGUMENT, CODE.UNIMPLEMENTED], ids=lambda c: c.name)
async def test_W_4_a_fatal_code_fails_the_source_which_serves_on(code):
    sourced = await _Sourced(x509=[[ONE, code]]).settle()
    assert sourced.keeper.state() is SourceState.FAILED
    assert sourced.keeper.failure == f"the Workload API answered {code.name}"
    assert sourced.keeper.own() is not None
    assert len([method for method, _, _ in sourced.channel.seen if method == X509]) == 1


async def test_an_agent_without_jwt_is_a_source_all_the_same():
    sourced = await _Sourced(x509=[[ONE, None]], jwt_bundles=[[CODE.UNIMPLEMENTED]]).settle()
    assert (sourced.keeper.state(), sourced.keeper.failure) == (SourceState.SERVING, None)
    assert len([method for method, _, _ in sourced.channel.seen if method == JWT]) == 1


async def test_run_ends_where_nothing_can_be_tried_again():
    async with asyncio.timeout(5):
        await _Sourced(x509=[[CODE.UNIMPLEMENTED]], jwt_bundles=[[CODE.UNIMPLEMENTED]]).api.run()


# --- which SVID ---


BOTH = _x509(an_entry(A, "/first"), an_entry(A, "/second", hint="internal"))


@pytest.mark.parametrize(
    ("wish", "own"),
    [
        pytest.param({}, "spiffe://a.test/first", id="W-8"),
        pytest.param({"hint": "internal"}, "spiffe://a.test/second", id="by-hint"),
        pytest.param({"spiffe_id": "spiffe://a.test/second"}, "spiffe://a.test/second", id="by-id"),
    ],
)
async def test_S6_settings_choose_the_svid(wish, own):
    sourced = await _Sourced(**wish, x509=[[BOTH, None]]).settle()
    assert sourced.keeper.own().spiffe_id.text == own


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param({"hint": "internal"}, id="hint"),
        pytest.param({"spiffe_id": "spiffe://a.test/second"}, id="spiffe-id"),
    ],
)
async def test_an_svid_that_is_no_longer_among_them_is_redacted_and_no_other_taken(wish, caplog):
    without = _x509(an_entry(A, "/first"))
    with caplog.at_level(logging.WARNING, "outrider.identity"):
        sourced = await _Sourced(**wish, x509=[[BOTH, without, without, None]]).settle()
    assert sourced.keeper.state() is SourceState.REDACTED
    assert sourced.keeper.snapshot().svid is None
    assert sourced.events.updates == {("x509", "applied"): 3}
    assert [record.getMessage() for record in caplog.records] == [
        "the agent has no SVID of the hint and SPIFFE ID in settings: we hold none"
    ]


async def test_what_is_amiss_is_told_each_time_it_begins(caplog):
    amiss = _x509(an_entry(A), federated={"spiffe://b.test": b"x"}, crl=[b"x"])
    with caplog.at_level(logging.WARNING, "outrider.identity"):
        await _Sourced(x509=[[amiss, amiss, ONE, amiss, None]]).settle()
    assert [record.getMessage().split(";")[0].split(":")[0] for record in caplog.records] == [
        "bundles of other trust domains are malformed",
        "the agent sends revocation lists",
    ] * 2


# --- JWT-SVIDs ---


def _answer():
    now = int(time.time())
    token = jwt.mint(
        jwt.a_key(),
        {"sub": "spiffe://a.test/planner", "aud": ["x"], "iat": now, "exp": now + 300},
    )
    return proto.encoded(
        "JWTSVIDResponse", svids=[{"spiffe_id": "spiffe://a.test/planner", "svid": token}]
    )


async def test_a_jwt_svid_is_fetched_and_forgotten_when_our_identity_ends():
    sourced = await _Sourced(x509=[[ONE, None]]).settle()
    sourced.channel.answer = _answer()
    svid = await sourced.api.fetch_jwt_svid("x")
    assert await sourced.api.fetch_jwt_svid("x") is svid
    sourced.api._x509.denied()
    assert sourced.api._jwt_svids._cached == {}
    with pytest.raises(CredentialUnavailableError):
        await sourced.api.fetch_jwt_svid("x")


# --- the end ---


async def test_close_ends_run_and_the_channel():
    sourced = _Sourced(x509=[[ONE, None]])
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(sourced.api.run())
        await sourced.keeper.wait_own()
        await sourced.api.close()
        await sourced.api.close()
    assert (running.result(), sourced.channel.closed) == (None, 2)


async def test_close_without_a_call_dials_nothing():
    sourced = _Sourced()
    await sourced.api.close()
    assert sourced.dialled == []
