"""One sidecar: what it is made of, in which order it starts, reloads, drains and stops.

What fails at the start stops what was started before it and names the setting. Policy alone may
fail: a sidecar without policy refuses everything, and says so on `/readyz` until there is one.
"""

import asyncio
import logging
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import orjson

from outrider import __version__
from outrider.app import data_plane, policy as policy_parts
from outrider.app.data_plane import DataPlane
from outrider.app.explaining import explain_decision
from outrider.audit.inputs import InputStore
from outrider.audit.log import Bounds, FileAuditLog
from outrider.audit.sinks.file import FileSink
from outrider.config.load import Loaded, dump, load
from outrider.control.api import ControlApi
from outrider.control.health import Check, Health, TelemetryPage
from outrider.control.http import Edge as ControlEdge
from outrider.control.operations import Operations
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.exchange import Exchange, Reply
from outrider.core.jsonvalue import JsonObject, digest
from outrider.core.ports import ActivePolicy, Step
from outrider.core.secret import Secret
from outrider.core.vocabulary import Direction, RecordKind
from outrider.identity.bundles import BundleSource
from outrider.identity.subject import LocalIdentifier
from outrider.pipeline.enforcer import Enforcer
from outrider.pipeline.live import LiveExchanges
from outrider.pipeline.parts import Parts
from outrider.pipeline.records import base
from outrider.policy.engines.opa import OpaEngine
from outrider.policy.keeper import ReleaseEngine
from outrider.protocols.adapters.mcp.adapter import McpAdapter
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import SessionTable
from outrider.server.drain import Drain
from outrider.server.edge import Edge, EdgeParts, GateRefusal
from outrider.server.events import ShedCause
from outrider.server.jobs import Jobs
from outrider.server.listener import Listener
from outrider.server.overload import BufferBudget, FairSlots
from outrider.server.pressure import Level, Pressure, fd_ratio, memory_ratio
from outrider.server.wheel import Wheel
from outrider.stores.keyfile import own_secret, read_secret
from outrider.stores.memory import MemoryStore
from outrider.stores.sqlite import SqliteStore
from outrider.tasks.quarantine import QuarantineList
from outrider.tasks.standing import StandingTasks
from outrider.telemetry.exposition import Exposition
from outrider.telemetry.logs import Logs
from outrider.telemetry.metrics import Metrics

logger = logging.getLogger("outrider")
EngineFactory = Callable[[Loaded], ReleaseEngine]
"""Makes another engine than the settings name. No setting can; benchmarks and tests pass one."""
LOOK_S: Final = 1.0
FIRST_POLICY_S: Final = 2.0
FIXED_AT_START: Final = (
    "profile", "data_dir", "listeners", "identity", "audit", "stores", "control",
)  # fmt: skip
"""What a reload cannot change; a file that changes it is refused whole."""


