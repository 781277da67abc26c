"""While the first policy is waited for, probes are answered, and nothing calls itself ready."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from outrider.app import Sidecar, sidecar as sidecar_module
from outrider.config.load import load
from outrider.core.clock import SystemClock
from outrider.policy.engines.embedded import EmbeddedEngine, EmbeddedSnapshot
from outrider.policy.release import Release
from tests.support.net import RawAnswer, dialled
from tests.support.policy import DENY_ALL, ENTRYPOINT, write_tree


class SlowEngine(EmbeddedEngine):
    """An engine that takes what it is given once it is let."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock(), entrypoint=ENTRYPOINT)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def activate(self, release: Release) -> EmbeddedSnapshot:
        self.asked.set()
        await self.let.wait()
        return await super().activate(release)


async def _get(sidecar: Sidecar, path: str) -> RawAnswer:
    port = int(sidecar.telemetry.addresses[0].rpartition(":")[2])
    async with dialled(port) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return await client.answer()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


async def test_probes_are_answered_while_the_first_policy_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar_module, "LOOK_S", 0.01)
    write_tree(tmp_path / "policy", {"outrider/main.rego": DENY_ALL})
    config = tmp_path / "outrider.yaml"
    listeners = {
        name: {"addresses": ["127.0.0.1:0"]} for name in ("egress", "control", "telemetry")
    }
    settings = {
        "identity": {"spiffe_id": "spiffe://acme.test/agent"},
        "listeners": listeners,
        "policy": {"path": "policy"},
    }
    config.write_text(yaml.safe_dump(settings))
    engine = SlowEngine()
    loaded = await asyncio.to_thread(load, config, {})
    leave = asyncio.Event()
    sidecar = Sidecar(loaded, {}, engine=lambda _: engine)

    async def live() -> None:
        async with sidecar:
            await leave.wait()

    async def ready() -> bool:
        return (await _get(sidecar, "/readyz")).status == 200

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(live())
        await engine.asked.wait()
        assert (await _get(sidecar, "/livez")).status == 200
        told = await _get(sidecar, "/readyz")
        assert told.status == 503
        assert b"listeners: not bound yet" in told.body
        assert b"policy: no policy is in force" in told.body
        assert sidecar.waits_for() == "a first policy"
        assert not sidecar.listening
        engine.let.set()
        await _until(ready)
        leave.set()
