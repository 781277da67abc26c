"""A supervised OPA of our own on a private Unix socket (POLICY §3).

Laws: its folder is 0700 and new each time; its environment is ours alone; it dies with us; when it
ends it is started again, soon, then less soon; what it says goes into our log as values, cut.
"""

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, cast

import orjson

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import Clock
from outrider.policy.bundle_keys import VerifyingKey
from outrider.policy.opa_bundles import FOLDER, RESOURCE, BundleFeed
from outrider.policy.opa_door import UNKNOWN_PEER, UnixDoor
from outrider.policy.opa_install import OpaBinary
from outrider.policy.release import Release

logger = logging.getLogger(__name__)

BACKOFF_S: Final = (0.1, 5.0)
MEMORY_SHARE: Final = 0.30
GOGC: Final = 400

_STEADY_S: Final = 10.0
_STOP_S: Final = 7.0
_SAY_S: Final = 0.5
_LONGEST_LINE: Final = 400
_LONG_POLL_S: Final = 30
_MAX_BUNDLE_BYTES: Final = 32 << 20
_MAX_QUERY_BYTES: Final = 1 << 20
_LONGEST_SOCKET_PATH: Final = 100
_PR_SET_PDEATHSIG: Final = 1
_LEAST_MEMORY: Final = 64 << 20
_MEMORY_FILES: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """What is run and where. `system` holds OPA's own policies (authz, log), given as files;
    `parent` is the folder in which the private one is made. With `keys`, OPA verifies what it is
    fed by them and `scope`, as we did before it."""

    binary: OpaBinary
    system: Path
    parent: Path | None = None
    keys: tuple[VerifyingKey, ...] = ()
    scope: str = ""


