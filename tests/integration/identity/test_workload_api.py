"""The Workload API's client against an agent on a real socket, under both loops."""

import asyncio
import gc
import hashlib
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager

import grpc
import pytest

from outrider.config.identity_settings import WorkloadApi as WorkloadApiSettings
from outrider.core.errors import CredentialUnavailableError
from outrider.identity import workload_api, workload_proto as proto
from outrider.identity.snapshot import SourceState
from tests.support import jwt
from tests.support.fake_workload_api import FakeWorkloadApi, an_entry
from tests.support.sourced import socket_path, sourced
from tests.support.spiffe_ca import a_ca

CODE = grpc.StatusCode
A, B = a_ca("a.test"), a_ca("b.test")
KEY = jwt.a_key()
KEYS = {"spiffe://a.test": jwt.a_bundle(KEY.jwk(use=None))}
X509, JWT = proto.FETCH_X509_SVID, proto.FETCH_JWT_BUNDLES


@asynccontextmanager
async def _together(**changes):
    """An agent that says one SVID and keys, and a source that has heard it."""
    with socket_path() as path:
        async with FakeWorkloadApi(path) as agent:
            agent.push_x509(an_entry(A))
            agent.push_jwt_bundles(KEYS)
            async with sourced(agent.target, **changes) as source:
                await source.wait_state("serving")
                await source.wait(lambda: bool(source.keeper.snapshot().jwt.by_domain))
                yield agent, source


# --- the plain course ---


async def test_W_1_svid_bundles_and_keys_come_over_the_socket():
    async with _together() as (agent, source):
        agent.push_x509(an_entry(A), federated={"spiffe://b.test": B.der})
        await source.wait(lambda: set(source.keeper.snapshot().x509) == {"a.test", "b.test"})
        assert [key.kid for key in source.keeper.snapshot().jwt.by_domain["a.test"].jwt_keys] == [
            "key-1"
        ]
        assert {seen.method for seen in agent.requests} == {X509, JWT}
        assert {seen.metadata["workload.spiffe.io"] for seen in agent.requests} == {"true"}


async def test_W_1_this_agent_refuses_a_call_without_the_header():
    with socket_path() as path:
        async with FakeWorkloadApi(path) as agent:
            async with grpc.aio.insecure_channel(agent.target) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await channel.unary_stream(X509)(b"").read()
            assert raised.value.code() is CODE.INVALID_ARGUMENT


async def test_rotations_reach_us_on_one_stream():
    async with _together() as (agent, source):
        for turn in range(2, 22):
            agent.push_x509(an_entry(A))
            await source.wait(lambda turn=turn: source.keeper.snapshot().generation == turn)
        assert agent.opened(X509) == 1


# --- the agent comes late, goes, returns ---


@pytest.mark.parametrize("address", ["unix", "tcp"])
async def test_S4_S5_an_agent_that_comes_late_is_found(address):
    with socket_path() as path:
        first = FakeWorkloadApi(path if address == "unix" else "tcp://127.0.0.1:0")
        await first.start()
        await first.stop()
        async with sourced(first.target) as source:
            await source.wait(lambda: source.events.reconnects["UNAVAILABLE"] >= 4)
            assert source.keeper.state() is SourceState.WAITING
            first.push_x509(an_entry(A))
            await first.start()
            try:
                assert (await source.keeper.wait_own()).spiffe_id.path == "/planner"
            finally:
                await first.stop()


async def test_W_5_a_restarted_agent_on_a_new_socket_is_found_again():
    async with _together() as (agent, source):
        own = source.keeper.own()
        for _ in range(2):
            await agent.stop()
            await source.wait_state("disconnected")
            assert source.keeper.own() is own
            await agent.start()
            await source.wait_state("serving")
        assert (source.keeper.snapshot().generation, len(source.told)) == (1, 2)


@pytest.mark.parametrize("code", [CODE.OK, CODE.CANCELLED, CODE.INTERNAL, CODE.UNAVAILABLE])
async def test_W_5_a_stream_that_ends_is_opened_again(code):
    async with _together() as (agent, source):
        agent.end_streams(code)
        name = "END" if code is CODE.OK else code.name
        await agent.wait_until(lambda: agent.opened(X509) == agent.opened(JWT) == 2)
        await source.wait_state("serving")
        assert source.events.reconnects == {name: 2}
        assert source.keeper.snapshot().generation == 1


