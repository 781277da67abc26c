"""The few calls to the Kubernetes API that the injector makes: get and patch of named objects.

Laws: the token and the CA are read again for each call, and each call has a connection of its own,
so that nothing of a rotated credential lives on; TLS is verified, no redirect is followed, no proxy
of the environment is used; an answer is bounded and read strictly; errors hold no body.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError, OutriderError
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Clock
from outrider.core.secret import Secret

ANSWER_BYTES: Final = 3 << 20
_TOKEN_BYTES: Final = 65_536
_CA_BYTES: Final = 1 << 20
_CONFLICT: Final = 409
_OK: Final = 200


class Patch(StrEnum):
    """How a patch is meant."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    """Lists whose items have names are merged by name."""


class KubeError(OutriderError):
    """A call that brought no object. `status` is the answer's, where there was one."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ConflictError(KubeError):
    """Somebody else changed the object since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeSettings:
    """Where the API server is, and the folder of `token` and `ca.crt`."""

    url: str
    directory: Path
    timeout_s: float


def api_url(configured: str | None, environ: Mapping[str, str]) -> str:
    """The API server's URL: as configured, else as the environment of a pod says.

    Raises `ConfigError` where neither does.
    """
    if configured is not None:
        return configured.rstrip("/")
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not port.isdecimal():
        raise ConfigError(
            "certificates.api.url is not set; give it where KUBERNETES_SERVICE_HOST and "
            "KUBERNETES_SERVICE_PORT do not say where the API server is"
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class KubeApi:
    """Calls the API server with the pod's own token."""

    def __init__(self, settings: KubeSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._ahead_s = 0.0

    @property
    def ahead_s(self) -> float:
        """By how much the API server's clock is ahead of ours, as its last answer said."""
        return self._ahead_s

    async def get(self, path: str) -> JsonObject:
        """The object at `path`. Raises `KubeError`."""
        return await self._call("GET", path, None, None)

    async def patch(self, path: str, change: JsonObject, kind: Patch) -> JsonObject:
        """The object at `path` after `change`. Raises `ConflictError` where the change names a
        `resourceVersion` that is not the object's any more, else `KubeError`."""
        return await self._call("PATCH", path, orjson.dumps(change), kind)

    async def _call(
        self, method: str, path: str, body: bytes | None, kind: Patch | None
    ) -> JsonObject:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                token, context = await asyncio.to_thread(self._credentials)
                headers = {
                    "authorization": f"Bearer {token.reveal().decode('ascii')}",
                    "accept": "application/json",
                    "user-agent": "outrider-injector",
                }
                if kind is not None:
                    headers["content-type"] = kind.value
                return await self._send(method, path, body, headers, context)
        except TimeoutError:
            raise KubeError("the API server did not answer in time") from None
        except (aiohttp.ClientError, OSError, ssl.SSLError) as fault:
            raise KubeError(f"the API server cannot be reached: {type(fault).__name__}") from None

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        context: ssl.SSLContext,
    ) -> JsonObject:
        connector = aiohttp.TCPConnector(ssl=context, force_close=True, limit=1)
        async with (
            aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.request(
                method,
                self._settings.url + path,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            self._note_time(answer.headers.get("date"))
            data = await _bounded(answer)
            if answer.status == _CONFLICT:
                raise ConflictError("the object was changed meanwhile", status=answer.status)
            if answer.status != _OK:
                raise KubeError(f"the API server answered {answer.status}", status=answer.status)
        return _object(data)

    def _note_time(self, date: str | None) -> None:
        """Take the API server's time from its answer: it is the one who judges certificates."""
        if date is None:
            return
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        ahead_s = told.replace(tzinfo=told.tzinfo or UTC).timestamp() - self._clock.unix_s()
        # The header has whole seconds, and the answer was on its way.
        self._ahead_s = ahead_s if abs(ahead_s) > self._settings.timeout_s + 1 else 0.0

    def _credentials(self) -> tuple[Secret, ssl.SSLContext]:
        """The token and what the API server is verified by, as the files are now; blocking.

        Raises `KubeError`.
        """
        folder = self._settings.directory
        token = Secret(_content(folder / "token", _TOKEN_BYTES).strip())
        authorities = _content(folder / "ca.crt", _CA_BYTES)
        if not token.reveal().isascii() or not token.reveal():
            raise KubeError("the service account's token cannot be used")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=authorities.decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise KubeError("the service account's ca.crt holds no certificates") from None
        return token, context


def _content(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as fault:
        raise KubeError(
            f"the service account's {path.name} cannot be read ({fault.strerror})"
        ) from None
    if len(data) > limit:
        raise KubeError(f"the service account's {path.name} is larger than {limit} bytes")
    return data


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for part in answer.content.iter_any():
        data += part
        if len(data) > ANSWER_BYTES:
            raise KubeError("the API server's answer is too long", status=answer.status)
    return bytes(data)


def _object(data: bytes) -> JsonObject:
    try:
        found = orjson.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KubeError("the API server's answer is no object")
    return found
