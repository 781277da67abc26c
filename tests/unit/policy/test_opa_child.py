"""A supervised process: its folder, its words, its environment, its end and its next start."""

import asyncio
import logging
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.policy import opa_child
from outrider.policy.opa_child import (
    ChildPlan,
    OpaChild,
    command,
    configuration,
    memory_limit,
    system_files,
)
from outrider.policy.opa_install import OpaBinary
from tests.support.bundles import a_signing_key
from tests.support.opa import TOKEN, a_feed, a_release, until

SYSTEM = shipped_rego() / "system"
STAY = "exec sleep 60"


def a_plan(folder: Path, text: str = STAY) -> ChildPlan:
    script = folder / "opa"
    script.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    script.chmod(0o755)
    return ChildPlan(binary=OpaBinary(path=script, version="1.20.2"), system=SYSTEM, parent=folder)


class Supervised:
    def __init__(self, plan: ChildPlan, child: OpaChild | None = None) -> None:
        self.child = child or OpaChild(plan=plan, feed=a_feed(), clock=SystemClock())
        self._job: asyncio.Future[None] | None = None

    async def __aenter__(self) -> OpaChild:
        self._job = asyncio.ensure_future(self.child.run())
        return self.child

    async def __aexit__(self, *_: object) -> None:
        assert self._job is not None
        self._job.cancel()
        await asyncio.wait([self._job])
        assert self._job.cancelled()


def is_there(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def run_folder(parent: Path) -> Path | None:
    return next(iter(parent.glob("outrider-opa-*")), None)


def test_the_command_line_is_the_one_that_was_tried():
    words = command(
        ChildPlan(binary=OpaBinary(path=Path("/o/opa"), version="1.20.2"), system=SYSTEM),
        Path("/r"),
    )
    line = " ".join(words)
    for part in (
        "/o/opa run --server --addr unix:///r/opa.sock --unix-socket-perm 600",
        "--diagnostic-addr unix:///r/opa-diag.sock",
        "--authorization=basic",
        "--config-file /r/opa.yaml",
        "--skip-version-check",
        "--ready-timeout 10",
        "--shutdown-grace-period 5",
        "--optimize-store-for-read-speed",
        f"{SYSTEM}/authz.rego",
    ):
        assert part in line
    assert "_test.rego" not in line


def test_without_its_authorisation_policy_opa_is_not_started(tmp_path):
    (tmp_path / "log.rego").write_text("package system.log\n", encoding="ascii")
    with pytest.raises(ConfigError, match=r"no authz\.rego"):
        system_files(tmp_path)


def test_the_configuration_names_a_service_and_sends_no_logs_to_it():
    settings = configuration(Path("/r"), "http://127.0.0.1:4711")
    assert settings["services"] == {
        "outrider": {
            "url": "http://127.0.0.1:4711/v1/opa",
            "credentials": {"bearer": {"token_path": "/r/opa.token"}},
        }
    }
    assert "decision_logs" not in settings
    assert settings["server"] == {"decoding": {"max_length": 1 << 20}}
    assert b"${" not in orjson.dumps(settings)


def test_where_bundles_are_signed_opa_verifies_them_too():
    one, two = a_signing_key().verifying, a_signing_key(id="next").verifying
    alone = configuration(Path("/r"), "http://127.0.0.1:4711", (one,), "outrider")
    assert alone["keys"] == {"release": {"algorithm": "ES256", "key": one.pem()}}
    # the key is named: without that OPA takes what nobody signed
    signing = alone["bundles"]["outrider"]["signing"]
    assert signing == {"keyid": "release", "scope": "outrider"}
    both = configuration(Path("/r"), "http://127.0.0.1:4711", (one, two), "outrider")
    assert set(both["keys"]) == {"release", "next"}
    assert both["bundles"]["outrider"]["signing"] == {"scope": "outrider"}
    assert "signing" not in configuration(Path("/r"), "http://x")["bundles"]["outrider"]


async def test_what_is_not_as_it_was_signed_is_not_offered_to_an_opa_that_verifies(tmp_path):
    plan = replace(a_plan(tmp_path), keys=(a_signing_key().verifying,))
    child = OpaChild(plan=plan, feed=a_feed(), clock=SystemClock())
    with pytest.raises(ConfigError, match="outrider bundle build"):
        await child.offer(a_release("r1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1073741824\n", int((1 << 30) * 0.3), id="a container's limit"),
        pytest.param("1000\n", 64 << 20, id="never less than OPA needs"),
    ],
)
def test_opa_gets_its_share_of_the_memory(tmp_path, text, expected):
    (tmp_path / "max").write_text(text, encoding="ascii")
    assert memory_limit((tmp_path / "max",)) == expected