async def test_a_silent_agent_is_asked_anew():
    with socket_path() as path:
        async with (
            FakeWorkloadApi(path) as agent,
            sourced(agent.target, first_message_s=0.2) as source,
        ):
            await agent.wait_until(lambda: agent.opened(X509) >= 2)
            assert source.events.reconnects["DEADLINE_EXCEEDED"] >= 1
            agent.push_x509(an_entry(A))
            await source.wait_state("serving")


async def test_an_agent_that_refuses_is_not_stormed():
    with socket_path() as path:
        async with FakeWorkloadApi(path) as agent:
            agent.deny()
            begun_s = time.monotonic()
            async with sourced(agent.target, uniform=lambda low, high: high):
                await agent.wait_until(lambda: agent.opened(X509) == 5)
            # 0.1 + 0.2 + 0.4 + 0.8 s lie between five tries.
            assert time.monotonic() - begun_s >= 1.5


# --- entitlement ---


async def test_S3_W_10_redaction_and_entitlement_again():
    async with _together() as (agent, source):
        agent.deny(method=X509)
        await source.wait_state("redacted")
        assert dict(source.keeper.snapshot().anchors) == {}
        assert set(source.keeper.snapshot().jwt.by_domain) == {"a.test"}
        agent.push_x509(an_entry(A))
        await source.wait_state("serving")
        assert source.keeper.snapshot().generation == 3


async def test_no_entitlement_yet_is_waited_for():
    with socket_path() as path:
        async with FakeWorkloadApi(path) as agent:
            agent.deny()
            async with sourced(agent.target) as source:
                await source.wait_state("redacted")
                agent.push_x509(an_entry(A))
                await source.wait_state("serving")


@pytest.mark.parametrize("code", [CODE.UNIMPLEMENTED, CODE.INVALID_ARGUMENT])
async def test_W_4_a_fatal_code_is_not_tried_again(code):
    async with _together() as (agent, source):
        agent.deny(code)
        await source.wait(source.running.done)
        assert source.keeper.state() is SourceState.FAILED
        assert source.keeper.own() is not None
        assert agent.opened(X509) == agent.opened(JWT) == 1


# --- what is malformed ---


async def test_S2_W_7_malformed_messages_change_nothing_and_end_nothing():
    async with _together() as (agent, source):
        before = source.keeper.snapshot()
        agent.push_x509()
        agent.push_raw(X509, b"\xff\xff")
        agent.push_raw(JWT, b"")
        await source.wait(lambda: source.events.updates["x509", "discarded"] == 2)
        await source.wait(lambda: source.events.updates["jwt_bundle", "discarded"] == 1)
        assert source.keeper.snapshot() is before
        agent.push_x509(an_entry(A))
        await source.wait(lambda: source.keeper.snapshot().generation == 2)
        assert agent.opened(X509) == agent.opened(JWT) == 1


async def test_a_message_over_16_mib_is_not_taken():
    async with _together() as (agent, source):
        before = source.keeper.snapshot()
        agent.push_x509(an_entry(A), crl=[bytes(17 << 20)])
        await source.wait(lambda: source.events.reconnects["RESOURCE_EXHAUSTED"] > 0)
        assert source.keeper.snapshot() is before
        agent.push_x509(an_entry(A))
        await source.wait(lambda: source.keeper.snapshot().generation == 2)


# --- JWT-SVIDs ---


def _minting(audience, spiffe_id):
    now = int(time.time())
    claims = {"sub": spiffe_id, "aud": list(audience), "iat": now, "exp": now + 300}
    return [(spiffe_id, jwt.mint(KEY, claims))]


async def test_a_jwt_svid_for_an_audience():
    async with _together() as (agent, source):
        agent.mint = _minting
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(source.api.fetch_jwt_svid("crm")) for _ in range(10)]
        assert {each.result().spiffe_id.text for each in asking} == {"spiffe://a.test/planner"}
        assert agent.opened(proto.FETCH_JWT_SVID) == 1
        assert agent.requests[-1].metadata["workload.spiffe.io"] == "true"


