"""A live MCP server, asked once for its tools from a terminal.

Laws: it is asked and nothing is called; an answer is bounded and awaited for a bounded time; what
it says is data. Both wires: one that describes itself in each request, and one with a session.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import orjson

from outrider import __version__
from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError, UpstreamFailedError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.protocols.adapters.mcp.names import is_name
from outrider.protocols.adapters.mcp.spec import (
    JSON,
    LEGACY_VERSIONS,
    META_CAPABILITIES,
    META_CLIENT,
    META_VERSION,
    MODERN_VERSIONS,
    SSE,
)
from outrider.protocols.wire.sse import Event, SseReader

TIMEOUT_S: Final = 15.0
MOST_PAGES: Final = 100
MOST_TOOLS: Final = 5000
ANSWER_BYTES: Final = 16 << 20
_PIECE: Final = 65_536
_LIMITS: Final = strict_json.JsonLimits(depth=64, nodes=500_000)
_CLIENT: Final[JsonObject] = {"name": "outrider", "version": __version__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a server lists. `unusable` counts tools without a name that can be called."""

    version: str
    tools: tuple[JsonObject, ...]
    unusable: int

    @property
    def is_modern(self) -> bool:
        return self.version in MODERN_VERSIONS


@dataclass(slots=True, kw_only=True)
class _Wire:
    """The way to one endpoint: `fields` go with every request from then on."""

    place: SplitResult
    tls: ssl.SSLContext | None
    fields: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    def ask(self, method: str, params: JsonObject, **fields: str) -> JsonObject:
        """The answer to one request. Raises `ConfigError` in words for whoever typed the URL."""
        self.asked += 1
        message: JsonObject = {
            "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params,
        }  # fmt: skip
        return self._result(self._send(message, fields), method)

    def tell(self, method: str) -> None:
        self._send({"jsonrpc": "2.0", "method": method}, {})

    def _send(self, message: JsonObject, fields: dict[str, str]) -> JsonObject:
        spelt = {name.replace("_", "-"): value for name, value in fields.items()}
        sent = {"content-type": JSON, "accept": f"{JSON}, {SSE}", **self.fields, **spelt}
        target = (self.place.path or "/") + (f"?{self.place.query}" if self.place.query else "")
        with closing(self._connection()) as connection:
            try:
                connection.request("POST", target, body=orjson.dumps(message), headers=sent)
                answer = connection.getresponse()
                return self._read(answer, message)
            except (OSError, http.client.HTTPException) as fault:
                where = self.place.geturl()
                raise ConfigError(f"{where}: cannot be asked: {fault}") from fault

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.place.hostname or "", self.place.port
        if self.place.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def _read(self, answer: http.client.HTTPResponse, message: JsonObject) -> JsonObject:
        session = answer.getheader("mcp-session-id")
        if session is not None:
            self.fields["mcp-session-id"] = session
        kind = (answer.getheader("content-type") or "").partition(";")[0].strip().lower()
        if kind == SSE:
            return self._event(answer, message.get("id"))
        content = answer.read(ANSWER_BYTES + 1)
        found = self._json(content) if content and kind == JSON else {}
        if answer.status >= 400 and "error" not in found:
            found = {"error": {"message": f"it answers {answer.status}"}}
        return found

    def _event(self, answer: http.client.HTTPResponse, id_: Json) -> JsonObject:
        """The response among the events of a stream; whatever else it says is passed over."""
        reader, read = SseReader(event_bytes=ANSWER_BYTES), 0
        while piece := answer.read1(_PIECE):
            read += len(piece)
            if read > ANSWER_BYTES:
                break
            try:
                events = [one for one in reader.feed(piece) if isinstance(one, Event)]
            except UpstreamFailedError as fault:
                raise ConfigError(f"{self.place.geturl()}: {fault.detail}") from fault
            for event in events:
                found = self._json((event.data or "{}").encode())
                if found.get("id") == id_ and "method" not in found:
                    return found
        raise ConfigError(f"{self.place.geturl()}: its stream ended without an answer")

    def _json(self, content: bytes) -> JsonObject:
        if len(content) > ANSWER_BYTES:
            raise ConfigError(f"{self.place.geturl()}: answers more than {ANSWER_BYTES} bytes")
        try:
            return as_object(strict_json.read(content, _LIMITS))
        except MalformedError as fault:
            raise ConfigError(
                f"{self.place.geturl()}: not usable as JSON: {fault.detail}"
            ) from fault

    def _result(self, found: JsonObject, method: str) -> JsonObject:
        if "error" in found or not isinstance(found.get("result"), dict):
            said = str(as_object(found.get("error")).get("message") or "it gives no result")
            raise RefusedError(f"{self.place.geturl()}: {method}: {_short(said)}")
        return as_object(found["result"])


