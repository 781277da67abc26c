"""A real Prometheus that scrapes a real sidecar under every kind of traffic a script can make."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Final

import yaml

from outrider.core.jsonvalue import JsonObject
from tests.support import prometheus
from tests.support.collector import a_collector
from tests.support.net import RawClient
from tests.support.prometheus import Api, Programs
from tests.support.rules import RULES, filled
from tests.support.sidecar import NETWORKS, GuardedUpstream, McpUpstream, World, a_world
from tests.support.sidecar_ingress import OWN, PATH
from tests.support.sidecar_mcp import call, open_session
from tests.support.sidecar_policy import a_policy, an_operation, an_upstream_entry
from tests.support.sidecar_process import free_ports
from tests.support.spiffe_ca import Ca, a_ca
from tests.support.spiffe_wire import their_client
from tests.support.svid_directory import write_svid
from tests.support.tunnels import TunnelWorld, a_tunnel_world

PODS: Final = ("triage-1", "tunnels-1")
ROUNDS: Final = 14
_ENOUGH_S: Final = 30.0

REGO: Final = """package outrider

# METADATA
# entrypoint: true
decision := {
	"effect": "deny",
	"reasons": [{"code": "T-01", "message": "refused", "severity": "low"}],
} if input.resource.id == "crm/send"

decision := {
	"effect": "hold",
	"reasons": [{"code": "T-02", "message": "held", "severity": "low"}],
	"obligations": [{"type": "approval", "group": "leads"}],
} if input.resource.id == "crm/update"

decision := {"effect": "perhaps"} if input.resource.id == "desk/POST /tickets"

_special if input.resource.id in {"crm/send", "crm/update", "crm/search", "desk/POST /tickets"}

decision := {"effect": "allow", "reasons": watched} if not _special

watched := [
	{
		"code": "T-03",
		"message": "would be refused",
		"severity": "low",
		"mode": "shadow",
		"would": "deny",
	},
	{
		"code": "T-04",
		"message": "is refused elsewhere",
		"severity": "low",
		"mode": "shadow",
		"would": "hold",
		"softened": true,
	},
	{
		"code": "T-05",
		"message": "excepted by name",
		"severity": "low",
		"mode": "shadow",
		"would": "deny",
		"exception": "until-friday",
	},
]
"""
"""Every effect, a result that is none and one that is not defined, and controls in shadow."""


@dataclass(slots=True)
class Seen:
    """What the run left in Prometheus."""

    results: Mapping[str, int] = field(default_factory=dict)
    """Expression -> how many series of numbers it gave."""
    rules: list[Mapping[str, Any]] = field(default_factory=list)
    exemplars: list[Mapping[str, Any]] = field(default_factory=list)
    scrapes_s: list[float] = field(default_factory=list)
    targets: list[Mapping[str, Any]] = field(default_factory=list)
    traces: frozenset[str] = frozenset()
    """Traces that the sidecar sent to its collector."""
    page: bytes = b""
    recorded: Mapping[str, int] = field(default_factory=dict)
    firing: list[str] = field(default_factory=list)


def hurried_rules(room: Path) -> Path:
    """The rules that ship, but for the long windows' slower pace."""
    folder = room / "rules"
    folder.mkdir()
    for path in RULES.glob("*.yaml"):
        document = yaml.safe_load(path.read_text("utf-8"))
        for group in document["groups"]:
            group.pop("interval", None)
        (folder / path.name).write_text(yaml.safe_dump(document), "utf-8")
    return folder


def configuration(room: Path, ports: tuple[int, ...]) -> Path:
    """As `deploy/prometheus/prometheus.yaml`, faster, with these sidecars as its targets."""
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"namespace": "shop", "pod": pod, "agent": pod.partition("-")[0]},
        }
        for pod, port in zip(PODS, ports, strict=True)
    ]
    file = room / "prometheus.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(hurried_rules(room) / "*.yaml")],
                "scrape_configs": [
                    {
                        "job_name": "outrider",
                        "honor_timestamps": False,
                        "static_configs": targets,
                    }
                ],
            }
        ),
        "utf-8",
    )
    return file


