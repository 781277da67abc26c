"""One GET over HTTP: to the URL that was asked for and nowhere else, bounded in bytes.

Laws: no redirect, proxy, cookie, decompression or environment has a say; a body is read whole or
not at all; nothing of what a server says reaches a message but its status.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import (
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)

from outrider.policy.sources.origin import FetchError

_FIELDS: Final = {"Accept-Encoding": "identity", "User-Agent": "outrider"}
_HEAD_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """An answer: its fields by lower-case name, its body where the status is 200."""

    status: int
    fields: Mapping[str, str]
    body: bytes = b""


class Wire(Protocol):
    async def get(self, url: str, fields: Mapping[str, str], limit_bytes: int) -> Got:
        """Raises `FetchError`; the caller bounds the time."""


class HttpWire:
    """`Wire` over sockets. `context` verifies the server of an https URL; a connection of its own
    for each question: they are a minute apart, and each proves the server anew."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context

    async def get(self, url: str, fields: Mapping[str, str], limit_bytes: int) -> Got:
        """As the port says."""
        try:
            return await self._get(url, {**_FIELDS, **fields}, limit_bytes)
        except (ClientSSLError, ssl.SSLError):
            raise FetchError("the server's certificate is not trusted") from None
        except ClientPayloadError:
            raise FetchError("the answer was cut off") from None
        except (ClientError, OSError, ValueError):
            raise FetchError("the server could not be reached") from None

    async def _get(self, url: str, fields: Mapping[str, str], limit_bytes: int) -> Got:
        connector = TCPConnector(ssl=self._context or True, limit=1, force_close=True)
        async with (
            ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(loop=asyncio.get_running_loop()),
                timeout=ClientTimeout(total=None),
                trust_env=False,
                auto_decompress=False,
                headers=dict(fields),
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES,
            ) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            said = {name.lower(): answer.headers[name] for name in answer.headers}
            body = await _body(answer, limit_bytes) if answer.status == 200 else b""
            return Got(status=answer.status, fields=said, body=body)


async def _body(answer: ClientResponse, limit_bytes: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("the server compressed what was asked for plain")
    if answer.content_length is not None and answer.content_length > limit_bytes:
        raise FetchError(f"the answer is larger than {limit_bytes} bytes")
    data = bytearray()
    async for piece in answer.content.iter_any():
        data += piece
        if len(data) > limit_bytes:
            raise FetchError(f"the answer is larger than {limit_bytes} bytes")
    return bytes(data)
