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
from typing import Final, Self

import orjson

from outrider import __version__
from outrider.app import data_plane, policy as policy_parts
from outrider.app.agents import Agents
from outrider.app.books import books_of
from outrider.app.capturing import Capturing
from outrider.app.control_plane import ControlPlane
from outrider.app.delivery import delivery_of, ledger_of, source_of
from outrider.app.identity import IdentityWatch, OwnIdentity
from outrider.app.listening import EGRESS, listeners_of
from outrider.app.planes import plane_of
from outrider.app.reloading import check_reloadable, stamp, unmoved
from outrider.app.shape import shape_of
from outrider.app.state import of_the_store, open_state
from outrider.app.tasks import TaskDesk
from outrider.app.tracing import export_of
from outrider.config.load import Loaded, dump, load
from outrider.config.paths import build_revision
from outrider.control.health import Health, TelemetryPage
from outrider.control.http import Edge as ControlEdge
from outrider.control.opa_bundle import serve_alone
from outrider.core.clock import SystemClock, rfc3339
from outrider.core.errors import ConfigError, StoreUnavailableError
from outrider.core.exchange import Exchange, Reply
from outrider.core.jsonvalue import JsonObject, digest
from outrider.core.ports import ActivePolicy
from outrider.core.vocabulary import Direction, Reason, RecordKind
from outrider.identity.snapshot import Snapshot
from outrider.identity.subject import own_instance
from outrider.pipeline.live import LiveExchanges
from outrider.pipeline.records import base
from outrider.policy.engines.opa import OpaEngine
from outrider.policy.keeper import ReleaseEngine
from outrider.policy.opa_bundles import BundleFeed
from outrider.server.capture import OriginalOf, kernel_original
from outrider.server.drain import Drain, DrainTimes
from outrider.server.edge import EdgeParts, GateRefusal
from outrider.server.events import ShedCause
from outrider.server.jobs import Jobs
from outrider.server.listener import Listener
from outrider.server.overload import BufferBudget, FairSlots
from outrider.server.pool import no_one_holds
from outrider.server.pressure import Pressure, fd_ratio, memory_ratio
from outrider.server.wheel import Wheel
from outrider.tasks.quarantine import QuarantineList
from outrider.telemetry.exposition import Exposition
from outrider.telemetry.logs import Logs
from outrider.telemetry.metrics import Metrics
from outrider.telemetry.tracing import Tracing
from outrider.telemetry.watchdog import Watchdog

logger = logging.getLogger("outrider")
EngineFactory = Callable[[Loaded], ReleaseEngine]
"""Makes another engine than the settings name. No setting can; benchmarks and tests pass one."""
LOOK_S: Final = 1.0
INGRESS_DELAY_S: Final = 5.0
"""How long those who call the agent have to notice that it leaves, unless the settings say else."""
NO_IDENTITY: Final = "(no identity)"
"""The revision of connections to SPIFFE upstreams while we hold no SVID: none may be used."""
FIRST_POLICY_S: Final = 2.0


