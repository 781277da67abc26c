"""The control listener, asked from a terminal on the same machine.

Laws: the address and the token come from the settings of the sidecar that is meant; an answer is
bounded and awaited for a bounded time; what is wrong is said with what to do about it.
"""

import http.client
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import orjson
import typer

from outrider.cli.common import err, plain
from outrider.config.checks import split_address
from outrider.config.load import Loaded
from outrider.core.errors import ConfigError, OutriderError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.secret import Secret
from outrider.stores.keyfile import read_secret

TIMEOUT_S: Final = 15.0
ANSWER_BYTES: Final = 16 << 20


class ControlError(OutriderError):
    """The control listener refused, or answered with nothing that can be read. `said` is all of a
    refusal, empty where there was none."""

    def __init__(self, told: str, said: JsonObject | None = None) -> None:
        super().__init__(told)
        self.said = said or {}


class NotTakenError(ControlError):
    """The control listener did not take what was asked: it is the words that were wrong."""


class NotRunningError(ControlError):
    """Nothing listens where the settings say that the sidecar is controlled."""


class ControlClient:
    """Asks the sidecar of `loaded`. Blocking."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        listener = loaded.settings.listeners.control
        self._places: list[tuple[str, Callable[[], http.client.HTTPConnection]]] = []
        if listener.unix is not None:
            path = str(loaded.path(listener.unix))
            self._places.append((path, lambda: _UnixConnection(path)))
        for address in listener.addresses:
            split = split_address(address)
            if split is not None:
                self._places.append((address, _connector(*split)))

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, wait_s: float = 0.0
    ) -> JsonObject:
        """`wait_s` is how long the sidecar is asked to wait. Raises `NotRunningError`,
        `ControlError`."""
        target = f"{path}?{urlencode(query)}" if query else path
        return self._ask("GET", target, None, wait_s)

    def post(self, path: str, body: Json) -> JsonObject:
        """Raises `NotRunningError`, `ControlError`."""
        return self._ask("POST", path, orjson.dumps(body))

    def patch(self, path: str, body: Json) -> JsonObject:
        """Raises `NotRunningError`, `ControlError`."""
        return self._ask("PATCH", path, orjson.dumps(body))

    def _ask(self, method: str, target: str, body: bytes | None, wait_s: float = 0.0) -> JsonObject:
        for _, connect in self._places:
            with closing(connect()) as connection:
                try:
                    connection.connect()
                except (FileNotFoundError, ConnectionError):
                    continue
                except OSError as fault:
                    raise ControlError(
                        f"the control listener cannot be reached: {fault}"
                    ) from fault
                connection.sock.settimeout(TIMEOUT_S + wait_s)
                return self._exchange(connection, method, target, body)
        places = " or ".join(place for place, _ in self._places)
        raise NotRunningError(f"outrider is not running at {places}; start it with `outrider run`")

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None
    ) -> JsonObject:
        token = self._token().reveal().decode("ascii", "replace").strip()
        headers = {"authorization": f"Bearer {token}", "connection": "close"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read(ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as fault:
            raise ControlError(f"the control listener broke off: {fault}") from fault
        return self._read(answer.status, content)

    def _read(self, status: int, content: bytes) -> JsonObject:
        try:
            value = as_object(orjson.loads(content[:ANSWER_BYTES]) if content else None)
        except orjson.JSONDecodeError:
            raise ControlError("the control listener's answer is not JSON") from None
        if status == 401:
            raise ControlError(
                f"the control listener refused the token in {self._token_file()}: is another "
                "sidecar running there? check --config"
            )
        if status == 400:
            raise NotTakenError(str(value.get("error") or "the control listener says 400"))
        if status >= 400:
            raise ControlError(
                str(value.get("error") or f"the control listener says {status}"), value
            )
        return value

    def _token(self) -> Secret:
        path = self._token_file()
        try:
            return read_secret(path)
        except OSError as fault:
            raise ControlError(
                f"{path}: the control token cannot be read ({fault.strerror}); run this as the "
                "user the sidecar runs as, with its --config"
            ) from fault
        except ConfigError as fault:
            raise ControlError(str(fault)) from fault

    def _token_file(self) -> Path:
        named = self._loaded.settings.control.token_file
        return self._loaded.path(named) if named else self._loaded.data("control.token")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the Host is `localhost`, which the listener knows."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _connector(host: str, port: int) -> Callable[[], http.client.HTTPConnection]:
    return lambda: http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


@contextmanager
def control_faults() -> Iterator[None]:
    """Turn a `ControlError` into its sentence on stderr and exit 1."""
    try:
        yield
    except ControlError as fault:
        err.print(f"[bold red]error[/] {plain(str(fault))}", soft_wrap=True)
        raise typer.Exit(1) from fault
