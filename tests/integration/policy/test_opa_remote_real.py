"""A real OPA over mutual TLS between SPIFFE identities (POLICY §3, mode `remote`): gone, stopped,
slow, somebody else, no longer trusted, refusing us. It denies for its reason, and comes back.
"""

import asyncio
import hashlib
import os
import signal
from asyncio.subprocess import PIPE

import pytest

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Defined, Raw
from outrider.core.vocabulary import Reason
from outrider.identity.reasons import HandshakeReason, Role
from tests.support.opa import a_release, opa_binary, until
from tests.support.opa_load import BACK_S, BUSY_S, TIMEOUT_S, Load, ask, reason
from tests.support.opa_remote import OPA, SAMPLE, Remote, remote_engine
from tests.support.spiffe_ca import a_ca

CLOCK = SystemClock()
PATIENCE_S = 10.0
NAME = f"spiffe://a.test{OPA}"
SLOW = """package outrider

decision := {"effect": "allow", "revision": data.outrider.build.revision} if {
	ns := numbers.range(1, input.n)
	count([1 | some a in ns; some b in ns; a == b]) >= 0
}
"""


async def answered(remote: Remote) -> Raw:
    """An answer, once there is one again; raises TimeoutError."""
    async with asyncio.timeout(BACK_S + BUSY_S):
        # another process sets no event
        while not isinstance(raw := await ask(remote.engine.snapshot()), Defined):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return raw


async def test_it_is_asked_under_our_svid_and_proves_its_own():
    async with remote_engine() as remote:
        snapshot = await remote.engine.activate(a_release("r1"))
        raw = await ask(snapshot, within_s=PATIENCE_S)
        assert isinstance(raw, Defined)
        assert raw.meta.revision == "r1"
        assert remote.engine.up
    assert set(remote.events.handshakes) == {(Role.CLIENT, HandshakeReason.OK)}
    assert len(remote.events.handshakes) == 1


async def test_gone_in_mid_load_it_denies_in_time_and_is_back_within_five_seconds():
    async with remote_engine() as remote:
        await remote.engine.activate(a_release("r1"))
        async with Load(remote.engine) as load:
            await remote.opa.stop()
            await until(lambda: Reason.POLICY_UNAVAILABLE in load.reasons())
            await remote.opa.start()
            assert await load.answered_again_s(CLOCK.monotonic_s()) <= BACK_S
        assert load.reasons() <= {Reason.POLICY_UNAVAILABLE, Reason.POLICY_TIMEOUT}
        assert load.longest_s() <= TIMEOUT_S + BUSY_S


async def test_stopped_in_mid_load_it_times_out_then_denies_at_once_then_is_back():
    async with remote_engine() as remote:
        await remote.engine.activate(a_release("r1"))
        assert remote.opa.process is not None
        async with Load(remote.engine) as load:
            os.kill(remote.opa.process.pid, signal.SIGSTOP)
            try:
                await until(lambda: not remote.engine.up)
                began_s = CLOCK.monotonic_s()
                raw = await ask(remote.engine.snapshot())
                assert reason(raw) is Reason.POLICY_UNAVAILABLE
                assert CLOCK.monotonic_s() - began_s < TIMEOUT_S / 2  # the breaker, not the wait
            finally:
                os.kill(remote.opa.process.pid, signal.SIGCONT)
            assert await load.answered_again_s(CLOCK.monotonic_s()) <= BACK_S
        assert Reason.POLICY_TIMEOUT in load.reasons()
        assert load.reasons() <= {Reason.POLICY_UNAVAILABLE, Reason.POLICY_TIMEOUT}


async def test_slow_it_times_out_and_a_quick_question_after_it_is_answered():
    async with remote_engine() as remote:
        snapshot = await remote.engine.activate(a_release("r1", SLOW))
        assert reason(await ask(snapshot, b'{"n": 4000}', 0.1)) is Reason.POLICY_TIMEOUT
        assert isinstance(await ask(snapshot, b'{"n": 2}', PATIENCE_S), Defined)


FORGED = [
    pytest.param(
        lambda ca: ca.svid("/another"), HandshakeReason.NOT_EXPECTED, id="another-workload"
    ),
    pytest.param(
        lambda _: a_ca("b.test").svid("/opa", uris=(NAME,)),
        HandshakeReason.UNKNOWN_AUTHORITY,
        id="our-opas-name-by-somebody-elses-authority",
    ),
    pytest.param(
        lambda ca: ca.svid("/opa", seconds=(-60, -1)), HandshakeReason.EXPIRED, id="expired"
    ),
]


