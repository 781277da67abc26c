"""A sidecar as a workload of SPIRE: `outrider run` under a uid of its own, an agent behind it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from outrider.cli.demo.children import Child
from outrider.cli.demo.spire.nodes import Agent
from outrider.cli.demo.spire.users import as_user
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.net import RawAnswer, RecordingUpstream, dialled
from tests.support.sidecar import NETWORKS, _laid, records_in
from tests.support.sidecar_policy import (
    a_policy,
    an_agent,
    an_operation,
    an_upstream_entry,
    write_policy,
)
from tests.support.sidecar_process import free_ports
from tests.support.spire import PLENTY_S, Realm, a_user, within

_SAMPLE: Final = re.compile(r"outrider_(\w+?)(?:\{(.*)\})? ([^ ]+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BEHIND: Final = "desk"
"""The upstream that is a sidecar's own agent, called by others through the ingress listener."""


@dataclass(slots=True, kw_only=True)
class Workload:
    """One sidecar, its user, its own agent (`behind`) and the ports it listens on.

    `peers` are the sidecars it may call, by the name of the upstream; `known` the SPIFFE IDs that
    its policy names besides its own; `changes` are laid over its settings. They count at `start`.
    """

    spiffe_id: str
    uid: int
    room: Path
    node: Agent
    behind: RecordingUpstream
    ports: Mapping[str, int]
    peers: dict[str, "Workload"] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    changes: JsonObject = field(default_factory=dict)
    child: Child | None = None

    async def get(self, path: str) -> RawAnswer:
        """What its local agent is answered by the egress listener."""
        return await _get(self.ports["egress"], path)

    async def readiness(self) -> tuple[int, str]:
        """Status and text of `/readyz`; status 0 where nobody answers yet."""
        try:
            answer = await _get(self.ports["telemetry"], "/readyz")
        except (OSError, asyncio.IncompleteReadError):
            return 0, ""
        return answer.status, answer.body.decode()

    async def is_ready(self) -> bool:
        return (await self.readiness())[0] == 200

    async def is_unready(self) -> bool:
        return (await self.readiness())[0] == 503

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of `name` that have `labels`."""
        text = (await _get(self.ports["telemetry"], "/metrics")).body.decode()
        return sum(
            float(match[3])
            for line in text.splitlines()
            if (match := _SAMPLE.fullmatch(line)) is not None
            and match[1] == name
            and labels.items() <= dict(_LABEL.findall(match[2] or "")).items()
        )

    def records(self, kind: str | None = None) -> list[Any]:
        return records_in(self.room / "data" / "audit", kind)

    def leaves(self) -> list[str]:
        """The SVIDs it has held, as its chain has them."""
        held = [one["identity"].get("leaf_sha256") for one in self.records() if "identity" in one]
        return list(dict.fromkeys(filter(None, held)))

    def may_call(self, **peers: "Workload") -> None:
        """Each by its name as an upstream; either side's policy knows the other."""
        for name, peer in peers.items():
            self.peers[name] = peer
            peer.known.append(self.spiffe_id)

    async def start(self) -> None:
        """Start it and return when it is ready, which takes an SVID."""
        await self.begin()
        await within(PLENTY_S, self._is_up, f"{self.spiffe_id} is ready")

    async def begin(self) -> None:
        """Start it and wait for nothing."""
        await asyncio.to_thread(self._launch)

    def _launch(self) -> None:
        _write(self)
        program = str(Path(sys.executable).with_name("outrider"))
        command = [program, "run", "--config", str(self.room / "outrider.yaml")]
        self.child = Child(
            self.spiffe_id,
            as_user(self.uid, command),
            log=self.room / "outrider.log",
            environ={"PATH": os.environ.get("PATH", ""), "HOME": str(self.room)},
            is_read=False,
        )

    async def _is_up(self) -> bool:
        assert self.child is not None
        if not self.child.is_running():
            raise await asyncio.to_thread(self.child.broken, "ended")
        return await self.is_ready()

    async def stop(self) -> None:
        if self.child is not None:
            await asyncio.to_thread(self.child.close)


@asynccontextmanager
async def a_workload(
    realm: Realm,
    path: str,
    node: Agent | None = None,
    *,
    answers: Sequence[bytes] = (OK,),
) -> AsyncIterator[Workload]:
    """A sidecar that is to be `path` of `realm`, not started; `node` is another SPIRE agent than
    the realm's own, `answers` what the agent behind it says."""
    names = ("egress", "control", "telemetry", "ingress")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    async with RecordingUpstream(answers) as behind:
        workload = Workload(
            spiffe_id=realm.id_of(path),
            uid=a_user(),
            room=realm.ground.home / f"w{ports['egress']}",
            node=node or realm.agent,
            behind=behind,
            ports=ports,
        )
        try:
            yield workload
        finally:
            await workload.stop()


def _write(workload: Workload) -> None:
    room = workload.room
    if room.exists():
        return
    (room / "data").mkdir(parents=True)
    names = (BEHIND, *workload.peers)
    everybody = (workload.spiffe_id, *workload.known)
    files = a_policy(agents={one: an_agent(tools=_tools(names)) for one in everybody})
    for name in names:
        files[f"outrider/manifest/{name}/data.yaml"] = an_upstream_entry(operations=_operations())
    write_policy(room / "policy", files)
    document = _laid(_settings(workload), workload.changes)
    (room / "outrider.yaml").write_text(yaml.safe_dump(document), "utf-8")
    for path in (room, room / "data"):
        os.chown(path, workload.uid, workload.uid)


def _tools(upstreams: Iterable[str]) -> list[Json]:
    return [f"{name}/*" for name in upstreams]


def _operations() -> JsonObject:
    return {"GET /tickets": an_operation(), "POST /tickets": an_operation("write")}


def _settings(workload: Workload) -> JsonObject:
    upstreams: JsonObject = {
        name: {
            "url": f"https://127.0.0.1:{peer.ports['ingress']}",
            "prefix": f"/{name}",
            "networks": NETWORKS,
            "tls": {"spiffe": {"expect": [peer.spiffe_id]}},
        }
        for name, peer in workload.peers.items()
    }
    upstreams[BEHIND] = {
        "url": f"http://127.0.0.1:{workload.behind.port}",
        "prefix": "/",
        "networks": NETWORKS,
        "direction": "ingress",
    }
    return {
        "profile": "development",
        "data_dir": "data",
        "listeners": {
            name: {"addresses": [f"127.0.0.1:{port}"]} for name, port in workload.ports.items()
        },
        "identity": {
            "source": "workload_api",
            "workload_api": {"address": workload.node.address},
        },
        "policy": {"path": "policy", "watch": False},
        "upstreams": upstreams,
        "telemetry": {"log_level": "INFO"},
    }


async def _get(port: int, path: str) -> RawAnswer:
    async with dialled(port) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return await client.answer()
