"""`outrider injector`: the webhook that puts the sidecar into pods, until a signal ends it."""

import asyncio
import logging
import platform
import re
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self

import typer
import uvloop

from outrider import __version__
from outrider.cli.common import err, faults_in_words, print_json
from outrider.cli.memory import keep_memory_private
from outrider.config.injector import (
    InjectorSettings,
    dump_injector,
    injector_schema,
    load_injector,
)
from outrider.config.listener_settings import Listener
from outrider.config.load import environment
from outrider.control.health import Check, Health, TelemetryPage
from outrider.control.http import Edge
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError, OutriderError
from outrider.injector import rehearsal, self_signed, server
from outrider.injector.authority import Terms
from outrider.injector.certificates import MountedFiles, ServedCertificate
from outrider.injector.election import Election
from outrider.injector.kube import KubeApi, KubeSettings, api_url
from outrider.injector.plan import Entry, Plan
from outrider.injector.review import Admitted, MalformedReviewError, admit
from outrider.injector.settled import plan_of
from outrider.server.jobs import Jobs
from outrider.telemetry.exposition import Exposition
from outrider.telemetry.families.injector import InjectorMetrics
from outrider.telemetry.logs import Logs

logger = logging.getLogger("outrider.injector")

app = typer.Typer(help="Run and describe the webhook that puts the sidecar into pods.")

RESOLV_CONF: Final = Path("/etc/resolv.conf")
_NAMESERVER: Final = re.compile(r"^nameserver[ \t]+([0-9A-Fa-f.:]{2,45})[ \t]*$", re.MULTILINE)
_NAMESERVERS: Final = 3
"""What resolvers read of a resolv.conf; further lines count for nobody."""
_BEAT_S: Final = 0.5
_WAIT_S: Final = 0.05
_SAY_S: Final = 5.0

SettingsOption = Annotated[
    Path, typer.Option("--settings", help="The injector's settings file.", dir_okay=False)
]


@app.command()
def run(settings: SettingsOption) -> None:
    """Serve admission reviews until SIGTERM; a second one ends it at once."""
    keep_memory_private()
    with faults_in_words():
        loaded = load_injector(settings)
    raise typer.Exit(serve(loaded, environment()))


@app.command()
def check(settings: SettingsOption) -> None:
    """Print the settings in force, every default filled in; exit 2 with every fault."""
    with faults_in_words():
        print_json(dump_injector(load_injector(settings)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings file."""
    print_json(injector_schema())


def serve(settings: InjectorSettings, environ: Mapping[str, str]) -> int:
    """Run on uvloop to the end; the process's exit code."""
    try:
        plan = plan_of(settings, resolv_nameservers=nameservers(RESOLV_CONF))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, plan, environ))
    except ConfigError as fault:
        err.print(f"[bold red]error[/] {fault}", soft_wrap=True)
        return 2
    except OutriderError as fault:
        err.print(f"[bold red]error[/] cannot start: {fault}", soft_wrap=True)
        return 1
    return 0


async def _serve(settings: InjectorSettings, plan: Plan, environ: Mapping[str, str]) -> None:
    loop = asyncio.get_running_loop()
    leave, again = asyncio.Event(), asyncio.Event()

    def ask_to_leave() -> None:
        (again if leave.is_set() else leave).set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ask_to_leave)
    fault: str | None = None
    async with Injector(settings, plan, environ) as injector:
        fault = await injector.wait_ready(leave)
        if fault is None:
            await leave.wait()
            await injector.drain(again)
    if fault is not None:
        raise OutriderError(fault)


