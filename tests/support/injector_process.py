"""The injector as a pod runs it, called over TLS as the API server calls: in a process of its own,
or, where only one more is wanted, in ours.
"""

import asyncio
import os
import signal
import ssl
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from outrider.cli.injector import Injector
from outrider.config.injector import validate_injector
from outrider.injector.settled import plan_of
from tests.support.injector import a_request, a_review, calling
from tests.support.kube_api import KubeServer
from tests.support.net import RawAnswer, RawClient, dialled
from tests.support.sidecar_process import free_ports

IMAGE: Final = "registry.acme.test/outrider@sha256:" + "a" * 64
START_S: Final = 40.0


@dataclass(slots=True, kw_only=True)
class InjectorChild:
    """One replica in its own folder."""

    room: Path
    name: str
    settings: dict[str, Any]
    port: int
    telemetry_port: int
    process: Process | None = None
    lines: list[Any] = field(default_factory=list)

    async def start(self) -> None:
        """Start its process, and do not wait for it."""
        file = self.room / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self.settings), "utf-8")
        command = Path(sys.executable).with_name("outrider")
        self.process = await asyncio.create_subprocess_exec(
            command, "injector", "run", "--settings", file,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.room), "POD_NAME": self.name},
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
        )  # fmt: skip

    async def ready(self) -> None:
        async with asyncio.timeout(START_S):
            while not await self.is_ready():
                ended = self.process is not None and self.process.returncode is not None
                assert not ended, await self.said()
                await asyncio.sleep(0.02)

    async def is_ready(self) -> bool:
        try:
            return (await self.telemetry("/readyz")).status == 200
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def telemetry(self, path: str) -> RawAnswer:
        async with dialled(self.telemetry_port) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return await client.answer()

    async def metric(self, series: str) -> float | None:
        """The value of `series`, as it stands on the page, without `outrider_`."""
        text = (await self.telemetry("/metrics")).body.decode()
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == f"outrider_{series}":
                return float(value)
        return None

    async def asked(self, tls: ssl.SSLContext, data: bytes | None = None) -> RawAnswer:
        """What it answers on a connection of its own."""
        async with calling(self.port, tls) as (reader, writer):
            client = RawClient(reader, writer)
            await client.send(data or a_request(a_review()))
            return await client.answer()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(START_S):
            return await self.process.wait()

    async def said(self) -> str:
        """All that it wrote, once it has ended."""
        assert self.process is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(START_S):
            return (await self.process.stderr.read()).decode()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def an_injector(
    room: Path, certificates: dict[str, Any], *, name: str = "one", **settings: Any
) -> AsyncIterator[InjectorChild]:
    """A replica whose process was started, ready or not."""
    child = _child(room, certificates, name, settings)
    try:
        await child.start()
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def an_injector_here(
    room: Path, certificates: dict[str, Any], *, name: str = "one", **settings: Any
) -> AsyncIterator[InjectorChild]:
    """A replica in this process, ready or not; it cannot be sent a signal."""
    child = _child(room, certificates, name, settings)
    checked = validate_injector(child.settings)
    at_once = asyncio.Event()
    at_once.set()
    async with Injector(checked, plan_of(checked), {"POD_NAME": name}) as injector:
        yield child
        await injector.drain(at_once)


def _child(
    room: Path, certificates: dict[str, Any], name: str, settings: dict[str, Any]
) -> InjectorChild:
    port, telemetry_port = free_ports(2)
    document: dict[str, Any] = {
        "image": IMAGE,
        "capture": {"dnsServers": ["10.96.0.10"]},
        "certificates": certificates,
        "webhook": {
            "addresses": [f"127.0.0.1:{port}"],
            "telemetryAddresses": [f"127.0.0.1:{telemetry_port}"],
            "delayS": 0.5,
            "graceS": 2,
            **settings.pop("webhook", {}),
        },
        **settings,
    }
    return InjectorChild(
        room=room, name=name, settings=document, port=port, telemetry_port=telemetry_port
    )


def own_certificates(server: KubeServer, **changes: Any) -> dict[str, Any]:
    """Settings of mode `self` against `server`, quick enough to be watched."""
    return {
        "mode": "self",
        "lookS": 0.2,
        "leaseS": 1,
        "settleS": 0.5,
        "api": {"url": server.url, "directory": str(server.account), "timeoutS": 2},
        **changes,
    }


def answered(answer: RawAnswer) -> Any:
    """The response of a review."""
    assert answer.status == 200, answer
    return orjson.loads(answer.body)["response"]
