"""A real OPA, killed, stopped, slowed, answering errors, nothing or another revision: P01-P04, and
rows 1 to 7 of the faults (HARDENING §10). It comes back within five seconds, we are not restarted.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import aiohttp
import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Defined, Failed, Undefined
from outrider.core.vocabulary import Reason
from outrider.policy.engines.opa import OpaEngine, OpaLimits, OthersLink
from outrider.policy.opa_door import UnixDoor
from outrider.policy.opa_slow import OpaControl
from outrider.policy.release import Release, load
from tests.support.opa import ENTRYPOINT, a_release, opa_binary, running_engine, until
from tests.support.opa_load import BACK_S, BUSY_S, TIMEOUT_S, Load, ask, reason

CLOCK = SystemClock()
GRACE_S = 0.05

NAMED = (
    'package outrider\n\ndecision := {"effect": "%s", "revision": data.outrider.build.revision}\n'
)
SLOW = """package outrider

decision := {"effect": "allow", "revision": data.outrider.build.revision} if {
	ns := numbers.range(1, input.n)
	count([1 | some a in ns; some b in ns; a == b]) >= 0
}
"""


def shipped() -> Release:
    return load(shipped_rego())


async def test_P03_killed_in_mid_load_it_denies_in_time_and_is_back_within_five_seconds():
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        async with Load(running.engine) as load:
            killed_s = CLOCK.monotonic_s()
            os.kill(running.child.pid or 0, signal.SIGKILL)
            await until(lambda: running.child.starts == 2)
            back_s = await load.answered_again_s(killed_s)
            assert back_s <= BACK_S
        assert load.reasons() <= {Reason.POLICY_UNAVAILABLE, Reason.POLICY_TIMEOUT}
        assert Reason.POLICY_UNAVAILABLE in load.reasons()
        assert load.longest_s() <= TIMEOUT_S + GRACE_S + BUSY_S


async def test_P03_stopped_in_mid_load_it_times_out_then_denies_at_once_then_is_back():
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        pid = running.child.pid or 0
        async with Load(running.engine) as load:
            os.kill(pid, signal.SIGSTOP)
            try:
                await until(lambda: not running.engine.up)
                began_s = CLOCK.monotonic_s()
                raw = await ask(running.engine.snapshot())
                assert reason(raw) is Reason.POLICY_UNAVAILABLE
                assert CLOCK.monotonic_s() - began_s < TIMEOUT_S / 2  # the breaker, not the wait
            finally:
                os.kill(pid, signal.SIGCONT)
            back_s = await load.answered_again_s(CLOCK.monotonic_s())
            assert back_s <= BACK_S
        assert Reason.POLICY_TIMEOUT in load.reasons()
        assert load.reasons() <= {Reason.POLICY_UNAVAILABLE, Reason.POLICY_TIMEOUT}
        assert (running.child.pid, running.child.starts) == (pid, 1)


async def test_slowed_it_times_out_and_a_quick_question_after_it_is_answered():
    async with running_engine() as running:
        snapshot = await running.engine.activate(a_release("r1", SLOW))
        raw = await ask(snapshot, b'{"n": 4000}', within_s=0.1)
        assert reason(raw) is Reason.POLICY_TIMEOUT
        assert isinstance(await ask(snapshot, b'{"n": 2}', within_s=5), Defined)


async def test_an_evaluation_error_is_told_at_once_and_harms_nobody_else():
    rego = NAMED % "allow" + "\ndecision := false if input.bad\n"
    async with running_engine() as running:
        snapshot = await running.engine.activate(a_release("r1", rego))
        for _ in range(10):
            assert reason(await ask(snapshot, b'{"bad": true}', 5)) is Reason.POLICY_ERROR
        assert isinstance(await ask(snapshot, b'{"bad": false}', 5), Defined)
        assert running.engine.up


async def test_P01_an_undefined_decision_is_undefined():
    rego = "package outrider\n\ndecision := true if input.ok\n"
    async with running_engine() as running:
        snapshot = await running.engine.activate(a_release("r1", rego))
        assert isinstance(await ask(snapshot, b"{}", 5), Undefined)
        raw = await ask(snapshot, b'{"ok": 1}', 5)
        assert isinstance(raw, Defined)
        assert raw.meta.revision == "r1"


async def test_another_revision_behind_our_back_is_stale_until_ours_is_back():
    async with running_engine() as running:
        ours = a_release("r1", NAMED % "deny")
        snapshot = await running.engine.activate(ours)
        running.source.offer(a_release("r0", NAMED % "allow"))
        async with asyncio.timeout(10):
            while not isinstance(raw := await ask(snapshot, within_s=5), Failed):
                assert isinstance(raw, Defined)
                assert raw.value == {"effect": "deny", "revision": "r1"}
        assert reason(raw) is Reason.POLICY_STALE
        await running.engine.activate(ours)
        assert isinstance(await ask(snapshot, within_s=5), Defined)


async def test_P02_it_starts_without_a_release_and_denies_until_one_comes():
    async with running_engine(activation_s=0.5) as running:
        with pytest.raises(ConfigError):
            await running.engine.activate(a_release("bad", "package outrider\n\ndecision :=\n"))
        with pytest.raises(ConfigError):
            running.engine.snapshot()
        assert not running.engine.up
    async with running_engine() as running:
        with pytest.raises(ConfigError, match=r"outrider/main\.rego:3"):
            await running.engine.activate(
                a_release("bad", "package outrider\n\ndecision := no_such(1)\n")
            )
        assert isinstance(
            await ask(await running.engine.activate(a_release("r1")), b"{}", 5), Defined
        )


async def test_a_swap_under_load_refuses_nothing():
    async with running_engine() as running:
        await running.engine.activate(a_release("r0", NAMED % "allow"))
        async with Load(running.engine) as load:
            for number in range(1, 6):
                effect = "deny" if number % 2 else "allow"
                await running.engine.activate(a_release(f"r{number}", NAMED % effect))
                done = len(load.answers)
                await until(lambda done=done: len(load.answers) > done + 8)
        answers = [raw for _, _, raw in load.answers]
        # a busy machine may miss a deadline; a swap may refuse nothing
        assert load.reasons() <= {Reason.POLICY_TIMEOUT}
        for raw in answers:
            if isinstance(raw, Defined):
                number = int(str(raw.value["revision"])[1:])
                assert raw.value["effect"] == ("deny" if number % 2 else "allow")


async def test_the_shipped_library_answers_under_its_own_name():
    release = await asyncio.to_thread(shipped)
    async with running_engine() as running:
        snapshot = await running.engine.activate(release)
        assert not snapshot.provenance
        fixture = next(iter(release.fixtures.values()))
        raw = await ask(snapshot, orjson.dumps(fixture), 5)
    assert isinstance(raw, Defined)
    assert raw.meta.revision == release.revision


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/data"),
        ("GET", "/v1/data/outrider/decision"),
        ("POST", "/v1/data/outrider"),
        ("POST", "/v1/data/outrider/decision/effect"),
        ("POST", "/v1/data/system/authz"),
        ("PUT", "/v1/data/outrider/agents"),
        ("PATCH", "/v1/data/outrider"),
        ("PUT", "/v1/policies/x"),
        ("GET", "/v1/policies"),
        ("DELETE", "/v1/policies/outrider"),
        ("POST", "/v1/query"),
        ("POST", "/v1/compile"),
        ("POST", "/v0/data/outrider/decision"),
        ("GET", "/v1/config"),
        ("POST", "/"),
    ],
)
async def test_its_socket_takes_nothing_but_decisions(method, path):
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        connector = aiohttp.UnixConnector(path=str(running.child.path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"http://opa{path}", data=b"{}") as answer,
        ):
            assert answer.status == 401


async def test_the_slow_client_reads_health_and_status_on_the_same_socket():
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        async with OpaControl(running.child.path) as control:
            assert await control.ready()
            assert await control.bundle_fault() is None
            status = await control.get_status()
    assert status["result"]["bundles"]["outrider"]["active_revision"] == "r1"


async def test_an_opa_beside_us_is_asked_only_under_the_revision_it_serves():
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        beside = OpaEngine(
            link=OthersLink(UnixDoor(running.child.path)),
            clock=CLOCK,
            entrypoint=ENTRYPOINT,
            limits=OpaLimits(connections=2, activation_s=0.5),
        )
        snapshot = await beside.activate(a_release("r1"))
        assert isinstance(await ask(snapshot, within_s=5), Defined)
        with pytest.raises(ConfigError, match="did not answer under revision r2"):
            await beside.activate(a_release("r2"))
        assert beside.snapshot() is snapshot
        await running.engine.activate(a_release("r2"))
        assert reason(await ask(snapshot, within_s=5)) is Reason.POLICY_STALE
        assert (await beside.activate(a_release("r2"))).expected == {"r2"}


async def test_a_stranger_on_its_socket_is_asked_nothing():
    async with running_engine() as running:
        snapshot = await running.engine.activate(a_release("r1"))
        running.engine._client.close()
        path = running.child.path
        path.unlink()
        told = asyncio.get_running_loop().create_future()

        async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got = await reader.read()
            writer.close()
            await writer.wait_closed()
            if not told.done():
                told.set_result(got)

        async with await asyncio.start_unix_server(stranger, path):
            raw = await ask(snapshot)
            async with asyncio.timeout(5):
                assert await told == b""
    assert reason(raw) is Reason.POLICY_UNAVAILABLE
    assert isinstance(raw, Failed)
    assert "another process" in raw.detail


DIES = """
import asyncio, sys, time
from tests.support.opa_load import BACK_S, BUSY_S, TIMEOUT_S, Load, ask, reason
from tests.support.opa import a_release, running_engine

async def main():
    async with running_engine() as running:
        await running.engine.activate(a_release("r1"))
        print(running.child.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
async def test_it_dies_with_us():
    await asyncio.to_thread(opa_binary)
    with tempfile.TemporaryDirectory(prefix="o-") as folder:  # nobody is left to tidy up
        ours = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DIES,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TMPDIR": folder},
        )  # fmt: skip
        assert ours.stdout is not None
        async with asyncio.timeout(30):
            pid = int(await ours.stdout.readline())
        ours.kill()
        await ours.wait()
        await until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
