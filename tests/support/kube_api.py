"""A Kubernetes API server as far as the injector asks it: three objects, versions, patches, TLS.

`Cluster` is the store, usable as the client's own port; `KubeServer` puts it behind HTTPS.
"""

import asyncio
import copy
import ssl
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final, Self

import orjson
from aiohttp import web

from outrider.core.clock import SystemClock
from outrider.core.jsonvalue import JsonObject
from outrider.injector.kube import ConflictError, KubeError, Patch
from outrider.injector.self_signed import Objects
from tests.support.tls import Authority, an_authority

OBJECTS: Final = Objects.named(
    namespace="outrider-system",
    lease="outrider-injector",
    secret="outrider-injector-tls",
    configuration="outrider-injector",
)
TOKEN: Final = "a-projected-token"
ENTRIES: Final = ("namespace.outrider.dev", "pod.outrider.dev", "unlabelled.outrider.dev")


def rendered() -> dict[str, Any]:
    """The objects as the chart renders them: empty."""
    return {
        OBJECTS.lease: {"kind": "Lease", "metadata": {"name": "outrider-injector"}, "spec": {}},
        OBJECTS.secret: {"kind": "Secret", "metadata": {"name": "outrider-injector-tls"}},
        OBJECTS.configuration: {
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "outrider-injector"},
            "webhooks": [
                {"name": name, "clientConfig": {"service": {"name": "outrider-injector"}}}
                for name in ENTRIES
            ],
        },
    }


@dataclass(slots=True)
class Cluster:
    """Named objects whose version moves with each change."""

    objects: dict[str, Any] = field(default_factory=rendered)
    ahead_s: float = 0.0
    """What the client is told of the API server's clock."""
    refuses: dict[str, int] = field(default_factory=dict)
    """Path -> the status that every call to it is answered with."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    _version: int = 100

    def __post_init__(self) -> None:
        for found in self.objects.values():
            self._stamp(found)

    async def get(self, path: str) -> JsonObject:
        await asyncio.sleep(0)
        return self.read(path)

    async def patch(self, path: str, change: JsonObject, kind: Patch) -> JsonObject:
        await asyncio.sleep(0)
        return self.change(path, change, kind.value)

    def read(self, path: str) -> JsonObject:
        self._note("GET", path)
        found: JsonObject = copy.deepcopy(self.objects[path])
        return found

    def change(self, path: str, change: Any, kind: str) -> JsonObject:
        self._note("PATCH", path)
        found = self.objects[path]
        version = change.get("metadata", {}).get("resourceVersion")
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise ConflictError("the object was changed meanwhile", status=409)
        if kind == Patch.STRATEGIC.value:
            change = _by_name(found, change)
        merged = _merged(found, change)
        if merged != found:
            self.objects[path] = merged
            self._stamp(merged)
        return copy.deepcopy(self.objects[path])

    def touch(self, path: str, **fields: Any) -> None:
        """Somebody else changes the object."""
        self.objects[path] |= fields
        self._stamp(self.objects[path])

    def bundles(self) -> list[str | None]:
        """The CA bundle of each webhook entry, as it stands there."""
        entries = self.objects[OBJECTS.configuration]["webhooks"]
        return [entry["clientConfig"].get("caBundle") for entry in entries]

    @property
    def data(self) -> dict[str, str]:
        """What the Secret holds."""
        return dict(self.objects[OBJECTS.secret].get("data") or {})

    @property
    def holder(self) -> str:
        return str(self.objects[OBJECTS.lease]["spec"].get("holderIdentity", ""))

    def _note(self, method: str, path: str) -> None:
        self.calls.append((method, path))
        if self.down:
            raise KubeError("the API server cannot be reached: ClientConnectorError")
        status = self.refuses.get(path) or (404 if path not in self.objects else None)
        if status is not None:
            raise KubeError(f"the API server answered {status}", status=status)

    def _stamp(self, found: Any) -> None:
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)


def _merged(found: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    merged = dict(found) if isinstance(found, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _by_name(found: Any, change: Any) -> Any:
    """A strategic merge patch whose only list is `webhooks`, merged by name."""
    changes = {entry["name"]: entry for entry in change.get("webhooks", [])}
    return change | {
        "webhooks": [_merged(entry, changes.get(entry["name"], {})) for entry in found["webhooks"]]
    }


@dataclass(slots=True)
class KubeServer:
    """`cluster` over HTTPS on loopback, and the service account's folder of a pod in `room`."""

    room: Path
    cluster: Cluster = field(default_factory=Cluster)
    authority: Authority = field(default_factory=an_authority)
    skew_s: float = 0.0
    """By how much its clock, as its `Date` tells it, is ahead of the machine's."""
    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    """Tokens that are accepted."""
    slow_s: float = 0.0
    agents: list[str] = field(default_factory=list)
    _runner: web.ServerRunner | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def account(self) -> Path:
        return self.room / "serviceaccount"

    def write_account(self, token: str = TOKEN) -> None:
        self.account.mkdir(exist_ok=True)
        (self.account / "token").write_text(token)
        (self.account / "ca.crt").write_bytes(self.authority.pem)

    async def __aenter__(self) -> Self:
        self.write_account()
        context: ssl.SSLContext = self.authority.issue("127.0.0.1").server()
        self._runner = web.ServerRunner(web.Server(self._serve))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(self.slow_s)
        date = formatdate(SystemClock().unix_s() + self.skew_s, usegmt=True)
        status, body = self._answer(request.method, request.path, request, await request.read())
        return web.Response(
            status=status,
            body=orjson.dumps(body),
            headers={"content-type": "application/json", "date": date},
        )

    def _answer(
        self, method: str, path: str, request: web.BaseRequest, body: bytes
    ) -> tuple[int, JsonObject]:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"kind": "Status"}
        try:
            if method == "GET":
                return 200, self.cluster.read(path)
            kind = request.headers.get("content-type", "")
            return 200, self.cluster.change(path, orjson.loads(body), kind)
        except KubeError as fault:
            return fault.status or 503, {"kind": "Status"}