@pytest.mark.parametrize(
    ("code", "result"),
    [(CODE.PERMISSION_DENIED, "denied"), (CODE.CANCELLED, "failed"), (CODE.INTERNAL, "failed")],
)
async def test_a_jwt_svid_that_is_refused(code, result):
    async with _together() as (agent, source):
        agent.mint = code
        with pytest.raises(CredentialUnavailableError) as raised:
            await source.api.fetch_jwt_svid("crm")
        assert raised.value.cause == result


async def test_no_jwt_svid_comes_of_an_agent_that_is_gone():
    async with _together() as (agent, source):
        await agent.stop()
        with pytest.raises(CredentialUnavailableError):
            await source.api.fetch_jwt_svid("crm")


# --- the end, and what is left over ---


async def test_close_beneath_running_streams_ends_them_quietly():
    async with _together() as (agent, source):
        await source.api.close()
        await source.wait(source.running.done)
        await agent.wait_until(lambda: agent.open_streams(X509) == agent.open_streams(JWT) == 0)
        with pytest.raises(CredentialUnavailableError):
            await source.api.fetch_jwt_svid("crm")


async def test_one_thread_of_grpc_and_none_of_ours():
    before = set(threading.enumerate())  # another test may have left one
    async with _together():
        names = [thread.name for thread in threading.enumerate() if thread not in before]
        assert [name for name in names if "_poll_wrapper" not in name] == []


async def test_many_updates_leave_nothing_behind():
    async with _together() as (agent, source):
        source.told = []  # what this test itself keeps

        async def push(times):
            for turn in range(times):
                agent.push_x509(entries[turn % 2])
                after = source.keeper.snapshot().generation + 1
                await source.wait(lambda after=after: source.keeper.snapshot().generation == after)
                source.told.clear()

        entries = [an_entry(A), an_entry(A)]
        await push(100)
        gc.collect()
        before = len(gc.get_objects())
        await push(600)
        gc.collect()
        assert len(gc.get_objects()) - before < 200
        assert agent.opened(X509) == 1


async def test_processes_may_be_started_while_streams_are_open():
    async with _together() as (agent, source):
        for _ in range(40):
            agent.push_x509(an_entry(A))
            child = await asyncio.create_subprocess_exec("true")
            assert await child.wait() == 0
        agent.push_x509(own := an_entry(A))
        leaf = hashlib.sha256(own.chain).hexdigest()
        await source.wait(lambda: source.keeper.snapshot().svid.leaf_sha256 == leaf)


def test_grpc_is_imported_where_it_is_needed_and_told_before():
    script = """
import os, sys
from outrider.app.identity import _import
assert not {"grpc", "spiffe"} & set(sys.modules)
_import()
assert {"grpc", "spiffe"} <= set(sys.modules)
assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={"PATH": ""}, timeout=50)


async def test_an_agents_end_writes_nothing_to_stderr(capfd):
    async with _together() as (agent, source):
        await agent.stop()
        await source.wait(lambda: source.events.reconnects["UNAVAILABLE"] > 4)
        await agent.start()
        await source.wait_state("serving")
    assert capfd.readouterr().err == ""


# --- proxies ---


@pytest.fixture
async def trap():
    """A proxy that notes who calls, and hangs up."""
    called = []

    async def answer(reader, writer):
        called.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], called


def _with_proxy(target):
    options = [("grpc.enable_http_proxy", 1), *workload_api.OPTIONS[1:]]
    return grpc.aio.insecure_channel(target, options=options)


@pytest.mark.parametrize("dial", [None, _with_proxy], ids=["ours", "control"])
async def test_no_proxy_of_the_environment_is_asked(monkeypatch, trap, dial):
    port, called = trap
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    changes = {} if dial is None else {"dial": dial}
    async with FakeWorkloadApi("tcp://127.0.0.1:0") as agent:
        agent.push_x509(an_entry(A))
        async with sourced(agent.target, **changes) as source:
            if dial is None:
                await source.wait_state("serving")
                assert called == []
            else:
                await source.wait(lambda: bool(called))
                assert called[0].startswith(b"CONNECT ")


def test_settings_default_to_thirty_seconds_for_the_first_message():
    assert WorkloadApiSettings().first_message_s == 30.0
