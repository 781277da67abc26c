"""A whole sidecar on free loopback ports: real listeners, engine, chain and upstreams.

Laws of every upstream here: each request it reads was allowed on the chain *before* its first
byte came; no byte reaches it that belongs to no such request. A test that breaks either fails.
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from outrider.app.sidecar import EngineFactory, Sidecar
from outrider.audit.sinks.file import Disk
from outrider.config.load import load
from outrider.core.exchange import Outgoing
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.server.capture import OriginalOf, kernel_original
from tests.support.audit import lines_of
from tests.support.jwt import SigningKey, a_bundle, a_key, claims, mint
from tests.support.mcp_exchange import BOTH, LEGACY, FakeUpstream, a_tool, modern, modern_headers
from tests.support.net import RawAnswer, RawClient, RecordingUpstream, UpstreamTurn, dialled
from tests.support.opa import opa_binary
from tests.support.policy import write_tree
from tests.support.sidecar_policy import AGENT, OTHER, Files, a_policy, write_policy

TOOLS: Final = ("echo", "search", "update", "send")
NETWORKS: Final[list[Json]] = ["127.0.0.0/8"]
PLENTY_S: Final = 15.0
"""How long a loaded machine may take over what is immediate."""


@dataclass(slots=True)
class GuardedUpstream(RecordingUpstream):
    """An upstream that looks at the chain whenever a request comes, and counts stray bytes."""

    audit: Path | None = None
    unaccounted: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    watched: bool = True
    """False where a test looks at the whole chain at its end instead (load)."""

    async def converse(self, turn: UpstreamTurn) -> None:
        while True:
            seen = await self.next(turn)
            await self.answer(turn, seen)

    async def next(self, turn: UpstreamTurn) -> Any:
        """The next request, judged by what the chain says of it now."""
        try:
            seen = await turn.request()
        except asyncio.IncompleteReadError as fault:
            if fault.partial:
                self.unaccounted.append(f"stray bytes: {fault.partial[:60]!r}")
            raise
        trace = (seen.field("traceparent") or "--").split("-")[1]
        self.asked[trace] += 1
        if self.watched and self.audit is not None:
            allowed = allows_of(self.audit)[trace]
            if self.asked[trace] > allowed:
                self.unaccounted.append(f"{seen.line}: {allowed} allows on the chain")
        return seen

    async def answer(self, turn: UpstreamTurn, seen: Any) -> None:
        await turn.say(self.answers[min(len(self.seen), len(self.answers)) - 1])


@dataclass(slots=True)
class McpUpstream(GuardedUpstream):
    """An MCP server over real sockets whose answers a `FakeUpstream` makes."""

    fake: FakeUpstream = field(
        default_factory=lambda: FakeUpstream(*(a_tool(name) for name in TOOLS))
    )
    hold: asyncio.Event | None = None
    """While it is clear, an answer's pieces after the first wait for it."""

    async def answer(self, turn: UpstreamTurn, seen: Any) -> None:
        method, target, _ = seen.line.split(" ")
        status, headers, chunks = self.fake.take(
            Outgoing(method=method, target=target, headers=tuple(seen.fields), body=seen.body)
        )
        await turn.say(_head(status, (*headers, ("transfer-encoding", "chunked"))))
        for number, chunk in enumerate(chunks):
            if number and self.hold is not None:
                await self.hold.wait()
            if chunk:
                await turn.say(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        await turn.say(b"0\r\n\r\n")

    @property
    def methods(self) -> list[str]:
        """The JSON-RPC methods that reached it, the sidecar's own listings left out."""
        return self.fake.methods


def _head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def records_in(directory: Path, kind: str | None = None) -> list[Any]:
    """The chain's whole lines, of a sidecar that may be writing."""
    lines = [line for line in lines_of(directory) if line.endswith(b"\n")]
    records = [orjson.loads(line) for line in lines]
    return [record for record in records if kind in (None, record["kind"])]


def allows_of(directory: Path) -> Counter[str]:
    """Trace id -> how many decisions on the chain let something pass."""
    return Counter(
        record["trace_id"]
        for record in records_in(directory, "decision")
        if record["decision"]["enforced"] == "allow"
    )


@dataclass(slots=True, kw_only=True)
class World:
    """A running sidecar with its upstreams, and what a test may ask of them."""

    sidecar: Sidecar
    room: Path
    upstreams: Mapping[str, GuardedUpstream]
    key: SigningKey
    refusals: int = 0

    @property
    def port(self) -> int:
        return self.sidecar.egress.ports[0]

    @property
    def policy(self) -> Path:
        return self.room / "policy"

    @property
    def audit(self) -> Path:
        return self.room / "data" / "audit"

    @property
    def crm(self) -> McpUpstream:
        upstream = self.upstreams["crm"]
        assert isinstance(upstream, McpUpstream)
        return upstream

    @property
    def desk(self) -> GuardedUpstream:
        return self.upstreams["desk"]

    # --- asking ---

    @asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        async with dialled(self.port) as client:
            yield client

    def head(self, method: str, target: str, *fields: str) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def raw(self, data: bytes) -> RawAnswer:
        """One request on a connection of its own."""
        async with self.client() as client:
            await client.send(data.replace(b"{port}", str(self.port).encode()))
            return await client.answer(head_only=data.startswith(b"HEAD "))

    async def get(self, target: str, *fields: str) -> RawAnswer:
        return await self.raw(self.head("GET", target, *fields))

    async def post(
        self, target: str, body: bytes, *fields: str, kind: str = "application/json"
    ) -> RawAnswer:
        sent = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields)
        return await self.raw(self.head("POST", target, *sent) + body)

    def legacy(
        self, message: Json | bytes, *fields: str, session: str | None = None, path: str = "/crm"
    ) -> bytes:
        """The bytes of a legacy POST."""
        body = message if isinstance(message, bytes) else orjson.dumps(message)
        sent = [f"Accept: {BOTH}", f"Mcp-Protocol-Version: {LEGACY}", *fields]
        if session is not None:
            sent.append(f"Mcp-Session-Id: {session}")
        sent += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return self.head("POST", path, *sent) + body

    def modern(
        self, message: JsonObject, *fields: str, path: str = "/crm", **changes: str | None
    ) -> bytes:
        """The bytes of a modern POST; `changes` are mirrored fields, None takes one away."""
        whole = message if "_meta" in as_object(message.get("params")) else modern(message)
        body = orjson.dumps(whole)
        named = [f"{name}: {value}" for name, value in modern_headers(whole, **changes)]
        return self.head("POST", path, *named, *fields, f"Content-Length: {len(body)}") + body

    def bearer(self, subject: str = OTHER, **changes: Any) -> str:
        """A Proxy-Authorization field with a JWT-SVID of `subject` for this sidecar."""
        now = int(self.sidecar.clock.unix_s())
        payload = claims(**{"sub": subject, "aud": [AGENT], "iat": now, "exp": now + 300} | changes)
        return f"Proxy-Authorization: Bearer {mint(self.key, payload)}"

    # --- looking ---

    def records(self, kind: str | None = None) -> list[Any]:
        return records_in(self.audit, kind)

    def decisions(self, enforced: str = "deny") -> list[Any]:
        return [r for r in self.records("decision") if r["decision"]["enforced"] == enforced]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series of `name` that have `labels`."""
        return sum(
            sample.value
            for family in self.sidecar.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"outrider_{name}" and labels.items() <= sample.labels.items()
        )

    async def telemetry(self, path: str, *fields: str) -> RawAnswer:
        port = int(self.sidecar.telemetry.addresses[0].rpartition(":")[2])
        lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields, "", "")
        async with dialled(port) as client:
            await client.send("\r\n".join(lines).encode())
            return await client.answer()

    def put_disk(self, disk: Disk) -> None:
        """Have the chain written to `disk` from now on."""
        self.sidecar.audit._sink._disk = disk

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PLENTY_S):
            while not holds():  # noqa: ASYNC110 - the other side is another thread or process
                await asyncio.sleep(0.005)

    async def quiet(self) -> None:
        """Until nothing is under way and everything that was handed over is on the chain."""
        async with asyncio.timeout(PLENTY_S):
            while (  # noqa: ASYNC110 - the other side is a thread
                self.metric("exchanges_in_flight") or self.sidecar.audit.state().queued
            ):
                await asyncio.sleep(0.001)

    @asynccontextmanager
    async def refuses(self, reason: str, count: int = 1) -> AsyncIterator[list[Any]]:
        """In the block `count` exchanges are refused for `reason`: no upstream byte, one decision
        record and one step of each counter for each. Gives the records, filled at the end."""
        await self.quiet()
        before = self._books(reason)
        seen = len(self.decisions())
        found: list[Any] = []
        yield found
        await self.quiet()
        steps = [now - then for now, then in zip(self._books(reason), before, strict=True)]
        found += self.decisions()[seen:]
        self.refusals += count
        assert steps == [0, count, count], dict(
            zip(("upstream", "decided", "ended"), steps, strict=True)
        ) | {"records": [(r["decision"]["reason"], r["decision"].get("cause")) for r in found]}
        # More than ten alike in a second are folded (CONTRACTS §7): `close` counts those.
        assert len(found) <= count
        assert {record["decision"]["reason"] for record in found} <= {reason}

    def _books(self, reason: str) -> tuple[float, float, float]:
        ended = self.metric("exchanges_total") - self.metric("exchanges_total", outcome="allowed")
        return (
            sum(len(upstream.seen) for upstream in self.upstreams.values()),
            self.metric("decisions_total", effect="deny", reason=reason),
            ended,
        )

    def check(self) -> None:
        """The laws of this module; called when the sidecar has closed its chain."""
        for name, upstream in self.upstreams.items():
            assert upstream.unaccounted == [], (name, upstream.unaccounted)
        allowed = allows_of(self.audit)
        asked: Counter[str] = Counter()
        for upstream in self.upstreams.values():
            asked += upstream.asked
        assert not asked - allowed, "requests that no decision on the chain allowed"
        folded = sum(record["repeat"]["count"] for record in self.records("repeat"))
        assert len(self.decisions()) + folded >= self.refusals


def settings_of(
    room: Path, upstreams: Mapping[str, RecordingUpstream], changes: JsonObject
) -> JsonObject:
    """The settings document; `changes` are laid over it, key by key."""
    document: JsonObject = {
        "profile": "development",
        "data_dir": "data",
        "listeners": {
            name: {"addresses": ["127.0.0.1:0"]} for name in ("egress", "control", "telemetry")
        },
        "identity": {"spiffe_id": AGENT},
        # patient: a machine that pauses is not what these tests are about
        "policy": {"path": "policy", "watch": False, "timeout_ms": 5000},
        "upstreams": {
            name: {
                "url": f"{_scheme(upstream)}://{upstream.host}:{upstream.port}/{name}",
                "protocol": "mcp" if isinstance(upstream, McpUpstream) else "http",
                "prefix": f"/{name}",
                "networks": NETWORKS,
            }
            for name, upstream in upstreams.items()
        },
        "telemetry": {"log_level": "ERROR"},
    }
    return _laid(document, changes)


def _scheme(upstream: RecordingUpstream) -> str:
    return "http" if upstream.tls is None else "https"


def _laid(under: JsonObject, over: JsonObject) -> JsonObject:
    whole = dict(under)
    for key, value in over.items():
        below = whole.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        whole[key] = _laid(as_object(below), as_object(value)) if both else value
    return whole


def opa_settings() -> JsonObject:
    """`policy` for the engine opa, with this machine's OPA; skips where there is none."""
    return {"engine": "opa", "opa": {"binary": str(opa_binary().path)}}


