"""What the upstreams of the demonstration share: a journal, one line at the start, an end.

The journal is what was really executed, one JSON line a call: the demonstration's proof.
"""

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class Journal:
    """Appends what was executed; a line is whole and on its way to the file when `note` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def note(self, call: str, arguments: Mapping[str, Any], authorization: str | None) -> None:
        line = {"call": call, "arguments": dict(arguments), "authorization": authorization}
        self._file.write(json.dumps(line) + "\n")


def journal() -> Journal:
    """The journal named on the command line."""
    options = argparse.ArgumentParser()
    options.add_argument("--journal", type=Path, required=True)
    return Journal(options.parse_args().journal)


def listening() -> socket.socket:
    """A loopback socket on a free port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", 0))
    made.listen(128)
    return made


def announce(served: socket.socket) -> None:
    """Tell whoever started us where we are: the first line of standard output."""
    sys.stdout.write(f"http://127.0.0.1:{served.getsockname()[1]}\n")
    sys.stdout.flush()


async def serve(app: Any, on_word: Callable[[str], None] | None = None) -> None:  # noqa: ANN401
    """Serve the ASGI `app` until standard input closes; `on_word` gets each line of it."""
    import uvicorn  # type: ignore[import-not-found]  # noqa: PLC0415 - not where people.py runs

    served = listening()
    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_until_orphaned(server, on_word), name="standard input")
        announce(served)
        with suppress(asyncio.CancelledError):
            await server.serve(sockets=[served])
        watch.cancel()


async def _until_orphaned(server: Any, on_word: Callable[[str], None] | None) -> None:  # noqa: ANN401
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        if on_word is not None:
            on_word(line.decode().strip())
    server.should_exit = True