def test_without_a_limit_the_machine_is_the_limit(tmp_path):
    (tmp_path / "max").write_text("max\n", encoding="ascii")
    whole = memory_limit((tmp_path / "none",))
    assert memory_limit((tmp_path / "max", tmp_path / "none")) == whole
    assert 64 << 20 <= whole < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


async def test_its_folder_is_private_and_gone_when_it_ends(tmp_path):
    async with Supervised(a_plan(tmp_path)) as child:
        await until(lambda: child.pid is not None)
        run = child.path.parent
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert stat.S_IMODE((run / "opa.token").stat().st_mode) == 0o600
        assert (run / "opa.token").read_bytes() == TOKEN.encode()
        assert stat.S_IMODE((run / "opa.yaml").stat().st_mode) == 0o600
        pid = child.pid
        assert child.owns(pid)
        assert not child.owns(os.getpid())
    assert run_folder(tmp_path) is None
    assert not is_there(pid)


async def test_its_environment_is_ours_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    async with Supervised(a_plan(tmp_path, f"/usr/bin/env > {tmp_path}/env; {STAY}")) as child:
        await until(lambda: child.pid is not None and (tmp_path / "env").exists())
        await until(lambda: "GOMEMLIMIT" in (tmp_path / "env").read_text(encoding="ascii"))
    environment = (tmp_path / "env").read_text(encoding="ascii")
    assert "SECRET_TOKEN" not in environment
    assert "GOGC=400" in environment


async def test_each_start_is_told_with_its_memory_limit(tmp_path):
    told = []
    child = OpaChild(plan=a_plan(tmp_path), feed=a_feed(), clock=SystemClock(), started=told.append)
    async with Supervised(a_plan(tmp_path), child):
        await until(lambda: child.starts == 1)
    assert told == [await asyncio.to_thread(opa_child.memory_limit)]


async def test_it_is_started_again_when_it_ends(tmp_path):
    async with Supervised(a_plan(tmp_path)) as child:
        await until(lambda: child.pid is not None)
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.starts == 2 and child.pid is not None)
        assert child.pid != first
        assert not child.owns(first)


async def test_one_that_ends_at_once_is_tried_less_and_less_often(tmp_path):
    child = OpaChild(plan=a_plan(tmp_path), feed=a_feed(), clock=SystemClock())
    delays = child._delays()
    waits = [next(delays) for _ in range(10)]
    assert 0.07 <= waits[0] <= 0.1
    assert all(3.7 <= wait <= 5.0 for wait in waits[7:])


async def test_a_binary_that_is_no_program_is_told_and_tried_again(tmp_path, caplog):
    plan = a_plan(tmp_path)
    plan.binary.path.write_bytes(b"\x00not a program")
    with caplog.at_level(logging.WARNING):
        async with Supervised(plan):
            await until(lambda: caplog.text.count("OPA does not start") >= 2)


async def test_what_it_says_goes_into_our_log_as_values(tmp_path, caplog):
    said = (
        'echo \'{"level":"error","msg":"bundle failed"}\' >&2; echo plain text >&2; '
        "head -c 200000 /dev/zero | tr '\\0' x >&2; echo >&2; echo after >&2; " + STAY
    )
    with caplog.at_level(logging.WARNING):
        async with Supervised(a_plan(tmp_path, said)):
            await until(lambda: any(getattr(r, "said", "") == "after" for r in caplog.records))
    lines = [record for record in caplog.records if record.msg == "OPA says"]
    assert [getattr(line, "said", None) for line in lines][:2] == ["bundle failed", "plain text"]