class OpaChild:
    """One OPA process at a time, offered one release at a time."""

    def __init__(
        self,
        *,
        plan: ChildPlan,
        feed: BundleFeed,
        clock: Clock,
        random: Random | None = None,
        started: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`started` is told of each start, with the memory limit it was given, in bytes."""
        self._told_start = started
        self._plan = plan
        self._feed = feed
        self._source = feed.source
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter
        self._process: Process | None = None
        self._run: Path | None = None
        self._last: Release | None = None
        self._starts = 0
        self._said = ""
        self._said_more = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        running = self._process
        return running.pid if running is not None and running.returncode is None else None

    @property
    def starts(self) -> int:
        """How often an OPA was started."""
        return self._starts

    @property
    def path(self) -> Path:
        """Its socket. Raises `ConfigError` before `run` has made the folder."""
        if self._run is None:
            raise ConfigError("OPA is not started yet")
        return self._run / "opa.sock"

    @property
    def door(self) -> UnixDoor:
        """The way in. Raises `ConfigError` before `run` has made the folder."""
        return UnixDoor(self.path, self.owns)

    def owns(self, pid: int) -> bool:
        """Whether `pid`, at the other end of the socket, is the process we started."""
        return pid == self.pid or (pid == UNKNOWN_PEER and sys.platform != "linux")

    async def offer(self, release: Release) -> bool:
        """Have OPA take `release`. True once it did; waits for as long as the caller lets it.

        Raises `ConfigError` with what OPA says where it does not; what was offered before is then
        offered again, as it is when the caller gives up waiting.
        """
        if self._plan.keys and not release.as_signed:
            raise ConfigError(
                "OPA verifies what it is fed, and this is not as it was signed: build it with "
                "`outrider bundle build`, and restart outrider where policy.overlay was added"
            )
        taken = False
        try:
            self._said = ""
            self._source.offer(release)
            taken = await self._source.taken()
            fault = "" if taken else await self._fault()
        finally:
            if taken:
                self._last = release
            elif self._last is not None:
                self._source.offer(self._last)
        if not taken:
            raise ConfigError(f"OPA does not take the policy: {fault}")
        return True

    async def run(self) -> None:
        """Keep an OPA running. Ends only by cancellation; OPA is then stopped, its folder gone.

        Whoever serves the feed must answer from before this is called until after it ended.
        """
        try:
            self._run = await asyncio.to_thread(_make_folder, self._plan, self._feed)
            await self._supervise(self._run)
        finally:
            run, self._run = self._run, None
            if run is not None:
                await asyncio.to_thread(shutil.rmtree, run, ignore_errors=True)

    async def _supervise(self, run: Path) -> None:
        limit_bytes = await asyncio.to_thread(memory_limit)
        words = await asyncio.to_thread(command, self._plan, run)
        delays = self._delays()
        while True:
            started_s = self._clock.monotonic_s()
            try:
                await self._live(run, words, limit_bytes)
            except OSError as fault:
                logger.warning(
                    "OPA does not start",
                    extra={"event": "opa_not_started", "fault": fault.strerror},
                )
            if self._clock.monotonic_s() - started_s > _STEADY_S:
                delays = self._delays()
            await asyncio.sleep(next(delays))

    async def _live(self, run: Path, words: tuple[str, ...], limit_bytes: int) -> None:
        """One OPA from its start to its end."""
        self._source.forget()
        await asyncio.to_thread(_remove_sockets, run)
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            env={"GOGC": str(GOGC), "GOMEMLIMIT": str(limit_bytes), "HOME": str(run)},
            cwd=run,
            start_new_session=True,
            preexec_fn=_tied(),
        )
        self._process = process
        self._starts += 1
        self._told_start(limit_bytes)
        logger.info(
            "OPA started",
            extra={
                "event": "opa_started",
                "pid": process.pid,
                "version": self._plan.binary.version,
            },
        )
        try:
            await self._listen(process)
            code = await process.wait()
            logger.warning(
                "OPA ended", extra={"event": "opa_ended", "pid": process.pid, "code": code}
            )
        finally:
            await _stop(process)

    def _delays(self) -> Iterator[float]:
        delay_s, longest_s = BACKOFF_S
        while True:
            yield delay_s * self._random.uniform(0.75, 1.0)
            delay_s = min(delay_s * 2, longest_s)

    async def _fault(self) -> str:
        """Why OPA refused: what its status says, else (it listens only once it has a first
        bundle) what it wrote."""
        # Here, since it brings 6 MiB that a sidecar without an OPA need not carry.
        from outrider.policy.opa_slow import OpaControl  # noqa: PLC0415

        async with OpaControl(self.path) as control:
            fault = await control.bundle_fault()
        with suppress(TimeoutError):
            async with asyncio.timeout(_SAY_S):
                while fault is None and not self._said:
                    self._said_more.clear()
                    await self._said_more.wait()
        return fault or self._said or "it does not say why"

    async def _listen(self, process: Process) -> None:
        """What OPA writes until it ends. Our log's own throttle bounds how much of it is kept."""
        stderr = cast("asyncio.StreamReader", process.stderr)  # it was asked for as a pipe
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # longer than the reader holds: dropped
                continue
            if not line:
                return
            level, said = _read_line(line)
            logger.warning(
                "OPA says", extra={"event": "opa_said", "level_said": level, "said": said}
            )
            if level == "error" and "undle" in said:
                self._said = said
                self._said_more.set()


def command(plan: ChildPlan, run: Path) -> tuple[str, ...]:
    """The command line, as POLICY §3 prints it. Blocking: looks at the system folder."""
    return (
        str(plan.binary.path), "run", "--server",
        "--addr", f"unix://{run}/opa.sock", "--unix-socket-perm", "600",
        "--diagnostic-addr", f"unix://{run}/opa-diag.sock",
        "--authorization=basic", "--config-file", f"{run}/opa.yaml",
        "--log-format", "json", "--log-level", "error", "--skip-version-check",
        "--ready-timeout", "10", "--shutdown-grace-period", "5",
        "--optimize-store-for-read-speed", *map(str, system_files(plan.system)),
    )  # fmt: skip


def system_files(folder: Path) -> tuple[Path, ...]:
    """OPA's own policies without their tests. Raises `ConfigError` where authz is missing."""
    found = tuple(
        path for path in sorted(folder.glob("*.rego")) if not path.name.endswith("_test.rego")
    )
    if not any(path.name == "authz.rego" for path in found):
        raise ConfigError(f"{folder} holds no authz.rego; OPA would answer anybody anything")
    return found


def configuration(
    run: Path, origin: str, keys: tuple[VerifyingKey, ...] = (), scope: str = ""
) -> JsonObject:
    """OPA's settings: where its bundle comes from, whose signature counts, and the limits it keeps
    (JSON is YAML)."""
    signing: JsonObject = {}
    if keys:
        signing["scope"] = scope
        if len(keys) == 1:  # only where a key is named does OPA refuse what is not signed at all
            signing["keyid"] = keys[0].id
    return {
        "keys": {key.id: {"algorithm": key.algorithm, "key": key.pem()} for key in keys},
        "services": {
            "outrider": {
                "url": f"{origin}{FOLDER}",
                "credentials": {"bearer": {"token_path": f"{run}/opa.token"}},
            }
        },
        "bundles": {
            "outrider": {
                "service": "outrider",
                "resource": RESOURCE,
                **({"signing": signing} if signing else {}),
                "persist": False,
                "size_limit_bytes": _MAX_BUNDLE_BYTES,
                "polling": {
                    "min_delay_seconds": 1,
                    "max_delay_seconds": 2,
                    "long_polling_timeout_seconds": _LONG_POLL_S,
                },
            }
        },
        "status": {"prometheus": True},
        "server": {"decoding": {"max_length": _MAX_QUERY_BYTES}},
    }


def memory_limit(files: tuple[Path, ...] = _MEMORY_FILES) -> int:
    """OPA's share of the container's memory, else of the machine's, in bytes. Blocking."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in files:
        with suppress(OSError, ValueError):
            whole = min(whole, int(path.read_text(encoding="ascii")))
            break
    return max(int(whole * MEMORY_SHARE), _LEAST_MEMORY)


def _make_folder(plan: ChildPlan, feed: BundleFeed) -> Path:
    """A new private folder with OPA's settings and token in it. Blocking."""
    origin = feed.origin()
    run = Path(tempfile.mkdtemp(prefix="outrider-opa-", dir=plan.parent))
    if len(str(run / "opa-diag.sock")) > _LONGEST_SOCKET_PATH:
        run.rmdir()
        raise ConfigError(f"{run} is too long a path for a Unix socket")
    for name, content in (
        ("opa.token", feed.token.reveal()),
        ("opa.yaml", orjson.dumps(configuration(run, origin, plan.keys, plan.scope))),
    ):
        path = run / name
        path.touch(mode=0o600)
        path.write_bytes(content)
    return run


def _remove_sockets(run: Path) -> None:
    for name in ("opa.sock", "opa-diag.sock"):
        (run / name).unlink(missing_ok=True)


def _tied() -> Callable[[], object] | None:
    """Runs in the child before OPA does: killed when its parent ends. Linux only.

    No Python runs there: between fork and exec a lock that another thread held stays held.
    """
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read_line(line: bytes) -> tuple[str, str]:
    """Level and message of a line of OPA's log, cut to one line of ours."""
    try:
        members = as_object(orjson.loads(line))
    except orjson.JSONDecodeError:
        return "", " ".join(line.decode("utf-8", "replace").split())[:_LONGEST_LINE]
    said = " ".join(str(members.get("msg", "")).split())
    return str(members.get("level", ""))[:16], said[:_LONGEST_LINE]


async def _stop(process: Process) -> None:
    """End the process and its group: asked first, then killed. A no-op on one that ended."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except BaseException as fault:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if not isinstance(fault, TimeoutError):
            raise
        await process.wait()
