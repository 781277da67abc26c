"""`outrider capture verify`: whether this pod's connections are captured, tried from inside it."""

import signal
import threading
from typing import Annotated

import typer

from outrider.cli.common import err, out, plain
from outrider.core.capture import MISSED_PROBES, PROBE_S, CaptureMode
from outrider.core.clock import SystemClock
from outrider.server.capture_check import CaptureCheck, CheckTerms

app = typer.Typer(no_args_is_help=True, help="Verify that connections are captured.")


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command()
def verify(
    mode: Annotated[CaptureMode, typer.Option(help="How this pod is meant to be captured.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, every ten seconds, until it fails.")
    ] = False,
    telemetry: Annotated[
        str, typer.Option(help="The sidecar's telemetry listener, address:port.")
    ] = "127.0.0.1:15020",
    timeout: Annotated[
        float, typer.Option(min=1, max=60, help="Seconds that one look may take.")
    ] = 10.0,
) -> None:
    """Try to get out of this pod: exit 0 where every try is captured or refused, 1 where not.

    TCP goes to 192.0.2.1:9 and 2001:db8::1, port 9, UDP to port 443: places that are nobody's.
    With --watch three failed looks in a row, or a failed first one, end it with 1.
    """
    if mode is CaptureMode.COOPERATIVE:
        err.print("[bold red]error[/] in mode cooperative nothing is captured to be verified")
        raise typer.Exit(2)
    check = CaptureCheck(CheckTerms(mode=mode, telemetry=telemetry, limit_s=timeout), SystemClock())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())  # also as a pod's process 1
    if not _looked(check):
        raise typer.Exit(1)
    out.print(f"[bold green]ok[/] captured: {mode.value}")
    missed = 0
    while watch and not stop.wait(PROBE_S):
        missed = 0 if _looked(check) else missed + 1
        if missed >= MISSED_PROBES:
            raise typer.Exit(1)


def _looked(check: CaptureCheck) -> bool:
    faults = check.faults()
    for fault in faults:
        err.print(f"[bold red]not captured[/] {plain(fault)}", soft_wrap=True)
    return not faults
