"""How an issuer's documents are fetched: https to the URL that was asked for, and nothing else.

No redirect, proxy, cookie or environment has a say; size and time are bounded.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import (
    ClientError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)

from outrider.config.identity_settings import OidcIssuer
from outrider.core.errors import ConfigError
from outrider.identity.issuer_keys import ATTEMPT_S, DOCUMENT_BYTES, Fetch, FetchError

_TIMES: Final = ClientTimeout(total=ATTEMPT_S / 2, connect=ATTEMPT_S / 4)
_FIELDS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "outrider",
}


def fetchers_of(
    issuers: Mapping[str, OidcIssuer], path: Callable[[str], Path]
) -> Mapping[str, Fetch]:
    """One for each issuer, by its name. `path` makes paths of settings absolute. Blocking: it reads
    the CAs. Raises `ConfigError`."""
    return {name: HttpsFetcher(_trusting(name, issuer, path)) for name, issuer in issuers.items()}


def _trusting(name: str, issuer: OidcIssuer, path: Callable[[str], Path]) -> ssl.SSLContext:
    file = None if issuer.ca_file is None else path(issuer.ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # bare: the environment names no key log
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    try:
        if file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=file)
    except (OSError, ValueError) as fault:
        raise ConfigError(
            f"identity.oidc.{name}.ca_file is {issuer.ca_file!r}; give a PEM file of CA "
            "certificates"
        ) from fault
    return context


class HttpsFetcher:
    """`issuer_keys.Fetch`. A connection of its own for each document: they are minutes apart."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def __call__(self, url: str) -> bytes:
        if not url.startswith("https://"):
            raise FetchError("not https")
        try:
            return await self._get(url)
        except (ClientSSLError, ssl.SSLError):
            raise FetchError("the issuer's certificate is not trusted") from None
        except (ClientError, OSError, ValueError):
            raise FetchError("the issuer could not be reached") from None

    async def _get(self, url: str) -> bytes:
        connector = TCPConnector(ssl=self._context, limit=1, force_close=True)
        async with (
            ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(loop=asyncio.get_running_loop()),
                timeout=_TIMES,
                trust_env=False,
                auto_decompress=False,
                headers=_FIELDS,
            ) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise FetchError(f"the issuer answered {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise FetchError("the issuer compressed what was asked for plain")
            data = bytearray()
            async for piece in answer.content.iter_any():
                data += piece
                if len(data) > DOCUMENT_BYTES:
                    raise FetchError(f"the document is larger than {DOCUMENT_BYTES} bytes")
            return bytes(data)
