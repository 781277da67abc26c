"""Streams of the Workload API that follow a script, without a socket and in virtual time."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

import grpc

Step: TypeAlias = bytes | grpc.StatusCode | None
"""A message; a status that ends the stream (OK ends it without an error); None is silence."""


def ended(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    """A call's end as gRPC raises it."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="scripted")


class ScriptedCall:
    """`outrider.identity.workload_stream.Call`."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = list(steps)
        self.cancelled = False

    async def read(self) -> object:
        if not self._steps:
            await asyncio.Event().wait()
        step = self._steps.pop(0)
        if isinstance(step, bytes):
            return step
        if step is None:
            await asyncio.Event().wait()
        if step is grpc.StatusCode.OK:
            return grpc.aio.EOF
        raise ended(step)

    def cancel(self) -> bool:
        self.cancelled = True
        return True


class ScriptedStreams:
    """Opens one call for each script, and the last script's again for ever after."""

    def __init__(self, *scripts: Iterable[Step], then: Callable[[], None] | None = None) -> None:
        self._scripts = [list(script) for script in scripts]
        self._then = then
        self.calls: list[ScriptedCall] = []

    def __call__(self) -> ScriptedCall:
        if self._then is not None:
            self._then()
        at = min(len(self.calls), len(self._scripts) - 1)
        self.calls.append(ScriptedCall(self._scripts[at]))
        return self.calls[-1]