def command(program: str, room: Path, file: Path, port: int) -> list[str]:
    return [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={room / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The two sidecars under watch: one that does everything, one that opens tunnels."""

    world: World
    ca: Ca
    tunnels: TunnelWorld


@asynccontextmanager
async def _stage(room: Path, engine: str, collector: str) -> AsyncIterator[Stage]:
    ca, folder = a_ca("acme.test"), room / "svid"
    folder.mkdir()
    write_svid(folder, ca, PATH)
    files: JsonObject = {"source": "files", "files": {"directory": str(folder)}}
    settings: JsonObject = {
        "identity": {"spiffe_id": OWN, **files},
        "listeners": {"ingress": {"addresses": ["127.0.0.1:0"]}},
        "telemetry": {"tracing": {"endpoint": collector, "ratio": 1.0}},
        "upstreams": {
            "own": {"direction": "ingress", "prefix": "/", "networks": NETWORKS},
            "other": {
                "url": f"http://127.0.0.1:{free_ports(1)[0]}/other",
                "prefix": "/other",
                "networks": NETWORKS,
            },
        },
    }
    upstreams = {"crm": McpUpstream(), "desk": GuardedUpstream(), "own": GuardedUpstream()}
    manifest = {
        "outrider/manifest/other/data.yaml": an_upstream_entry(
            operations={"GET /tickets": an_operation()}
        )
    }
    policy = {**a_policy(REGO), **manifest}
    async with (
        a_world(policy, upstreams=upstreams, settings=settings, engine=engine) as world,
        a_tunnel_world() as tunnels,
    ):
        yield Stage(world=world, ca=ca, tunnels=tunnels)


async def watch(expressions: list[str], room: Path, engine: str = "embedded") -> Seen:
    """Run it all, and ask each of `expressions` at the end."""
    programs = await asyncio.to_thread(prometheus.find)
    with a_collector() as collector:
        async with _stage(room, engine, collector.endpoint) as stage:
            seen = await _run(stage, room, programs, expressions)
        seen.traces = frozenset(span.trace_id for span in collector.spans)
    return seen


async def _run(stage: Stage, room: Path, programs: Programs, expressions: list[str]) -> Seen:
    world = stage.world
    ports = (_telemetry(world), _telemetry(stage.tunnels.world))
    port = free_ports(1)[0]
    started = command(programs.prometheus, room, configuration(room, ports), port)
    async with _serving(started):
        for _ in range(ROUNDS):
            await _round(world)
            await _peers(stage)
            await asyncio.sleep(1)  # one scrape's length of real time
        return await _look(world, Api(port), expressions)


def _telemetry(world: World) -> int:
    return int(world.sidecar.telemetry.addresses[0].rpartition(":")[2])


async def _peers(stage: Stage) -> None:
    """A tunnel; a handshake that ends well, and one by a stranger."""
    async with stage.tunnels.tunnel() as client:
        await client.send(b"hello there")
        await client.reader.readexactly(11)
    ingress = stage.world.sidecar.ingress
    assert ingress is not None
    for ca in (stage.ca, a_ca("acme.test")):
        svid = ca.svid("/ns/desk/sa/planner")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", ingress.ports[0], ssl=their_client(svid), server_hostname=""
        )
        client = RawClient(reader, writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await client.send(b"GET /tickets HTTP/1.1\r\nHost: agent.acme.test\r\n\r\n")
            await client.answer()
        await client.close()


@asynccontextmanager
async def _serving(started: list[str]) -> AsyncIterator[None]:
    held = prometheus.serving(started, "Server is ready")
    await asyncio.to_thread(held.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(held.__exit__, None, None, None)


async def _round(world: World) -> None:
    """One of everything: allowed, held, denied, undefined, malformed, at fault, refused early."""
    session = await open_session(world)
    ask: JsonObject = {"jsonrpc": "2.0", "method": "tools/list", "id": 7}
    await world.raw(world.legacy(ask, session=session))
    for tool in ("echo", "send", "update", "search"):
        await world.raw(world.legacy(call(tool), session=session))
    for _ in range(3):
        await world.get("/desk/tickets")
        await world.get("/desk/tickets/7")
    await world.get("/desk/nothing-of-the-kind")
    await world.get("/desk/tickets", "Authorization: Bearer of-the-agents-own")
    await world.post("/desk/tickets", b'{"title": "x"}')
    await world.get("/nowhere")
    await world.get("/other/tickets")
    await world.raw(b"GET /desk/tickets HTTP/1.1\r\n\r\n")
    await world.get("/desk/tickets", "Proxy-Authorization: Bearer not-a-token")
    await world.telemetry("/readyz")
    await world.quiet()


async def _look(world: World, api: Api, expressions: list[str]) -> Seen:
    async with asyncio.timeout(_ENOUGH_S):
        return await asyncio.to_thread(_gather, api, expressions, await _page(world))


async def _page(world: World) -> bytes:
    answer = await world.telemetry("/metrics")
    return answer.body


def _gather(api: Api, expressions: list[str], page: bytes) -> Seen:
    rules: Any = api.get("rules")
    targets: Any = api.get("targets")
    exemplars: Any = api.get(
        "query_exemplars",
        query="outrider_exchange_duration_seconds_bucket",
        start="2020-01-01T00:00:00Z",
        end="2090-01-01T00:00:00Z",
    )
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    durations: Any = api.get("query", query='scrape_duration_seconds{pod="triage-1"}[1m]')
    return Seen(
        results={one: _numbers(api.series(quickened(one))) for one in expressions},
        rules=every,
        exemplars=exemplars,
        scrapes_s=sorted(float(at[1]) for row in durations["result"] for at in row["values"]),
        targets=targets["activeTargets"],
        page=page,
        recorded={
            rule["name"]: len(api.series(rule["name"]))
            for rule in every
            if rule["type"] == "recording"
        },
        firing=[rule["name"] for rule in every if rule.get("state") == "firing"],
    )


def _numbers(series: list[Any]) -> int:
    """How many of the series have a value that is a number; a quantile of nothing is none."""
    return sum(not isnan(float(row["value"][1])) for row in series)


def quickened(expression: str) -> str:
    """With the variables filled in for a run of seconds."""
    quick = expression.replace("$__rate_interval", "10s").replace("$__range", "1m")
    return filled(quick).replace("offset 5m", "offset 1m")
