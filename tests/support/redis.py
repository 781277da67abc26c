"""A real Redis (or Valkey) for tests: found on PATH, else Debian's own packages in the cache.

No test installs anything: `python -m tests.support.prepare redis` does, before the suite.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir

_NAMES: Final = ("redis-server", "valkey-server")
_PACKAGES: Final = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
_READY: Final = "ready to accept connections"
_WAIT_S: Final = 20.0


class UnavailableError(Exception):
    """No server here; the text says why."""


def _cache() -> Path:
    return cache_dir(os.environ) / "redis-debian"


def find() -> list[str]:
    """The command that starts a server. Raises `UnavailableError`."""
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return [found]
    binary = _cache() / "usr" / "bin" / "redis-server"
    if binary.exists():
        return [str(binary)]
    raise UnavailableError(
        "no redis-server on PATH and none in the cache: python -m tests.support.prepare redis"
    )


def version(command: list[str]) -> str:
    """What the server says of itself. Raises `UnavailableError` for one that does not run."""
    try:
        done = subprocess.run(
            [*command, "--version"],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as fault:
        raise UnavailableError(f"{command[0]} does not run: {fault}") from fault
    return done.stdout.strip()


def install() -> list[str]:
    """Debian's packages, fetched and unpacked into the cache; nothing of the system is changed.

    Raises `UnavailableError` where that cannot be done.
    """
    place = _cache()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as part:
        try:
            _run(["apt-get", "download", *_PACKAGES], Path(part))
            root = Path(part) / "root"
            for package in sorted(Path(part).glob("*.deb")):
                _run(["dpkg-deb", "-x", str(package), str(root)], Path(part))
        except (OSError, subprocess.SubprocessError) as fault:
            raise UnavailableError(f"Debian's packages cannot be fetched: {fault}") from fault
        shutil.rmtree(place, ignore_errors=True)
        root.rename(place)
    command = [str(place / "usr" / "bin" / "redis-server")]
    version(command)
    return command


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=True)


def _environment() -> dict[str, str]:
    """The unpacked libraries stand beside the unpacked server."""
    libraries = [str(one) for one in (_cache() / "usr" / "lib").glob("*-linux-gnu*")]
    return {"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": ":".join(libraries)}


class RedisServer:
    """One server on a Unix socket in a folder of its own; nothing is kept on disk."""

    def __init__(self, command: list[str], folder: Path, *options: str) -> None:
        self.path: Final = folder / "redis.sock"
        self._command = [
            *command, "--port", "0", "--unixsocket", str(self.path), "--unixsocketperm", "700",
            "--save", "", "--appendonly", "no", "--dir", str(folder), "--daemonize", "no",
            "--maxmemory", "256mb", "--maxmemory-policy", "noeviction", *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns once it takes connections. Raises `UnavailableError`."""
        self._process = subprocess.Popen(
            self._command,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watch = threading.Timer(_WAIT_S, self._process.kill)
        watch.start()
        said: list[str] = []
        for line in self._process.stdout or ():
            said.append(line)
            if _READY in line.lower():
                watch.cancel()
                return
        watch.cancel()
        self.stop()
        raise UnavailableError(f"the server did not start: {''.join(said)[-500:]}")

    def stop(self) -> None:
        """End it at once, with all that it held. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_WAIT_S)
            if process.stdout is not None:
                process.stdout.close()

    def pause(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def say(self, *parts: str) -> str:
        """One command beside everything under test, as the wire answers it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.settimeout(_WAIT_S)
            wire.connect(str(self.path))
            encoded = [part.encode() for part in parts]
            wire.sendall(
                b"*%d\r\n" % len(encoded)
                + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)
            )
            return wire.recv(65_536).decode()


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """A server for as long as the block runs. Raises `UnavailableError`."""
    command = find()
    with tempfile.TemporaryDirectory(prefix="outrider-redis-") as folder:
        server = RedisServer(command, Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


_AGE: Final = """
for _, row in ipairs(redis.call('KEYS', ARGV[2] .. ':*:k:*')) do
  local left = redis.call('PTTL', row)
  if left >= 0 and left <= tonumber(ARGV[1]) then redis.call('DEL', row)
  elseif left >= 0 then redis.call('PEXPIRE', row, left - ARGV[1]) end
end
for _, index in ipairs(redis.call('KEYS', ARGV[2] .. ':*:index')) do
  for _, key in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    redis.call('ZINCRBY', index, -ARGV[1], key)
  end
end
return 'aged'
"""


def age(server: RedisServer, milliseconds: int, prefix: str) -> None:
    """As if so much time had passed for everything below `prefix`."""
    assert "aged" in server.say("EVAL", _AGE, "0", str(milliseconds), prefix)