@pytest.mark.parametrize(("serves", "why"), FORGED)
async def test_somebody_else_is_asked_nothing(serves, why, caplog):
    async with remote_engine(serves=serves, activation_s=1.0) as remote:
        with pytest.raises(ConfigError, match=r"did not answer|does not take"):
            await remote.engine.activate(a_release("r1"))
        assert not remote.engine.up
    assert set(remote.events.handshakes) == {(Role.CLIENT, why)}
    told = {r.fault for r in caplog.records if getattr(r, "event", "") == "opa_identity"}
    assert told == {why.value}


async def test_a_sidecar_that_its_policy_does_not_name_is_refused_by_opa_itself():
    async with remote_engine() as remote:
        snapshot = await remote.engine.activate(a_release("r1"))
        remote.hold(path="/stranger")
        assert reason(await ask(snapshot, within_s=PATIENCE_S)) is Reason.POLICY_ERROR
        remote.hold()
        assert isinstance(await ask(snapshot, within_s=PATIENCE_S), Defined)


async def test_an_opa_that_does_not_trust_our_authority_is_unavailable():
    async with remote_engine(trusts=a_ca(), activation_s=1.0) as remote:
        with pytest.raises(ConfigError):
            await remote.engine.activate(a_release("r1"))
        assert not remote.engine.up
    # in TLS 1.3 a client that is refused has finished its handshake
    assert set(remote.events.handshakes) == {(Role.CLIENT, HandshakeReason.OK)}


@pytest.mark.parametrize("how", ["authority", "identity"])
async def test_withdrawn_it_is_asked_nothing_more_and_again_once_it_is_back(how):
    async with remote_engine() as remote:
        snapshot = await remote.engine.activate(a_release("r1"))
        assert isinstance(await ask(snapshot, within_s=PATIENCE_S), Defined)
        if how == "authority":
            remote.hold(a_ca("b.test"))
        else:
            remote.keeper.redact()
        for _ in range(3):
            assert reason(await ask(snapshot)) is Reason.POLICY_UNAVAILABLE
        assert await _is_down(remote)
        remote.hold()
        await answered(remote)


async def _is_down(remote: Remote) -> bool:
    await until(lambda: not remote.engine.up)
    return True


async def test_rotations_of_ours_in_mid_load_refuse_nothing():
    async with remote_engine(connections=4) as remote:
        await remote.engine.activate(a_release("r1"))
        async with Load(remote.engine, within_s=PATIENCE_S) as load:
            for _ in range(10):
                done = len(load.answers)
                remote.hold()
                await until(lambda done=done: len(load.answers) > done + 8)
        assert load.reasons() == set()
        assert remote.keeper.snapshot().generation == 11
    assert len(remote.events.handshakes) > 10
    assert set(remote.events.handshakes) == {(Role.CLIENT, HandshakeReason.OK)}


async def test_a_new_authority_of_ours_in_mid_load_refuses_nothing():
    async with remote_engine(connections=4) as remote:
        await remote.engine.activate(a_release("r1"))
        async with Load(remote.engine, within_s=PATIENCE_S) as load:
            remote.hold(remote.ca, a_ca("b.test"))
            done = len(load.answers)
            await until(lambda: len(load.answers) > done + 20)
        assert load.reasons() == set()


async def test_a_rotation_of_opas_certificate_in_mid_load_refuses_nothing():
    async with remote_engine(connections=4) as remote:
        await remote.engine.activate(a_release("r1"))
        async with Load(remote.engine, within_s=PATIENCE_S) as load:
            for _ in range(3):
                svid = remote.ca.svid(OPA)
                remote.opa.serve(svid)
                async with asyncio.timeout(PATIENCE_S):
                    while hashlib.sha256(svid.der).hexdigest() not in remote.leaves:
                        remote.engine.renew()
                        await asyncio.sleep(0.02)
        assert load.reasons() == set()
    assert len(remote.leaves) == 4
    assert set(remote.events.handshakes) == {(Role.CLIENT, HandshakeReason.OK)}


async def test_the_sample_of_who_may_ask_passes_its_own_tests():
    binary = await asyncio.to_thread(opa_binary)
    files = [SAMPLE / "authz.rego", SAMPLE / "authz_test.rego"]
    process = await asyncio.create_subprocess_exec(binary.path, "test", *files, stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
