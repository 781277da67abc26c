"""One round of one cell: wrk against a leg, with the kernel's count of CPU around it."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench.calls import allowed_call
from tests.bench.figures import Case, Cell, Sample
from tests.bench.machine import BenchError, run
from tests.bench.target import Target
from tests.bench.upstream import Upstream

_SCRIPT = Path(__file__).parent / "load.lua"
_ERRORS = ("connect", "read", "write", "status", "timeout")
PACED_CONNECTIONS = 4
PACED_RPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What wrk counted in one round."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    errors: dict[str, int]


def read_counts(output: str) -> Counts:
    """Find our line in wrk's output; raises `BenchError` where there is none or nothing passed."""
    for line in output.splitlines():
        if line.startswith("FIGURES "):
            found = orjson.loads(line.removeprefix("FIGURES "))
            break
    else:
        raise BenchError(f"wrk printed no figures: {output.strip()[-300:]}")
    counts = Counts(
        requests=found["requests"],
        duration_us=found["duration_us"],
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        errors={name: found[name] for name in _ERRORS if found[name]},
    )
    if counts.requests <= 0:
        raise BenchError("wrk completed no request")
    return counts


class Generator:
    """wrk, one thread, closed loop: each connection sends its next call when the last is answered.

    A paced cell pauses before each call: `PACED_RPS` calls a second less what the answers take.
    """

    def __init__(self, wrk: Path, upstream: Upstream, folder: Path) -> None:
        self._wrk = wrk
        self._upstream = upstream
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def measure(self, target: Target, cell: Cell, *, seconds: int) -> Sample:
        """Load the leg for `seconds`; raises `BenchError` on a single error or stray answer.

        Every completed exchange must have reached the upstream: a refusal in the protocol's own
        words is a 200 too, and would be counted as a fast success.
        """
        before = self._upstream.served()
        proxy, engine = target.usage()
        counts = read_counts(run(self._command(target, cell, seconds), limit_s=seconds + 20))
        proxy_after, engine_after = target.usage()
        served = self._upstream.served() - before
        if counts.errors:
            raise BenchError(f"{target.leg} {cell.case} c={cell.connections}: {counts.errors}")
        # wrk leaves uncounted what was under way when its time was up, and while it calibrates
        uncounted = cell.connections + 8 + counts.requests // 20
        if not counts.requests <= served <= counts.requests + uncounted:
            raise BenchError(
                f"{target.leg} {cell.case} c={cell.connections}: {counts.requests} completed,"
                f" but {served} reached the upstream"
            )
        return Sample(
            rps=counts.requests / counts.duration_us * 1e6,
            p50_ms=counts.p50_us / 1000,
            p99_ms=counts.p99_us / 1000,
            proxy_us=(proxy_after.cpu_us - proxy.cpu_us) / counts.requests,
            engine_us=(engine_after.cpu_us - engine.cpu_us) / counts.requests,
            rss_mib=proxy_after.rss_mib + engine_after.rss_mib,
        )

    def _command(self, target: Target, cell: Cell, seconds: int) -> list[str | Path]:
        call = allowed_call(cell.case)
        head, body = self._files(target, cell.case)
        pause_ms = 1000 * cell.connections // PACED_RPS if cell.paced else 0
        return [
            self._wrk,
            "-t1",
            f"-c{cell.connections}",
            f"-d{seconds}s",
            "--timeout",
            "5s",
            "-s",
            _SCRIPT,
            f"http://127.0.0.1:{target.port}{call.path}",
            "--",
            head,
            body,
            str(pause_ms),
        ]

    def _files(self, target: Target, case: Case) -> tuple[Path, Path]:
        call = allowed_call(case)
        head = self._folder / f"{target.leg}-{case}.head"
        body = self._folder / f"{target.leg}-{case}.body"
        lines = [f"{name}: {value}\n" for name, value in {**call.headers, **target.headers}.items()]
        head.write_text("".join(lines))
        body.write_bytes(call.body)
        return head, body