class RefusedError(ConfigError):
    """The server answered, and not with a result."""


def _short(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)[:200]


def list_tools(url: str, *, bearer: str | None = None, ca_file: Path | None = None) -> Listed:
    """Every tool the server at `url` lists. Blocking. Raises `ConfigError`."""
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.hostname or "@" in place.netloc:
        raise ConfigError(f"{url!r} is no URL of a server; give http(s)://host/path")
    tls = ssl.create_default_context(cafile=ca_file) if place.scheme == "https" else None
    own = {"authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        return _modern(_Wire(place=place, tls=tls, fields=dict(own)))
    except RefusedError:
        return _legacy(_Wire(place=place, tls=tls, fields=dict(own)))


def _modern(wire: _Wire) -> Listed:
    version = MODERN_VERSIONS[-1]
    meta: JsonObject = {
        META_VERSION: version,
        META_CAPABILITIES: {},
        META_CLIENT: _CLIENT,
    }
    wire.fields |= {"mcp-protocol-version": version, "mcp-method": "tools/list"}
    return _gathered(version, _pages(wire, {"_meta": meta}))


def _legacy(wire: _Wire) -> Listed:
    asked: JsonObject = {
        "protocolVersion": LEGACY_VERSIONS[-1],
        "capabilities": {},
        "clientInfo": _CLIENT,
    }
    version = str(wire.ask("initialize", asked).get("protocolVersion"))
    if version not in LEGACY_VERSIONS:
        raise ConfigError(f"{wire.place.geturl()}: it speaks {_short(version)}, which is not known")
    wire.fields["mcp-protocol-version"] = version
    wire.tell("notifications/initialized")
    return _gathered(version, _pages(wire, {}))


def _pages(wire: _Wire, params: JsonObject) -> Iterator[JsonObject]:
    cursor: Json = None
    for _ in range(MOST_PAGES):
        page = wire.ask("tools/list", params if cursor is None else {**params, "cursor": cursor})
        yield page
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str) or not cursor:
            return
    raise ConfigError(f"{wire.place.geturl()}: its list has more than {MOST_PAGES} pages")


def _gathered(version: str, pages: Iterator[JsonObject]) -> Listed:
    tools: dict[str, JsonObject] = {}
    unusable = 0
    for page in pages:
        for tool in map(as_object, as_list(page.get("tools"))):
            name = tool.get("name")
            if isinstance(name, str) and is_name(name) and name not in tools:
                tools[name] = tool
            else:
                unusable += 1
        if len(tools) > MOST_TOOLS:
            raise ConfigError(f"more than {MOST_TOOLS} tools are listed")
    return Listed(version=version, tools=tuple(tools.values()), unusable=unusable)


def is_reachable_plainly(url: str) -> bool:
    """Whether `url` may be spoken to without TLS: on this machine alone."""
    place = urlsplit(url)
    return place.scheme == "https" or place.hostname in ("localhost", "127.0.0.1", "::1")


def addresses_of(url: str) -> tuple[str, ...]:
    """The addresses the host of `url` has from here, none where it cannot be told."""
    place = urlsplit(url)
    try:
        found = socket.getaddrinfo(place.hostname, place.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
