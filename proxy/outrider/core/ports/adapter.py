"""An adapter and what it is given: a route, the body that it needs, the exchange that came in."""

from dataclasses import dataclass
from typing import Protocol

from outrider.core.answers import Refusal
from outrider.core.errors import MalformedError
from outrider.core.exchange import BodySource, Headers, RequestHead, TraceContext
from outrider.core.jsonvalue import Json
from outrider.core.manifest import Manifest
from outrider.core.ports.conversation import Conversation
from outrider.core.strict_json import JsonLimits, read
from outrider.core.subject import Subject
from outrider.core.vocabulary import ProtocolName


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an exchange goes: an upstream, the adapter that reads it, and the path rules.

    `prefix` is stripped from the request path and `base_path` put before the rest. `options` are
    the adapter's own settings for the route, checked when the settings were loaded.
    """

    name: str
    upstream: str
    protocol: ProtocolName
    prefix: str
    host: str | None
    base_path: str
    options: object


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyNeed:
    """What an adapter needs of the body: `judged` is read whole up to `limit_bytes`. With `json`
    a large one is parsed piece by piece beforehand, so that the loop keeps its turn."""

    judged: bool
    limit_bytes: int
    json: JsonLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body that was parsed already, by the strict reader; `fault` is why it took none."""

    value: Json
    fault: MalformedError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal in a protocol's own words, ready to send."""

    status: int
    headers: Headers
    body: bytes


class Adapter(Protocol):
    """Turns one protocol's exchange into asks, and a refusal into that protocol's own words."""

    @property
    def protocol(self) -> ProtocolName: ...

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        """What of the body must be read. Raises `EnforcementError` for a head that cannot be."""

    def parse(self, inbound: "Inbound") -> Conversation:
        """Raises `EnforcementError` alone. A faulted parse may still know a JSON-RPC id: it then
        raises `ConversationError`, which carries what `refuse` needs."""

    def refuse(
        self, refusal: Refusal, head: RequestHead, conversation: Conversation | None, begun: bool
    ) -> Refused:
        """The refusal's bytes. With `begun` an event stream has started: only `body` is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """What an adapter parses: `body` is None where the route is opaque or none was read; then
    `source` may be handed on to the upstream unread."""

    head: RequestHead
    body: bytes | None
    route: Route
    subject: Subject
    manifest: Manifest
    document: Document | None = None
    source: BodySource
    trace: TraceContext

    def json(self, limits: JsonLimits) -> Json:
        """The body as JSON, strictly read. Raises `MalformedError`."""
        if self.document is not None:
            if self.document.fault is not None:
                raise self.document.fault
            return self.document.value
        return read(self.body or b"", limits)
