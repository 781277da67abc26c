"""The sidecar as its users start it: a process of its own, for what only a process can show."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from outrider.core.jsonvalue import JsonObject
from tests.support.net import RawAnswer, RawClient, dialled
from tests.support.sidecar import GuardedUpstream, records_in, settings_of
from tests.support.sidecar_policy import Files, a_policy, write_policy

START_S: Final = 40.0


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass(slots=True, kw_only=True)
class Child:
    """One sidecar in its own folder; `start` may be called again after it has ended."""

    room: Path
    ports: tuple[int, int, int]
    upstreams: Mapping[str, GuardedUpstream]
    process: Process | None = None
    codes: list[int] = field(default_factory=list)

    @property
    def audit(self) -> Path:
        return self.room / "data" / "audit"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def write(self, changes: JsonObject) -> None:
        """The settings file, with `changes` laid over what it needs."""
        document: Any = settings_of(self.room, self.upstreams, changes)
        for name, port in zip(("egress", "control", "telemetry"), self.ports, strict=True):
            document["listeners"][name]["addresses"] = [f"127.0.0.1:{port}"]
        (self.room / "outrider.yaml").write_text(yaml.safe_dump(document), "utf-8")

    async def start(self) -> None:
        """Start it and return when it is ready."""
        command = Path(sys.executable).with_name("outrider")
        self.process = await asyncio.create_subprocess_exec(
            command, "run", "--config", self.room / "outrider.yaml",
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.room)},
            stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(START_S):
            while not await self._is_ready():
                assert self.process.returncode is None, self.process.returncode
                await asyncio.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        assert self.process is not None
        async with asyncio.timeout(START_S):
            return await self.process.wait()

    async def telemetry(self, path: str) -> RawAnswer:
        async with dialled(self.ports[2]) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return await client.answer()

    async def metric(self, name: str) -> float:
        """The sum of all series of `name`."""
        text = (await self.telemetry("/metrics")).body.decode()
        lines = [line for line in text.splitlines() if line.startswith(f"outrider_{name}")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        async with dialled(self.ports[0]) as client:
            yield client

    def head(self, method: str, target: str, *fields: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.ports[0]}", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def records(self, kind: str | None = None) -> list[Any]:
        return records_in(self.audit, kind)

    async def _is_ready(self) -> bool:
        try:
            return (await self.telemetry("/readyz")).status == 200
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def a_child(
    room: Path,
    upstreams: Mapping[str, GuardedUpstream],
    *,
    policy: Files | None = None,
    settings: JsonObject | None = None,
) -> AsyncIterator[Child]:
    """A started sidecar in `room`; its upstreams look at its chain."""
    one, two, three = free_ports(3)
    child = Child(room=room, ports=(one, two, three), upstreams=upstreams)
    for upstream in upstreams.values():
        upstream.audit = child.audit
        await upstream.__aenter__()
    write_policy(room / "policy", a_policy() if policy is None else policy)
    (room / "data").mkdir()
    child.write(settings or {})
    try:
        await child.start()
        yield child
        for name, upstream in upstreams.items():
            assert upstream.unaccounted == [], (name, upstream.unaccounted)
    finally:
        await child.stop()
        for upstream in upstreams.values():
            await upstream.__aexit__()
