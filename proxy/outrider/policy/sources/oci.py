"""A bundle in an OCI registry (distribution spec 1.1): manifest by tag or digest, blob by digest.

Laws: credentials go to the registry and to whom it names for tokens, never to where a blob is
redirected; what is redirected to must be listed; each digest is computed, not believed.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from outrider.core.secret import Secret
from outrider.policy.sources.oci_words import (
    MANIFEST_BYTES,
    MANIFEST_TYPES,
    TOKEN_BYTES,
    challenge_of,
    check_blob,
    layer_of,
    manifest_digest,
    token_of,
)
from outrider.policy.sources.origin import Fetched, FetchError
from outrider.policy.sources.wire import Got, Wire

_ACCEPT: Final = ", ".join(MANIFEST_TYPES)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A repository: `origin` is `http(s)://host[:port]`; blobs may come from `redirect_hosts`."""

    name: str
    origin: str
    repository: str
    reference: str
    redirect_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What is shown to a registry: a `token` as it is, or a user with a password."""

    token: Secret | None = None
    username: str = ""
    password: Secret | None = None

    def basic(self) -> str | None:
        if self.password is None:
            return None
        pair = self.username.encode() + b":" + self.password.reveal()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


class OciOrigin:
    """`BundleOrigin` in one repository. `login` is read anew for each attempt."""

    def __init__(
        self,
        *,
        registry: Registry,
        wire: Wire,
        login: Callable[[], Awaitable[Login]],
        limit_bytes: int,
    ) -> None:
        self._registry = registry
        self._wire = wire
        self._login = login
        self._limit_bytes = limit_bytes
        self.name: Final = registry.name

    async def fetch(self, etag: str) -> Fetched | None:
        """As the port says."""
        registry = self._registry
        ask = _Asking(registry, self._wire, await self._login())
        fields = {"Accept": _ACCEPT}
        if etag:
            fields["If-None-Match"] = f'"{etag}"'
        got = await ask.get(f"manifests/{registry.reference}", fields, MANIFEST_BYTES)
        if got.status == 304 and etag:
            return None
        _refuse_unless_200(got)
        digest = manifest_digest(got.body, registry.reference, got.fields)
        if digest == etag:
            return None
        layer = layer_of(got.body, self._limit_bytes)
        blob = await ask.get(f"blobs/{layer.digest}", {}, layer.size)
        if blob.status in _REDIRECTS:
            blob = await self._redirected(blob.fields.get("location", ""), layer.size)
        _refuse_unless_200(blob)
        check_blob(blob.body, layer)
        return Fetched(content=blob.body, etag=digest)

    async def _redirected(self, location: str, limit_bytes: int) -> Got:
        try:
            parts = urlsplit(location)
            port = parts.port
        except ValueError:
            raise FetchError("the registry sends us nowhere for its blob") from None
        host = parts.hostname or ""
        named = {host, f"{host}:{port or 443}"} if port in (None, 443) else {f"{host}:{port}"}
        allowed = named & self._registry.redirect_hosts
        if parts.scheme != "https" or parts.username is not None or not allowed:
            raise FetchError(
                "the registry sends us elsewhere for its blob; policy.bundle.redirect_hosts lists "
                "where that may be"
            )
        return await self._wire.get(location, {}, limit_bytes)


class _Asking:
    """One attempt: what its first question learnt of credentials serves those after it."""

    def __init__(self, registry: Registry, wire: Wire, login: Login) -> None:
        self._registry = registry
        self._wire = wire
        self._login = login
        self._shown = _bearer(login.token.reveal().decode("latin-1")) if login.token else None

    async def get(self, what: str, fields: Mapping[str, str], limit_bytes: int) -> Got:
        url = f"{self._registry.origin}/v2/{self._registry.repository}/{what}"
        got = await self._wire.get(url, self._with(fields), limit_bytes)
        if got.status != 401 or self._shown is not None:
            return got
        self._shown = await self._answered(got.fields.get("www-authenticate", ""))
        return await self._wire.get(url, self._with(fields), limit_bytes)

    def _with(self, fields: Mapping[str, str]) -> Mapping[str, str]:
        return fields if self._shown is None else {**fields, "Authorization": self._shown}

    async def _answered(self, said: str) -> str:
        challenge = challenge_of(said)
        basic = self._login.basic()
        if not challenge.bearer:
            if basic is None:
                raise FetchError("the registry wants a user; give policy.bundle.username")
            return basic
        registry = self._registry
        url = challenge.token_url(registry.repository, registry.origin)
        fields = {} if basic is None else {"Authorization": basic}
        got = await self._wire.get(url, fields, TOKEN_BYTES)
        if got.status != 200:
            raise FetchError(f"the registry's token server answered {got.status}")
        return _bearer(token_of(got.body))


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _refuse_unless_200(got: Got) -> None:
    if got.status != 200:
        raise FetchError(f"the registry answered {got.status}")