class Sidecar:
    """The whole process but its signals. Use it as `async with Sidecar(…) as sidecar`."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        *,
        engine: EngineFactory | None = None,
    ) -> None:
        settings = loaded.settings
        self.loaded = loaded
        self._environ = environ
        self._engine_factory = engine
        self.clock = SystemClock()
        self.metrics = Metrics(
            upstreams=settings.upstreams, max_series=settings.telemetry.max_series
        )
        self.live = LiveExchanges()
        self.jobs = Jobs()
        self.pins = PinTable()
        self._sessions = SessionTable()
        self._wheel = Wheel(clock=self.clock)
        self._stack = AsyncExitStack()
        self._draining = False
        self._listening = False
        self._lag_beat_s = self.clock.monotonic_s()

    # --- life ---------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self.loaded.settings
        logs = Logs(level=settings.telemetry.log_level, dropped=self.metrics.log_dropped)
        logs.start()
        stack.push_async_callback(asyncio.to_thread, logs.stop)  # it waits for its thread
        self.logs = logs
        await self._open_state(stack)
        await stack.enter_async_context(self.jobs)
        await self._open_policy()
        self._open_shares()
        self.plane = await self._plane(self.loaded)
        stack.callback(self._close_pool)
        stack.callback(self._wheel.close)
        await self._listen(stack)
        for name, job in (
            ("policy files", self.keeper.watch() if settings.policy.watch else None),
            ("settings file", self._watch_settings()),
            ("pressure", self._pressure.run()),
            ("heartbeat", self._beat()),
        ):
            if job is not None:
                self.jobs.start(name, job)
        self._configured()
        self.metrics.built(
            {"version": __version__, "revision": "", "python": platform.python_version()}
        )
        logger.info(
            "listening",
            extra={"event": "started", "egress": ",".join(map(str, self.egress.ports))},
        )

    async def _open_state(self, stack: AsyncExitStack) -> None:
        loaded, settings = self.loaded, self.loaded.settings
        self._key = await asyncio.to_thread(own_secret, loaded.data("keys/sidecar.key"))
        token = settings.control.token_file
        read = (
            (lambda: read_secret(loaded.path(token)))
            if token
            else (lambda: own_secret(loaded.data("control.token"), text=True))
        )
        self._token = await asyncio.to_thread(read)
        inputs = None
        self._inputs_key = await asyncio.to_thread(own_secret, loaded.data("keys/inputs.key"))
        if settings.audit.inputs == "store":
            inputs = InputStore(
                directory=loaded.data(settings.audit.path) / "inputs",
                key=self._inputs_key,
                limit_bytes=settings.audit.inputs_bytes,
            )
        self.audit = FileAuditLog(
            sink=FileSink(
                directory=loaded.data(settings.audit.path), file_bytes=settings.audit.file_bytes
            ),
            sidecar=settings.identity.spiffe_id or "outrider",
            clock=self.clock,
            metrics=self.metrics,
            bounds=Bounds(queue=settings.limits.audit_queue),
            inputs=inputs,
        )
        facts: JsonObject = {"version": __version__, "profile": settings.profile.value}
        await self.audit.start(facts)
        stack.push_async_callback(self.audit.close)
        self.store: MemoryStore | SqliteStore = MemoryStore()
        if settings.stores.kind == "sqlite":
            store = SqliteStore(path=loaded.data(settings.stores.path))
            await store.start()
            stack.push_async_callback(store.close)
            self.store = store
        self.pins.load(await self.store.items("pins"))
        self._sessions.load(await self.store.items("mcp_sessions"))

    async def _open_policy(self) -> None:
        loaded = self.loaded
        if self._engine_factory is not None:
            self.engine: ReleaseEngine = self._engine_factory(loaded)
        else:
            self.engine = await asyncio.to_thread(
                policy_parts.engine_of, loaded, self._environ, self.clock, self.metrics
            )
        if isinstance(self.engine, OpaEngine):
            self.jobs.start("opa", self.engine.run())
        self.keeper = await asyncio.to_thread(
            policy_parts.keeper_of, loaded, self.engine, self.clock
        )
        self.keeper.tell(self._policy_changed)
        if not await self._try_policy():
            self.jobs.start("first policy", self._await_policy())

    async def _try_policy(self) -> bool:
        try:
            await self.keeper.reload()
        except ConfigError as fault:
            self.metrics.policy_refused("activate")
            logger.error(  # noqa: TRY400 - the fault is told in full, its trace says nothing
                "no policy is in force; everything is refused",
                extra={"event": "policy_refused", "fault": str(fault)},
            )
            return False
        return True

    async def _await_policy(self) -> None:
        """Try again until there is a first one: an OPA beside us may be late, a file mended."""
        while self.keeper.status().revision is None:
            await asyncio.sleep(FIRST_POLICY_S)
            await self._try_policy()

    async def _plane(self, loaded: Loaded) -> DataPlane:
        """The data plane for `loaded`. Raises `ConfigError`; nothing is changed yet."""
        settings = loaded.settings
        routes = data_plane.routes_of(settings)
        pool = await asyncio.to_thread(
            data_plane.pool_of, settings, self.clock, self._wheel, self.metrics
        )
        bundles = BundleSource(
            paths={
                domain: loaded.path(path)
                for domain, path in settings.identity.trust_bundles.items()
            }
        )
        await asyncio.to_thread(bundles.load)
        self._bundles = bundles
        mcp = McpAdapter(
            limits=settings.limits,
            pins=self.pins,
            sessions=self._sessions,
            seal_key=self._key.reveal()[:32],
            clock=self.clock,
        )
        parts = Parts(
            identifier=LocalIdentifier(
                settings=settings.identity,
                listeners={"egress": settings.listeners.egress},
                bundles=bundles,
                clock=self.clock,
                pod_uid=loaded.pod_uid,
            ),
            decider=policy_parts.decider_of(loaded, self.keeper, self.clock),
            binder=StandingTasks(required=settings.tasks.required),
            quarantine=QuarantineList(),
            routes=routes,
            adapters=data_plane.adapters_of(settings.limits, mcp),
            upstream=pool,
            credentials=data_plane.providers_of(loaded, self._key, self.clock),
            upstream_credentials={
                name: upstream.credential
                for name, upstream in settings.upstreams.items()
                if upstream.credential
            },
            audit=self.audit,
            store=self.store,
            slots=self._slots,
            metrics=self.metrics,
            live=self.live,
            jobs=self.jobs,
            clock=self.clock,
        )
        enforcer = Enforcer(parts, answer_bytes=settings.limits.response_bytes)
        return DataPlane(loaded=loaded, routes=routes, pool=pool, enforcer=enforcer)

    def _open_shares(self) -> None:
        limits = self.loaded.settings.limits
        self._pressure = Pressure(
            clock=self.clock,
            events=self.metrics,
            readers={
                ShedCause.MEMORY: memory_ratio,
                ShedCause.FDS: fd_ratio,
                ShedCause.AUDIT_QUEUE: self._audit_ratio,
            },
        )
        self._slots = FairSlots(limits=limits, events=self.metrics, pressure=self._pressure)

    def _audit_ratio(self) -> float:
        state = self.audit.state()
        return state.queued / max(1, state.capacity)

    async def _listen(self, stack: AsyncExitStack) -> None:
        loaded, settings = self.loaded, self.loaded.settings
        egress = settings.listeners.egress
        uids = frozenset(egress.uids or (os.getuid(),))
        self._edge = Edge(
            EdgeParts(
                name="egress",
                direction=Direction.EGRESS,
                rules=data_plane.gate_rules(loaded, self.plane.routes, ()),
                limits=settings.limits,
                handler=self._handle,
                refuser=self._refuse,
                clock=self.clock,
                wheel=self._wheel,
                events=self.metrics,
                budget=BufferBudget(
                    limit_bytes=settings.limits.buffered_bytes, events=self.metrics
                ),
                pressure=self._pressure,
                uids=uids,
            )
        )
        self.egress = Listener(edge=self._edge, settings=egress)
        await self.egress.start()
        stack.callback(self.egress.abort)
        stack.callback(self.egress.stop_accepting)
        self._edge.rules = data_plane.gate_rules(loaded, self.plane.routes, self.egress.ports)
        self.control = ControlEdge(
            name="control", listener=settings.listeners.control, handler=self._control().handle
        )
        await self.control.start()
        stack.push_async_callback(self.control.stop)
        exposition = Exposition(self.metrics.registry, self.clock)
        stack.callback(exposition.close)
        self.health = Health(self._checks(), self.clock, self._lag_s)
        page = TelemetryPage(self.health, exposition)
        self.telemetry = ControlEdge(
            name="telemetry",
            listener=settings.listeners.telemetry,
            handler=page.handle,
            any_host=True,
        )
        await self.telemetry.start()
        stack.push_async_callback(self.telemetry.stop)
        self._listening = True

    # --- the data plane -----------------------------------------------------------------

    async def _handle(self, exchange: Exchange) -> Reply:
        return await self.plane.enforcer.handle(exchange)

    def _refuse(self, refusal: GateRefusal) -> Reply:
        return data_plane.refuse_at_gate(self.plane.enforcer, refusal)

    def _policy_changed(self, policy: ActivePolicy) -> None:
        release = self.keeper.release()
        names = [
            f"{name}/{tool}"
            for name, upstream in policy.manifest.upstreams.items()
            for tool in (*upstream.tools, *upstream.operations)
        ]
        self.metrics.catalogue(names, release.codes)
        self.metrics.policy_activated(policy.revision, self.clock.unix_s())
        self.metrics.engine_is(policy.engine, up=True)
        record = base(RecordKind.POLICY, self.clock, None, None, None)
        record["policy"] = {"revision": policy.revision, "digest": release.digest}
        self.audit.append_nowait(record)

    # --- reload -------------------------------------------------------------------------

    async def reload(self) -> None:
        """Put the settings file, as it is now, in force. Raises `ConfigError`; nothing changed."""
        try:
            fresh = await asyncio.to_thread(load, self.loaded.source, self._environ)
            _check_reloadable(self.loaded, fresh)
            await self.keeper.reload(policy_parts.source_of(fresh))
            plane = await self._plane(fresh)
        except ConfigError:
            self.metrics.reloaded(ok=False, unix_s=self.clock.unix_s())
            raise
        before, self.plane, self.loaded = self.plane, plane, fresh
        self._edge.rules = data_plane.gate_rules(fresh, plane.routes, self.egress.ports)
        self.logs.set_level(fresh.settings.telemetry.log_level)
        before.pool.retire()
        self._configured()

    def _configured(self) -> None:
        settings = self.loaded.settings
        name = digest(orjson.dumps(dump(settings), option=orjson.OPT_SORT_KEYS))
        self.metrics.reloaded(ok=True, unix_s=self.clock.unix_s())
        self.metrics.configured(name.removeprefix("sha256:"), settings.environment)
        record = base(RecordKind.CONFIG, self.clock, None, None, None)
        record["config"] = {"digest": name, "profile": settings.profile.value}
        self.audit.append_nowait(record)
        logger.info("settings in force", extra={"event": "configured", "digest": name})

    async def try_reload(self) -> None:
        """Reload; a fault is told and leaves everything as it was."""
        try:
            await self.reload()
        except ConfigError as fault:
            logger.warning(
                "settings refused", extra={"event": "config_refused", "fault": str(fault)}
            )

    async def _watch_settings(self) -> None:
        """Reload when the settings file or a trust bundle changes."""
        source = self.loaded.source
        seen = await asyncio.to_thread(_stamp, source)
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._bundles.refresh()
            except ConfigError as fault:
                logger.warning(
                    "trust bundle refused", extra={"event": "bundle_refused", "fault": str(fault)}
                )
            now = await asyncio.to_thread(_stamp, source)
            if now != seen:
                seen = now
                await self.try_reload()

    # --- control and health ---------------------------------------------------------------

    def _control(self) -> ControlApi:
        operations = Operations(
            status=self.status,
            reload=self.keeper.reload,
            pins=_PinsView(self.pins),
            store=self.store,
            explain=self._explain,
            set_level=self.logs.set_level,
            accepted=self._pins_accepted,
        )
        egress_uids = set(self.loaded.settings.listeners.egress.uids) - {os.getuid()}
        return ControlApi(
            endpoints=operations.endpoints(),
            tokens={"operator": Secret(self._token.reveal().strip())},
            refused_uids=frozenset(egress_uids),
            audit=self.audit,
            record=self._admin_record,
            counted=self.metrics.control_request,
        )

    def _admin_record(self, facts: JsonObject) -> JsonObject:
        record = base(RecordKind.ADMIN, self.clock, None, None, None)
        record["admin"] = facts
        return record

    def _pins_accepted(self, facts: JsonObject) -> None:
        record = base(RecordKind.DEFINITION, self.clock, None, None, None)
        record["note"] = {"event": "definition_accepted", **facts}
        self.audit.append_nowait(record)

    async def _explain(self, decision_id: str) -> JsonObject:
        return await asyncio.to_thread(
            explain_decision,
            directory=self.loaded.data(self.loaded.settings.audit.path),
            key=self._inputs_key,
            release=self.keeper.release(),
            decision_id=decision_id,
        )

    def status(self) -> JsonObject:
        """What is in force and how it is, without secrets."""
        policy: JsonObject = {**asdict(self.keeper.status())}
        audit: JsonObject = {**asdict(self.audit.state())}
        return {
            "version": __version__,
            "profile": self.loaded.settings.profile.value,
            "ready": not self.health.missing(),
            "missing": dict(self.health.missing()),
            "policy": policy,
            "audit": audit,
            "live": len(self.live),
            "egress": [f"127.0.0.1:{port}" for port in self.egress.ports],
        }

    def _checks(self) -> tuple[Check, ...]:
        return (
            Check(name="listeners", missing=lambda: None if self._listening else "not bound yet"),
            Check(name="policy", missing=self._policy_missing),
            Check(
                name="audit",
                missing=lambda: None if self.audit.healthy() else "records cannot be written",
            ),
            Check(
                name="store",
                missing=lambda: None if self.store.healthy() else "the store does not answer",
            ),
            Check(name="drain", missing=lambda: "draining" if self._draining else None),
        )

    def _policy_missing(self) -> str | None:
        status = self.keeper.status()
        if status.revision is None:
            return f"no policy is in force: {status.last_error or 'none was loaded yet'}"
        if isinstance(self.engine, OpaEngine) and not self.engine.healthy():
            return "the engine opa does not answer"
        return None

    async def _beat(self) -> None:
        """Lets `/livez` see a loop that no longer turns; gives way under pressure (HARDENING §7);
        counts what is only looked at."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._lag_beat_s = self.clock.monotonic_s()
            if self._pressure.level >= Level.TRIM:
                self.egress.close_idle()
            if self._pressure.level >= Level.SOFT:
                self.egress.abort_largest()
            self.metrics.store(self.loaded.settings.stores.kind, ok=self.store.healthy())

    def _lag_s(self) -> float:
        return max(0.0, self.clock.monotonic_s() - self._lag_beat_s - LOOK_S)

    # --- the end ------------------------------------------------------------------------

    def drain(self) -> Drain:
        """How this sidecar leaves: run it, then leave the `async with`."""
        return Drain(
            listeners=[self.egress],
            settings=self.loaded.settings.drain,
            clock=self.clock,
            announce=self._announce,
        )

    def _close_pool(self) -> None:
        self.plane.pool.close()

    def _announce(self) -> None:
        self._draining = True
        self.metrics.draining(on=True)
        logger.info("draining", extra={"event": "draining"})


class _PinsView:
    """The pin table as the control API shows it."""

    def __init__(self, pins: PinTable) -> None:
        self._pins = pins

    def documents(self) -> list[JsonObject]:
        return [
            {
                "upstream": pin.upstream,
                "kind": pin.kind,
                "name": pin.name,
                "state": pin.state.value,
                "digest": pin.digest,
            }
            for pin in self._pins.listed()
        ]

    def differences(self, upstream: str, name: str) -> list[JsonObject]:
        return [
            {"member": change.member, "before": change.before, "after": change.after}
            for change in self._pins.diff(upstream, name)
        ]

    def accept(self, upstream: str, name: str | None = None, kind: str | None = None) -> list[Step]:
        return self._pins.accept(upstream, name, kind)


def _check_reloadable(before: Loaded, after: Loaded) -> None:
    changed = [
        key
        for key in FIXED_AT_START
        if getattr(before.settings, key) != getattr(after.settings, key)
    ]
    if changed:
        raise ConfigError(f"{', '.join(changed)}: cannot change while running; restart outrider")


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
