"""OPA's slow paths: readiness, status, what it says of a bundle (POLICY §3).

The stock client speaks TCP only, sleeps between its retries (0.9 s, also on an evaluation error)
and drops what OPA says of a fault: here it speaks over the private socket and tries once.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from opa_client import AsyncOpaClient

from outrider.core.jsonvalue import JsonObject, as_list, as_object

TIMEOUT_S: Final = 1.5
_CONNECT_S: Final = 0.05
_MOST_ERRORS: Final = 5


class OpaControl(AsyncOpaClient):  # type: ignore[misc]  # it brings no types
    """The client of `opa-python-client` on a Unix socket. Used as `async with`."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(host="opa", retries=0, timeout=timeout_s)
        self._path = str(path)

    async def ready(self) -> bool:
        """Whether OPA's first bundle was ever activated; it says nothing of later ones."""
        healthy: bool = await self.check_health(query={"bundles": True})
        return healthy

    async def bundle_fault(self) -> str | None:
        """What OPA says is wrong with its bundle, on one line; None where it says nothing."""
        try:
            status = await self.get_status()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        return _bundle_fault(status if isinstance(status, dict) else {})

    async def _init_session(self) -> None:
        self._connector = aiohttp.UnixConnector(path=self._path)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            json_serialize=lambda value: orjson.dumps(value).decode(),
            timeout=aiohttp.ClientTimeout(total=self.timeout, connect=_CONNECT_S),
        )

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - handed on as they are
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try. Raises what aiohttp raises."""
        async with self._session.request(method, url, **options) as response:
            yield response


def _bundle_fault(status: JsonObject) -> str | None:
    bundles = as_object(as_object(status.get("result")).get("bundles"))
    found: list[str] = []
    for state in bundles.values():
        errors = as_list(as_object(state).get("errors"))
        found.extend(_error_line(as_object(error)) for error in errors)
        message = as_object(state).get("message")
        if isinstance(message, str):
            found.append(" ".join(message.split())[:400])
    return "; ".join(line for line in found[:_MOST_ERRORS] if line) or None


def _error_line(error: JsonObject) -> str:
    place = as_object(error.get("location"))
    where = f"{place['file']}:{place.get('row', 0)}: " if "file" in place else ""
    return f"{where}{error.get('message', '')}"[:400]