@pytest.mark.parametrize(
    ("says", "told", "within_s"),
    [
        pytest.param("Bundle load failed: no x", "Bundle load failed: no x", 10.0, id="why"),
        pytest.param("disk is full", "it does not say why", 0.2, id="something-else"),
    ],
)
async def test_a_release_it_refuses_is_refused_in_its_own_words(
    tmp_path, monkeypatch, says, told, within_s
):
    monkeypatch.setattr(opa_child, "_SAY_S", within_s)

    class Prompting(asyncio.Event):
        """Has OPA speak once somebody listens for it."""

        async def wait(self):
            (tmp_path / "speak").touch()
            return await super().wait()

    line = orjson.dumps({"level": "error", "msg": says}).decode()
    plan = a_plan(
        tmp_path,
        f"while [ ! -e {tmp_path}/speak ]; do sleep 0.02; done\necho '{line}' >&2\nexec sleep 60",
    )
    supervised = Supervised(plan)
    supervised.child._said_more = Prompting()
    source = supervised.child._source
    async with supervised as child:
        await until(lambda: child.pid is not None)
        offering = asyncio.ensure_future(child.offer(a_release("r1")))
        await asyncio.sleep(0)
        assert (await source.poll(None)).status == 200
        await source.poll(None)  # it asks anew, without what it was given
        with pytest.raises(ConfigError, match=f"OPA does not take the policy: {told}"):
            await offering


async def test_one_that_ignores_the_request_to_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(opa_child, "_STOP_S", 0.2)
    deaf = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 60; done"
    async with Supervised(a_plan(tmp_path, deaf)) as child:
        await until(lambda: child.pid is not None and (tmp_path / "deaf").exists())
        pid = child.pid
    assert not is_there(pid)


async def test_one_that_is_cut_off_while_it_waits_for_the_end_still_kills(tmp_path, monkeypatch):
    asked_to_end = asyncio.Event()
    terminate = asyncio.subprocess.Process.terminate

    def telling(process):
        terminate(process)
        asked_to_end.set()

    monkeypatch.setattr(asyncio.subprocess.Process, "terminate", telling)
    deaf = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 60; done"
    supervised = Supervised(a_plan(tmp_path, deaf))
    async with supervised as child:
        await until(lambda: child.pid is not None and (tmp_path / "deaf").exists())
        pid = child.pid
        supervised._job.cancel()
        await asked_to_end.wait()
        process = child._process
    async with asyncio.timeout(10):
        assert await process.wait() == -signal.SIGKILL
    assert not is_there(pid)


class OneDelay(OpaChild):
    """Waits once without delay; a second wait in a row would be its end."""

    def _delays(self):
        return iter([0.0])


async def test_one_that_ran_for_long_is_started_again_as_if_for_the_first_time(tmp_path):
    class Rushing(SystemClock):
        def monotonic_s(self):
            return 1000 * super().monotonic_s()

    plan = a_plan(tmp_path, "exec sleep 0.1")
    supervised = Supervised(plan)
    supervised.child = OneDelay(plan=plan, feed=a_feed(), clock=Rushing())
    async with supervised as child:
        await until(lambda: child.starts >= 3)


def test_where_a_child_cannot_be_tied_to_its_parent_nothing_runs_before_it(monkeypatch):
    assert callable(opa_child._tied())
    monkeypatch.setattr(opa_child.sys, "platform", "darwin")
    assert opa_child._tied() is None


async def test_before_it_runs_it_has_no_socket(tmp_path):
    with pytest.raises(ConfigError):
        _ = OpaChild(plan=a_plan(tmp_path), feed=a_feed(), clock=SystemClock()).path


async def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    plan = a_plan(tmp_path)
    child = OpaChild(
        plan=ChildPlan(binary=plan.binary, system=SYSTEM, parent=deep),
        feed=a_feed(),
        clock=SystemClock(),
    )
    with pytest.raises(ConfigError, match="too long a path"):
        await child.run()
    assert list(deep.iterdir()) == []


async def test_it_is_not_started_before_its_feed_is_served(tmp_path):
    def nowhere() -> str:
        raise ConfigError("nothing listens yet")

    plan = a_plan(tmp_path)
    child = OpaChild(plan=plan, feed=replace(a_feed(), origin=nowhere), clock=SystemClock())
    with pytest.raises(ConfigError, match="nothing listens"):
        await child.run()
    assert (run_folder(tmp_path), child.starts) == (None, 0)
