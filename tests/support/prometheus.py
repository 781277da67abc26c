"""Real Prometheus and Alertmanager for tests: found on PATH, else Debian's own in the cache."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import orjson

from tests.support.debian import Packages, UnavailableError

NAMES: Final = ("prometheus", "promtool", "alertmanager", "amtool")
_ALSO: Final = {"alertmanager": "prometheus-alertmanager"}
"""What Debian calls a program that its makers call otherwise."""
_PACKAGES: Final = Packages(
    folder="prometheus-debian",
    word="prometheus",
    names=("prometheus", "prometheus-alertmanager"),
)
_WAIT_S: Final = 30.0
_RUN_S: Final = 280.0
"""Cases over days take promtool a minute, and a busy machine several."""
_LOOK_S: Final = 0.5
_DIRECT: Final = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Programs:
    prometheus: str
    promtool: str
    alertmanager: str
    amtool: str


def find() -> Programs:
    """Where the four programs are. Raises `UnavailableError`."""
    return Programs(*(_find(name) for name in NAMES))


def _find(name: str) -> str:
    for each in (name, _ALSO.get(name)):
        found = each and shutil.which(each)
        if found:
            return found
    return str(_PACKAGES.found() / "usr" / "bin" / _ALSO.get(name, name))


def install() -> Programs:
    """Debian's packages in the cache. Raises `UnavailableError` where that cannot be done."""
    _PACKAGES.fetch()
    programs = find()
    version(programs.prometheus)
    return programs


def version(program: str) -> str:
    """What the program says of itself. Raises `UnavailableError` for one that does not run."""
    done = run(program, "--version")
    if done.returncode != 0:
        raise UnavailableError(f"{program} does not run: {done.stdout[-300:]}")
    return done.stdout.splitlines()[0]


def run(
    program: str, *arguments: str, given: bytes | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end; both of its streams in `stdout`."""
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_RUN_S,
        check=False,
    )
    text = done.stdout.decode("utf-8", "replace")
    return subprocess.CompletedProcess(done.args, done.returncode, text)


def alertmanager(programs: Programs) -> list[str]:
    """The command that starts it. Debian's reads its templates below /usr/share alone: where they
    are only in the cache, it is shown them there in a mount namespace of its own."""
    share = _PACKAGES.root / "usr" / "share"
    if Path("/usr/share/prometheus/alertmanager").exists() or not programs.alertmanager.startswith(
        str(_PACKAGES.root)
    ):
        return [programs.alertmanager]
    shown = 'mount --bind "$0" /usr/share && exec "$@"'
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*apart, "sh", "-c", shown, str(share), programs.alertmanager]


@contextmanager
def serving(command: list[str], ready: str) -> Iterator[list[str]]:
    """A server for as long as the block runs, entered once a line of its log holds `ready`.

    Gives its log, which grows. Raises `UnavailableError` if it ends or says nothing in time.
    """
    said: list[str] = []
    is_up = threading.Event()

    def listen(process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            said.append(line)
            if ready in line:
                is_up.set()
        is_up.set()

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        reader = threading.Thread(target=listen, args=(process,))
        reader.start()
        try:
            if not is_up.wait(_WAIT_S) or process.poll() is not None:
                raise UnavailableError(f"{command[0]} did not start: {''.join(said)[-800:]}")
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(_WAIT_S)


@dataclass(frozen=True, slots=True)
class Api:
    """What a running Prometheus answers."""

    port: int

    def get(self, path: str, **query: str) -> object:
        """The `data` of an answer. Raises `UnavailableError` where it is not a success."""
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(query)}"
        with _DIRECT.open(address, timeout=_WAIT_S) as answer:
            found = orjson.loads(answer.read())
        if found.get("status") != "success":
            raise UnavailableError(f"{path}: {found}")
        return found["data"]

    def wait(self, expression: str, *, within_s: float) -> list[Any]:
        """What `expression` gives, once it gives something. Raises `UnavailableError`."""
        looks = threading.Event()
        for _ in range(int(within_s / _LOOK_S)):
            found = self.series(expression)
            if found:
                return found
            looks.wait(_LOOK_S)
        raise UnavailableError(f"nothing came of {expression} in {within_s} s")

    def series(self, expression: str) -> list[Any]:
        """The instant vector that `expression` gives now, or one entry for a scalar."""
        data = self.get("query", query=expression)
        assert isinstance(data, dict)
        result: list[Any] = data["result"]
        return [{"value": result}] if data["resultType"] == "scalar" else result