class Sidecar:
    """The whole process but its signals. Use it as `async with Sidecar(…) as sidecar`."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        *,
        engine: EngineFactory | None = None,
        original: OriginalOf = kernel_original,
    ) -> None:
        settings = loaded.settings
        self.loaded = loaded
        self._environ = environ
        self._engine_factory = engine
        self.clock = SystemClock()
        self.metrics = Metrics(
            upstreams=settings.upstreams,
            max_series=settings.telemetry.max_series,
            shape=shape_of(settings),
        )
        self.live = LiveExchanges()
        self.jobs = Jobs()
        self.quarantine = QuarantineList()
        self.agents = Agents(clock=self.clock, quarantine=self.quarantine, live=self.live)
        self.identity = OwnIdentity(loaded, self.clock, self.metrics)
        self.instance = own_instance(loaded.pod_uid)
        self.capturing = Capturing(
            loaded=loaded,
            instance=self.instance,
            clock=self.clock,
            metrics=self.metrics,
            original=original,
        )
        self.tracing: Tracing | None = None
        self.wheel = Wheel(clock=self.clock)
        self._stack = AsyncExitStack()
        self.draining = False
        self.listening = False
        self.watchdog = Watchdog(self.clock)
        self._step = "logs"
        self._wall_ahead_at_start_s = self._wall_ahead_s()
        self.feed: BundleFeed | None = None
        self._feed_origin = ""

    # --- life ---------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Raises what stood in the way, itself and not in a group."""
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                self._stack = stack.pop_all()
        except BaseExceptionGroup as group:
            raise _first_of(group) from group
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        await self._open(stack)
        await self._work(stack)

    async def _open(self, stack: AsyncExitStack) -> None:
        """What it stands on, and whom it answers from the first moment: operators and probes."""
        settings = self.loaded.settings
        logs = Logs(level=settings.telemetry.log_level, dropped=self.metrics.log_dropped)
        logs.start()
        stack.push_async_callback(asyncio.to_thread, logs.stop)  # it waits for its thread
        self.logs = logs
        self.watchdog.start()
        stack.callback(self.watchdog.stop)
        self._step = "traces"
        await self._start_tracing(stack)
        self._step = "the audit log and the store"
        await asyncio.to_thread(self.capturing.names.take)
        self.state = await open_state(
            self.loaded,
            self.clock,
            self.metrics,
            stack,
            unproven=self.capturing.lookup(),
        )
        self.audit, self.store, self.pins = self.state.audit, self.state.store, self.state.pins
        self.tasks = TaskDesk(self)
        stack.push_async_callback(self.tasks.close)
        self.books = self.tasks.books = books_of(self)
        stack.push_async_callback(self.books.close)
        stack.push_async_callback(self.identity.close)
        self._step = "the source of our identity"
        await self.identity.start()
        self._step = "the policy engine"
        await self._open_policy()
        self._step = "the control and telemetry listeners"
        await self._listen_to_operators(stack)
        await self._listen_to_scrapers(stack)

    async def _start_tracing(self, stack: AsyncExitStack) -> None:
        """Traces go on as they began, whatever a reload of the settings says."""
        found = await asyncio.to_thread(
            export_of, self.loaded, self.clock, self.metrics, self.instance
        )
        if found is None:
            return
        terms, export = found
        export.start()
        stack.push_async_callback(asyncio.to_thread, export.stop)
        self.tracing = Tracing(
            terms=terms, export=export, clock=self.clock, own_domain=self.identity.own_domain
        )
        self.metrics.link_traces(self.tracing.traced, self.clock.unix_s)

    async def _work(self, stack: AsyncExitStack) -> None:
        """Jobs, policy, and then the agent's listeners."""
        await stack.enter_async_context(self.jobs)  # ends before what OPA is fed from
        for name, current in (*self.identity.jobs(), *self.tasks.jobs()):
            self.jobs.start(name, current)
        self.jobs.start("books", self.books.run())
        self._step = "the tasks in the store"
        try:
            await self.tasks.start()
        except StoreUnavailableError as fault:
            raise of_the_store(self.loaded, fault) from fault
        self._open_shares()
        self.jobs.start("heartbeat", self._beat())
        self._step = "a first policy"
        await self._start_policy()
        self._step = "the listeners of the data plane"
        self.plane = await plane_of(self, self.loaded)
        stack.callback(self._close_pool)
        stack.callback(self.wheel.close)
        await self._listen(stack)
        for name, job in (
            ("policy files", self.keeper.watch() if self.loaded.settings.policy.watch else None),
            ("settings file", self._watch_settings()),
            ("pressure", self._pressure.run()),
            ("identity", self._identity_watch().run()),
        ):
            if job is not None:
                self.jobs.start(name, job)
        self._configured()
        self.metrics.built(
            {
                "version": __version__,
                "revision": build_revision(),
                "python": platform.python_version(),
            }
        )
        ingress = self.ingress
        logger.info(
            "listening",
            extra={
                "event": "started",
                "egress": ",".join(map(str, self.egress.ports)),
                "ingress": ",".join(map(str, ingress.ports)) if ingress is not None else "closed",
                "control": ",".join(self.control.addresses),
                "telemetry": ",".join(self.telemetry.addresses),
            },
        )

    async def _open_policy(self) -> None:
        """Engine and keeper, at rest."""
        loaded = self.loaded
        if self._engine_factory is not None:
            self.engine: ReleaseEngine = self._engine_factory(loaded)
        else:
            self.feed = policy_parts.feed_of(loaded, lambda: self._feed_origin)
            self.engine = await asyncio.to_thread(
                policy_parts.engine_of,
                loaded,
                self._environ,
                self.clock,
                self.metrics,
                self.feed,
                self.identity,
            )
        self.keeper = await asyncio.to_thread(
            policy_parts.keeper_of, loaded, self.engine, self.clock, self.metrics.policy_refused
        )
        self.keeper.tell(self._policy_changed)
        self.delivery = await asyncio.to_thread(
            delivery_of,
            loaded,
            self.keeper,
            self.clock,
            self.identity,
            lambda: self.metrics.policy_refused("download"),
        )

    async def _start_policy(self) -> None:
        if isinstance(self.engine, OpaEngine):
            self.jobs.start("opa", self.engine.run())
        begun = await self._try_policy()
        if self.delivery is not None:
            self.jobs.start("policy source", self.delivery.run(failures=int(not begun)))
        elif not begun:
            self.jobs.start("first policy", self._await_policy())

    async def reload_policy(self) -> bool:
        """Look at policy's source now; True where that changed anything. Raises `ConfigError`."""
        if self.delivery is not None:
            return await self.delivery.look(anew=True)
        return await self.keeper.reload()

    async def roll_back(self, sequence: int) -> bool:
        """Let signed policy of `sequence` or later count again, and look at policy's source; True
        where that changed anything. Raises `ConfigError`."""
        await asyncio.to_thread(ledger_of(self.loaded).allow, sequence)
        logger.warning(
            "an operator lets older policy count",
            extra={"event": "policy_rollback", "sequence": sequence},
        )
        return await self.reload_policy()

    async def _try_policy(self) -> bool:
        try:
            if self.delivery is not None:
                await self.delivery.begin()
            else:
                await self.keeper.reload()
        except ConfigError as fault:
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
        self.slots = FairSlots(limits=limits, events=self.metrics, pressure=self._pressure)

    def _audit_ratio(self) -> float:
        state = self.audit.state()
        return state.queued / max(1, state.capacity)

    async def _listen(self, stack: AsyncExitStack) -> None:
        settings = self.loaded.settings
        parts = EdgeParts(
            name=EGRESS,
            direction=Direction.EGRESS,
            rules=data_plane.gate_rules(self.loaded, self.plane.routes, ()),
            limits=settings.limits,
            handler=self._handle,
            refuser=self._refuse,
            clock=self.clock,
            wheel=self.wheel,
            events=self.metrics,
            budget=BufferBudget(limit_bytes=settings.limits.buffered_bytes, events=self.metrics),
            pressure=self._pressure,
            uids=frozenset(settings.listeners.egress.uids or (os.getuid(),)),
            captured=self.capturing.parts(
                data_plane.captured_rules(self.loaded, self.plane.routes)
            ),
        )
        self.listeners = listeners_of(self.loaded, self.plane, self.identity, parts, self.jobs)
        self.capturing.listening(lambda: self.listeners.ports)
        await self.listeners.start(self.plane, stack)
        self.listening = True

    @property
    def egress(self) -> Listener:
        return self.listeners.egress

    @property
    def ingress(self) -> Listener | None:
        """Where others call the agent, where that is open."""
        return self.listeners.ingress

    async def _listen_to_operators(self, stack: AsyncExitStack) -> None:
        """The control listener, which feeds OPA too: it answers before OPA is waited for."""
        plane = ControlPlane(self)
        self._identity_view = plane.identity
        self.health = Health(plane.checks(), self.clock, self.watchdog.lag_s)
        self.control = ControlEdge(
            name="control",
            listener=self.loaded.settings.listeners.control,
            handler=plane.api().handle,
        )
        await self.control.start()
        stack.push_async_callback(self.control.stop)
        if self.feed is not None:
            self._feed_origin = self.control.origin or await serve_alone(
                stack, self.feed, note=plane.note, counted=self.metrics.control_request
            )

    async def _listen_to_scrapers(self, stack: AsyncExitStack) -> None:
        """The telemetry listener: who probes is answered while OPA is waited for."""
        exposition = Exposition(self.metrics.registry, self.clock)
        stack.callback(exposition.close)
        page = TelemetryPage(self.health, exposition, capture=self.capturing.document)
        self.telemetry = ControlEdge(
            name="telemetry",
            listener=self.loaded.settings.listeners.telemetry,
            handler=page.handle,
            any_host=True,
        )
        await self.telemetry.start()
        stack.push_async_callback(self.telemetry.stop)

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
        status = self.keeper.status()
        confirmed_unix_s = status.confirmed_unix_s or self.clock.unix_s()
        self.metrics.policy_activated(policy.revision, confirmed_unix_s)
        self.metrics.engine_is(policy.engine, up=True)
        record = base(RecordKind.POLICY, self.clock, None, None, None)
        record["policy"] = {
            "revision": policy.revision,
            "digest": release.digest,
            "sequence": status.sequence,
            "signed_by": status.signed_by,
            "confirmed_at": rfc3339(confirmed_unix_s),
        }
        self.audit.append_nowait(record)
        self.agents.policy_changed(policy)
        self.tasks.policy_changed(policy)
        self.live.changed()

    # --- identity -----------------------------------------------------------------------

    def _identity_watch(self) -> IdentityWatch:
        return IdentityWatch(self.identity, act=self._trust_is, record=self._identity_is)

    def _trust_is(self, snapshot: Snapshot) -> None:
        """What lived on trust that is gone ends now."""
        own = self.identity.own_holds()
        self.live.revalidate(self.identity.holds, own=own)
        pool = self.plane.pool
        pool.renew(str(snapshot.generation) if own else NO_IDENTITY)
        pool.revalidate(self.identity.holds if own else no_one_holds)
        if not own:
            self.listeners.leave_strangers()

    def _identity_is(self, facts: JsonObject) -> None:
        record = base(RecordKind.CONFIG, self.clock, None, None, None)
        record["identity"] = facts
        self.audit.append_nowait(record)

    def own_agent(self) -> str | None:
        """The ID of the agent this sidecar stands beside, as far as it is known."""
        return self.tasks.signer.issuer

    # --- reload -------------------------------------------------------------------------

    async def reload(self) -> None:
        """Put the settings file, as it is now, in force. Raises `ConfigError`; nothing changed."""
        try:
            fresh = await asyncio.to_thread(load, self.loaded.source, self._environ)
            check_reloadable(self.loaded, fresh)
            plane = await plane_of(self, fresh)
            await self.keeper.reload(source_of(fresh))  # last: it is in force at once
        except Exception as fault:
            self.metrics.reloaded(ok=False, unix_s=self.clock.unix_s())
            if isinstance(fault, ConfigError):
                raise
            # A reader that failed in a way we did not think of is no reason to stop what runs.
            raise ConfigError(f"the settings cannot be read: {type(fault).__name__}") from fault
        before, self.plane, self.loaded = self.plane, plane, fresh
        limits = fresh.settings.limits
        self.listeners.take(plane)
        self.slots.resize(limits)
        self.logs.set_level(fresh.settings.telemetry.log_level)
        before.pool.retire(plane.pool, unmoved(before.loaded, fresh))
        self._configured()

    def _configured(self) -> None:
        settings = self.loaded.settings
        name = digest(orjson.dumps(dump(settings), option=orjson.OPT_SORT_KEYS))
        self.metrics.reloaded(ok=True, unix_s=self.clock.unix_s())
        self.metrics.upstreams_are(settings.upstreams)
        self.metrics.policy_bounded(self.keeper.max_staleness_s)
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
                "settings refused; those before stay in force",
                extra={"event": "config_refused", "fault": "; ".join(str(fault).splitlines())},
            )

    async def _watch_settings(self) -> None:
        """Reload when the settings file or a trust bundle changes."""
        source = self.loaded.source
        seen = await asyncio.to_thread(stamp, source)
        while True:
            await asyncio.sleep(LOOK_S)
            await self.identity.refresh()
            now = await asyncio.to_thread(stamp, source)
            if now != seen:
                seen = now
                await self.try_reload()

    async def _beat(self) -> None:
        """Gives way under pressure (HARDENING §7); counts what is only looked at."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.listening:
                self.listeners.relieve(self._pressure.level)
            self.metrics.store(self.loaded.settings.stores.kind, ok=self.state.stored())
            confirmed_s = self.keeper.status().confirmed_unix_s
            if confirmed_s is not None:
                self.metrics.policy_confirmed(confirmed_s)
            self.metrics.clock_skew(self._wall_ahead_s() - self._wall_ahead_at_start_s)
            self.metrics.review_overdue(self.agents.overdue_s(self.own_agent()))
            self.metrics.audit_unresolved(self.audit.state().unresolved)
            self.metrics.quarantined(self.quarantine.counts())
            self.metrics.pressure(ShedCause.IN_FLIGHT, self.slots.ratio())
            self._identity_view.beat(self.metrics)
            self.capturing.watch.beat()

    def _wall_ahead_s(self) -> float:
        return self.clock.unix_s() - self.clock.monotonic_s()

    def waits_for(self) -> str:
        """What a start is waiting for, in words; "" once nothing is missing."""
        if not self.listening:
            return self._step
        return "; ".join(f"{name}: {why}" for name, why in self.health.missing())

    # --- the end ------------------------------------------------------------------------

    def drain(self) -> Drain:
        """How this sidecar leaves: run it, then leave the `async with`."""
        settings = self.loaded.settings.drain
        delay_s = settings.delay_s
        if delay_s is None:
            delay_s = 0.0 if self.ingress is None else INGRESS_DELAY_S
        return Drain(
            listeners=self.listeners.all,
            times=DrainTimes(delay_s=delay_s, grace_s=settings.grace_s),
            lingering=self.egress if settings.classic else None,
            clock=self.clock,
            announce=self._announce,
            say_last=lambda: self.live.cut(lambda _: True, Reason.OVERLOAD),
        )

    def _close_pool(self) -> None:
        self.plane.pool.close()

    def _announce(self) -> None:
        self.draining = True
        self.metrics.draining(on=True)
        logger.info("draining", extra={"event": "draining"})


def _first_of(group: BaseExceptionGroup) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
