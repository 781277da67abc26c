"""A bundle on a web server: one GET, by ETag."""

from collections.abc import Awaitable, Callable
from typing import Final

from outrider.core.secret import Secret
from outrider.policy.sources.origin import Fetched, FetchError
from outrider.policy.sources.wire import Wire

Token = Callable[[], Awaitable[Secret | None]]
"""What is shown there, read anew. Raises `ConfigError`."""

_ETAG_CHARS: Final = 1024
_ACCEPT: Final = "application/vnd.openpolicyagent.bundles, application/gzip, */*;q=0.5"


class WebOrigin:
    """`BundleOrigin` at one URL."""

    def __init__(self, *, url: str, wire: Wire, token: Token, limit_bytes: int) -> None:
        self.name: Final = url
        self._wire = wire
        self._token = token
        self._limit_bytes = limit_bytes

    async def fetch(self, etag: str) -> Fetched | None:
        """As the port says."""
        fields = {"Accept": _ACCEPT}
        if etag:
            fields["If-None-Match"] = etag
        token = await self._token()
        if token is not None:
            fields["Authorization"] = f"Bearer {token.reveal().decode('latin-1')}"
        got = await self._wire.get(self.name, fields, self._limit_bytes)
        if got.status == 304 and etag:
            return None
        if 300 <= got.status < 400 and got.status != 304:
            raise FetchError(f"the server sends us elsewhere ({got.status}), which is not followed")
        if got.status != 200:
            raise FetchError(f"the server answered {got.status}")
        return Fetched(content=got.body, etag=tag_of(got.fields.get("etag", "")))


def tag_of(said: str) -> str:
    """An ETag that can be sent back, or none."""
    fits = len(said) <= _ETAG_CHARS and said.isascii() and said.isprintable()
    return said if fits else ""
