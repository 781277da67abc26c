"""`outrider run`: the sidecar until a signal ends it."""

import asyncio
import signal
import sys
from collections.abc import Callable

import typer
import uvloop

from outrider.app import Sidecar
from outrider.app.sidecar import EngineFactory
from outrider.app.starting import Startup
from outrider.cli.common import ConfigOption, err, settings
from outrider.cli.memory import keep_memory_private
from outrider.config.load import Loaded, environment
from outrider.core.errors import ConfigError, OutriderError

app = typer.Typer(help="Run the sidecar.")


@app.callback(invoke_without_command=True)
def run(config: ConfigOption = None) -> None:
    """Run the sidecar until SIGTERM or SIGINT; SIGHUP reloads settings and policy."""
    keep_memory_private()
    raise typer.Exit(serve(settings(config)))


def serve(loaded: Loaded, *, engine: EngineFactory | None = None) -> int:
    """Run on uvloop to the end; the process's exit code. `engine` is for benchmarks and tests."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(loaded, engine))
    except ConfigError as fault:
        err.print(f"[bold red]error[/] {fault}", soft_wrap=True)
        return 2
    except OutriderError as fault:
        err.print(f"[bold red]error[/] cannot start: {fault}", soft_wrap=True)
        return 1
    return 0


async def _serve(loaded: Loaded, engine: EngineFactory | None) -> None:
    loop = asyncio.get_running_loop()
    leave, again = asyncio.Event(), asyncio.Event()
    reloads: asyncio.Queue[None] = asyncio.Queue(1)

    sidecar = Sidecar(loaded, environment(), engine=engine)
    startup = Startup(limit_s=loaded.settings.startup_timeout_s, waits_for=sidecar.waits_for)

    def ask_to_leave() -> None:
        (again if leave.is_set() else leave).set()
        startup.abandon()

    def ask_to_reload() -> None:
        if reloads.empty():
            reloads.put_nowait(None)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ask_to_leave)
    loop.add_signal_handler(signal.SIGHUP, ask_to_reload)
    try:
        await startup.run(sidecar.__aenter__)
        if leave.is_set() and not sidecar.listening:
            return
        sidecar.jobs.start("reload", _reload_when_asked(sidecar, reloads))
        await leave.wait()
        drain = sidecar.drain()
        sidecar.jobs.start("hurry", _hurry(again, drain.hurry))
        await drain.run()
    finally:
        await sidecar.__aexit__(*sys.exc_info())


async def _reload_when_asked(sidecar: Sidecar, asked: "asyncio.Queue[None]") -> None:
    while True:
        await asked.get()
        await sidecar.try_reload()


async def _hurry(again: asyncio.Event, hurry: Callable[[], None]) -> None:
    await again.wait()
    hurry()
