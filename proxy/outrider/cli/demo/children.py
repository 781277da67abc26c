"""The processes of one demonstration: started, talked to and ended by the handles we hold.

Laws: every wait has a deadline; each child leads a session of its own, which is gone when its
`Child` is closed.
"""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

import orjson

from outrider.core.errors import OutriderError
from outrider.core.jsonvalue import JsonObject, as_object

START_S: Final = 40.0
ANSWER_S: Final = 25.0
_GRACE_S: Final = 5.0
_TAIL: Final = 8


class BrokenPartError(OutriderError):
    """A process did not do its part; the text says which and how, with its last lines."""


class Child:
    """One process. Its standard error, and its output unless we read it, go to `log`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str],
        is_read: bool = True,
    ) -> None:
        self.name = name
        self.log = log
        self._lines: queue.Queue[bytes] = queue.Queue()
        with log.open("wb") as kept:
            self._process = subprocess.Popen(  # noqa: S603 - our own parts
                command,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if is_read else kept,
                stderr=kept,
                start_new_session=True,
            )
        if self._process.stdout is not None:
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def line(self, within_s: float = START_S) -> str:
        """The next line it prints. Raises `BrokenPartError` where it ended or is late."""
        try:
            line = self._lines.get(timeout=within_s)
        except queue.Empty:
            raise self.broken(f"said nothing for {within_s:.0f} s") from None
        if not line:
            raise self.broken("ended")
        return line.decode("utf-8", "replace").strip()

    def tell(self, word: str) -> None:
        """Give it a line on standard input. Raises `BrokenPartError`."""
        pipe = self._process.stdin
        if pipe is None:
            raise self.broken("hears nothing")
        try:
            pipe.write(word.encode() + b"\n")
            pipe.flush()
        except (BrokenPipeError, ValueError):
            raise self.broken("ended") from None

    def ask(self, command: JsonObject) -> JsonObject:
        """Its answer, a JSON line, to a command. Raises `BrokenPartError`."""
        self.tell(orjson.dumps(command).decode())
        line = self.line(ANSWER_S)
        try:
            return as_object(orjson.loads(line))
        except orjson.JSONDecodeError:
            raise self.broken("printed something else than an answer") from None

    def is_running(self) -> bool:
        return self._process.poll() is None

    def broken(self, how: str) -> BrokenPartError:
        """The error for a part that did not do what it had to."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_TAIL:]
        said = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
        return BrokenPartError(f"{self.name} {how}\n{said}")

    def kill(self) -> None:
        """End it now, without a word to it."""
        self._process.kill()
        self._process.wait(_GRACE_S)

    def close(self) -> None:
        """Ask it to stop, then make its whole session stop. Idempotent."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
        with suppress(ProcessLookupError, PermissionError):  # its children that outlived it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_GRACE_S)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()

    def _read(self, pipe: IO[bytes]) -> None:
        """On a thread of its own: hand over lines; an empty one says that it ended."""
        with pipe:
            for line in pipe:
                self._lines.put(line)
        self._lines.put(b"")