class Injector:
    """The webhook, its certificate and its telemetry: constructed here and nowhere else."""

    def __init__(self, settings: InjectorSettings, plan: Plan, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.metrics = InjectorMetrics()
        self.served = ServedCertificate(self.metrics)
        self._at_door = Jobs()
        self.webhook = server.Webhook(
            server.Parts(
                settings=settings.webhook,
                judge=_judge(plan),
                context=self.served.context,
                jobs=self._at_door,
                events=self.metrics,
                clock=self.clock,
            )
        )
        self._api: KubeApi | None = None
        self.own = self._own(environ) if settings.certificates.mode == "self" else None
        certificates = settings.certificates
        self.rehearsal = rehearsal.Rehearsal(
            rehearsal.Parts(
                webhook=self.webhook,
                served=self.served,
                name=f"{certificates.service}.{certificates.namespace}.svc",
                clock=self.clock,
                now_unix_s=self._now_unix_s,
            )
        )
        self.health = Health(self._checks(), self.clock, self._lag_s)
        self._exposition = Exposition(self.metrics.registry, self.clock)
        self.telemetry = Edge(
            name="telemetry",
            listener=Listener(addresses=settings.webhook.telemetry_addresses),
            handler=TelemetryPage(self.health, self._exposition).handle,
            any_host=True,
        )
        self._stack = AsyncExitStack()
        self._leaving = False
        self._beat_s = self.clock.monotonic_s()

    async def __aenter__(self) -> Self:
        logs = Logs(level=self.settings.log_level, dropped=self.metrics.log_dropped)
        logs.start()
        self._stack.push_async_callback(asyncio.to_thread, logs.stop)  # it waits for its thread
        self._stack.callback(self._exposition.close)
        self.metrics.built(
            {
                "version": __version__,
                "revision": self.settings.revision,
                "python": platform.python_version(),
            }
        )
        try:
            await self._stack.enter_async_context(self._at_door)  # it ends after the webhook
            await self.webhook.start()
            self._stack.push_async_callback(self.webhook.stop)
            await self.telemetry.start()
            self._stack.push_async_callback(self.telemetry.stop)
            jobs = await self._stack.enter_async_context(Jobs())
            jobs.start("certificates", self._certificates())
            jobs.start("rehearsal", self.rehearsal.run())
            jobs.start("heartbeat", self._beat())
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def wait_ready(self, leave: asyncio.Event) -> str | None:
        """Return once it is ready, or asked to leave; after `startupTimeoutS` with what it waited
        for."""
        began_s = said_s = self.clock.monotonic_s()
        while (missing := self.health.missing()) and not leave.is_set():
            now_s = self.clock.monotonic_s()
            named = "; ".join(f"{name}: {why}" for name, why in missing)
            if now_s - began_s >= self.settings.startup_timeout_s:
                trouble = self.own.trouble() if self.own is not None else None
                return f"{named}; {trouble}" if trouble else named
            if now_s - said_s >= _SAY_S:
                said_s = now_s
                logger.info("not ready yet", extra={"event": "injector_waits", "for": named})
            await asyncio.sleep(_WAIT_S)
        logger.info("the webhook answers", extra={"event": "injector_ready"})
        return None

    async def drain(self, hurry: asyncio.Event) -> None:
        """Serve on for `delayS`, or until `hurry`, while others are sent elsewhere."""
        self._leaving = True
        self.webhook.leave()
        try:
            async with asyncio.timeout(self.settings.webhook.delay_s):
                if self.own is not None:
                    await self.own.release()
                await hurry.wait()
        except TimeoutError:
            return

    # --- inside ---

    def _own(self, environ: Mapping[str, str]) -> self_signed.SelfSigned:
        certificates = self.settings.certificates
        api = KubeApi(
            KubeSettings(
                url=api_url(certificates.api.url, environ),
                directory=Path(certificates.api.directory),
                timeout_s=certificates.api.timeout_s,
            ),
            clock=self.clock,
        )
        self._api = api
        return self_signed.SelfSigned(
            self_signed.Parts(
                api=api,
                objects=self_signed.Objects.named(
                    namespace=certificates.namespace,
                    lease=certificates.lease,
                    secret=certificates.secret,
                    configuration=certificates.configuration,
                ),
                terms=Terms(
                    name=f"{certificates.service}.{certificates.namespace}.svc",
                    ca_s=certificates.ca_days * 86_400,
                    leaf_s=certificates.leaf_hours * 3600,
                ),
                election=Election(
                    identity=environ.get("POD_NAME") or socket.gethostname(),
                    lease_s=certificates.lease_s,
                ),
                served=self.served,
                events=self.metrics,
                clock=self.clock,
                look_s=certificates.look_s,
                settle_s=certificates.settle_s,
            )
        )

    async def _certificates(self) -> None:
        if self.own is not None:
            await self.own.run()
        else:
            await MountedFiles(Path(self.settings.certificates.directory), self.served).run()

    def _checks(self) -> tuple[Check, ...]:
        own = self.own
        return (
            Check(
                name="certificate",
                missing=self.rehearsal.certificate,
                degraded=self.rehearsal.certificate_is_low,
            ),
            Check(
                name="review",
                missing=self.rehearsal.review,
                degraded=own.trouble if own is not None else _nothing,
            ),
            Check(
                name="draining",
                missing=lambda: "this replica is leaving" if self._leaving else None,
            ),
        )

    async def _beat(self) -> None:
        while True:
            self._beat_s = self.clock.monotonic_s()
            await asyncio.sleep(_BEAT_S)

    def _lag_s(self) -> float:
        return max(0.0, self.clock.monotonic_s() - self._beat_s - _BEAT_S)

    def _now_unix_s(self) -> float:
        ahead_s = self._api.ahead_s if self._api is not None else 0.0
        return self.clock.unix_s() + ahead_s


def nameservers(path: Path) -> tuple[str, ...]:
    """The DNS servers that the resolv.conf at `path` names; none where it cannot be read."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(_NAMESERVER.findall(text)[:_NAMESERVERS])


def _judge(plan: Plan) -> server.Judge:
    def judge(entry: Entry, body: bytes) -> Admitted | None:
        try:
            return admit(entry, body, plan)
        except MalformedReviewError:
            return None

    return judge


def _nothing() -> str | None:
    return None