BY_TOKEN: Final[JsonObject] = {
    "identity": {
        "attested_local": False,
        "audience": AGENT,
        "trust_bundles": {"acme.test": "bundle.json"},
    },
    "listeners": {"egress": {"bearer": True}},
}
"""Settings under which every caller names itself by a JWT-SVID."""


@asynccontextmanager
async def a_world(
    policy: Files | None = None,
    *,
    upstreams: Mapping[str, GuardedUpstream] | None = None,
    settings: JsonObject | None = None,
    engine: str = "embedded",
    make_engine: EngineFactory | None = None,
    original: OriginalOf = kernel_original,
    kept: Mapping[str, bytes] | None = None,
) -> AsyncIterator[World]:
    """A sidecar with an MCP upstream `crm` and an HTTP upstream `desk`, unless others are given.
    `original` stands in for the kernel's word of where connections were going; `kept` are files
    that one before it left in its data folder."""
    async with AsyncExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outrider-")))
        given = dict(upstreams or {"crm": McpUpstream(), "desk": GuardedUpstream()})
        for upstream in given.values():
            upstream.audit = room / "data" / "audit"
            await stack.enter_async_context(upstream)
        changes = settings or {}
        if engine == "opa":
            found = await asyncio.to_thread(opa_settings)
            changes = _laid({"policy": found}, changes)
        key = a_key()
        (room / "bundle.json").write_bytes(a_bundle(key.jwk()))
        write_policy(room / "policy", a_policy() if policy is None else policy)
        file = room / "outrider.yaml"
        file.write_text(yaml.safe_dump(settings_of(room, given, changes)), "utf-8")
        (room / "data").mkdir()
        write_tree(room / "data", kept or {})
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": str(room)}
        loaded = await asyncio.to_thread(load, file, environ)
        async with Sidecar(loaded, environ, engine=make_engine, original=original) as sidecar:
            world = World(sidecar=sidecar, room=room, upstreams=given, key=key)
            yield world
            await world.quiet()
        world.check()
