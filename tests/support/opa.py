"""A real OPA for tests: found as the product finds one, or the test is skipped with the reason."""

import asyncio
import os
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from outrider.config.load import cache_dir
from outrider.config.paths import shipped_rego
from outrider.control.opa_bundle import serve_alone
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.secret import Secret
from outrider.policy.bundle_keys import VerifyingKey
from outrider.policy.engines.opa import OpaEngine, OpaLimits
from outrider.policy.opa_bundles import BundleFeed, BundleSource
from outrider.policy.opa_child import ChildPlan, OpaChild
from outrider.policy.opa_install import OpaBinary, OpaPlaces, find
from outrider.policy.opa_slow import OpaControl
from outrider.policy.release import Release
from tests.support import policy
from tests.support.policy import ENTRYPOINT


@cache
def _found() -> OpaBinary | str:
    named = os.environ.get("OUTRIDER_TEST_OPA")
    places = OpaPlaces(
        cache=cache_dir(os.environ),
        search_path=os.environ.get("PATH", ""),
        binary=Path(named) if named else None,
    )
    try:
        return find(places)
    except ConfigError as fault:
        return str(fault)


def is_here() -> bool:
    """Whether this machine has an OPA."""
    return not isinstance(_found(), str)


def opa_binary() -> OpaBinary:
    """The OPA of this machine; skips where there is none."""
    found = _found()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def _plan() -> ChildPlan:
    return ChildPlan(
        binary=opa_binary(),
        system=shipped_rego() / "system",
        parent=Path(tempfile.gettempdir()),
    )


TOKEN = "t" * 43


def a_feed(origin: str = "http://127.0.0.1:4711") -> BundleFeed:
    """A feed under `TOKEN`, nothing offered yet, that says it is served at `origin`."""
    return BundleFeed(source=BundleSource(), token=Secret(TOKEN), origin=lambda: origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An engine with the child it asks, and what that is fed."""

    engine: OpaEngine
    child: OpaChild
    source: BundleSource


@asynccontextmanager
async def running_engine(
    *,
    connections: int = 8,
    activation_s: float = 15.0,
    entrypoint: str = ENTRYPOINT,
    keys: tuple[VerifyingKey, ...] = (),
    scope: str = "",
) -> AsyncIterator[Running]:
    """An `OpaEngine` in mode `child`, nothing activated yet; stopped at the end. With `keys` its
    OPA verifies what it is fed."""
    plan = replace(await asyncio.to_thread(_plan), keys=keys, scope=scope)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        feed = a_feed()
        origin = await serve_alone(stack, feed)
        child = OpaChild(plan=plan, feed=replace(feed, origin=lambda: origin), clock=clock)
        engine = OpaEngine(
            link=child,
            clock=clock,
            entrypoint=entrypoint,
            limits=OpaLimits(connections=connections, activation_s=activation_s),
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        job = group.create_task(engine.run())
        stack.callback(job.cancel)
        yield Running(engine=engine, child=child, source=feed.source)


ALLOW_ALL = """package outrider
decision := {"effect": "allow", "revision": data.outrider.build.revision}
"""


def a_release(revision: str, rego: str = ALLOW_ALL) -> Release:
    """A release of one module under `revision`."""
    return policy.a_release(rego, revision=revision)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Let the loop run until `condition` holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def bare_opa(release: Release) -> AsyncIterator[Path]:
    """The socket of an OPA with `release`, whose data may be written over."""
    binary = await asyncio.to_thread(opa_binary)
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        path = Path(folder) / "opa.sock"
        modules = Path(folder) / "modules"
        await asyncio.to_thread(_write, modules, release.modules)
        process = await asyncio.create_subprocess_exec(
            binary.path, "run", "--server", "--addr", f"unix://{path}", "--log-level", "error",
            "--skip-version-check", modules, env={"GOGC": "400", "HOME": folder},
            stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        try:
            async with OpaControl(path, timeout_s=30) as control:
                await control.wait_for_ready(timeout=20, interval=0.02)
                await control.update_or_create_data(release.data["outrider"], "outrider")
            yield path
        finally:
            process.kill()
            await process.wait()


def _write(folder: Path, modules: Mapping[str, str]) -> None:
    for name, text in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
