"""One leg that is up: where to call it, which processes are its own, what it checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.calls import allowed_call, refused_calls, send
from tests.bench.figures import Case, Leg
from tests.bench.machine import BenchError, Program, Usage, descendants, usage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`engine` is a process of its own beside the proxy; the proxy's children count as engine."""

    leg: Leg
    port: int
    checked: str
    proxy: Program | None = None
    engine: Program | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    governed: bool = False

    def usage(self) -> tuple[Usage, Usage]:
        """What proxy and engine have spent so far, apart."""
        if self.proxy is None:
            nothing = Usage(cpu_us=0.0, rss_mib=0.0)
            return nothing, nothing
        engine = descendants(self.proxy.pid)
        if self.engine is not None:
            engine += [self.engine.pid, *descendants(self.engine.pid)]
        return usage_of([self.proxy.pid]), usage_of(engine)

    def check(self, case: Case) -> None:
        """Raise `BenchError` unless the measured call passes and, if governed, the others do not.

        A leg that lets the refused calls through would be fast for the wrong reason.
        """
        reply = send(allowed_call(case), port=self.port, extra=self.headers)
        if not reply.is_upstreams:
            raise BenchError(
                f"{self.leg} does not pass {case}: {reply.status} {reply.body[:300]!r}"
            )
        if not self.governed:
            return
        for call in refused_calls(case):
            reply = send(call, port=self.port, extra=self.headers)
            if reply.is_upstreams:
                raise BenchError(f"{self.leg} let a call through that must be refused: {case}")

    def stop(self) -> None:
        """End the leg's processes."""
        for program in (self.proxy, self.engine):
            if program is not None:
                program.stop()
