"""Everybody who plays: interpreters, upstreams, the sidecar, the agents. Started in order, ended
in reverse, whatever happens."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import sleep
from typing import Final

from outrider.cli.demo import environments, stage as staging
from outrider.cli.demo.children import START_S, Child
from outrider.cli.demo.environments import LEGACY, MODERN
from outrider.cli.demo.stage import Stage
from outrider.cli.demo.story import Who
from outrider.config.load import cache_dir
from outrider.core.ports import Clock

_SCRIPTS: Final = Path(__file__).with_name("scripts")
_MAIN: Final = "from outrider.cli.main import main; main()"
_LOOK_S: Final = 0.05
_CALL_S: Final = 10.0
_COMMAND_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pythons:
    """Who runs the parts: with the SDK of the modern wire, of the legacy wire, and our own."""

    modern: Path
    legacy: Path
    own: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who is on; `outrider` is how our command line is called, in `environ`."""

    outrider: tuple[str, ...]
    environ: Mapping[str, str]
    upstreams: Mapping[str, Child]
    sidecar: Child
    agents: Mapping[Who, Child]

    def everybody(self) -> Iterable[Child]:
        return (*self.upstreams.values(), self.sidecar, *self.agents.values())


def missing_sdks(environ: Mapping[str, str]) -> list[str]:
    """Versions of the SDK that must be set up first."""
    cache = cache_dir(environ)
    return [each for each in (MODERN, LEGACY) if not environments.is_ready(each, cache)]


def pythons(environ: Mapping[str, str], done: Callable[[str], None]) -> Pythons:
    """Both environments, side by side where they must be made. Raises `UnavailableError`."""
    cache = cache_dir(environ)

    def one(version: str) -> Path:
        made = environments.make(version, cache, environ)
        done(version)
        return made

    with ThreadPoolExecutor(2) as pool:
        modern, legacy = pool.map(one, (MODERN, LEGACY))
    return Pythons(modern=modern, legacy=legacy, own=Path(sys.executable))


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the parts: no settings of the user's own sidecar, no proxy before us."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("OUTRIDER_") or name == "OUTRIDER_CACHE"
    }
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def assemble(
    stack: ExitStack,
    stage: Stage,
    pythons: Pythons,
    *,
    opa: Path | None,
    environ: Mapping[str, str],
) -> Cast:
    """Start everybody; `stack` ends them. `opa` is the engine, None the embedded one.

    Raises `BrokenPartError`.
    """

    def start(name: str, command: list[str], *, is_read: bool = True) -> Child:
        child = Child(name, command, log=stage.log(name), environ=environ, is_read=is_read)
        return stack.enter_context(child)

    def script(python: Path, name: str, *options: str) -> list[str]:
        return [str(python), str(_SCRIPTS / f"{name}.py"), *options]

    runners = {"notes": pythons.modern, "tickets": pythons.legacy, "people": pythons.own}
    upstreams = {
        name: start(name, script(python, name, "--journal", str(stage.journal(name))))
        for name, python in runners.items()
    }
    asks = ("--base", stage.base, "--upstream", "tickets")
    agents = {
        Who.AGENT: start("agent", script(pythons.modern, "agent", *asks, "--upstream", "notes")),
        Who.LEGACY: start("agent_legacy", script(pythons.legacy, "agent_legacy", *asks)),
    }
    staging.describe(stage, opa, {name: child.line() for name, child in upstreams.items()})
    outrider = (str(pythons.own), "-c", _MAIN)
    sidecar = start("outrider", [*outrider, "run", "--config", str(stage.settings)], is_read=False)
    for agent in agents.values():  # they leave first: a sidecar drains while streams are open
        stack.enter_context(agent)
    return Cast(
        outrider=outrider, environ=environ, upstreams=upstreams, sidecar=sidecar, agents=agents
    )


def wait_ready(cast: Cast, stage: Stage, clock: Clock) -> None:
    """Return when the sidecar is ready and the agents have their sessions.

    Raises `BrokenPartError` with what is missing.
    """
    until, said = clock.monotonic_s() + START_S, "no answer"
    while clock.monotonic_s() < until:
        if not cast.sidecar.is_running():
            raise cast.sidecar.broken("ended")
        status, body = fetch(stage.ports.telemetry, "/readyz")
        if status == 200:
            break
        said = body.decode("utf-8", "replace").strip() or said
        sleep(_LOOK_S)
    else:
        raise cast.sidecar.broken(f"was not ready within {START_S:.0f} s: {said}")
    for agent in cast.agents.values():
        agent.tell(stage.agent_secret)
    for agent in cast.agents.values():
        agent.line()


def operate(cast: Cast, stage: Stage, *words: str) -> str | None:
    """Run `outrider <words>` as a person would; None where it did it, else why it did not."""
    command = [*cast.outrider, *words, "--config", str(stage.settings)]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            command,
            env=cast.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"took over {_COMMAND_S:.0f} s"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return f"exit {done.returncode}: {lines[-1] if lines else 'no output'}"


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Status and body from a loopback port; status 0 where nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_CALL_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()
