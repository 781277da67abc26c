"""Plain HTTP and REST: declared operations in, the same request built again out (PROTOCOLS §7).

Laws: only an operation the manifest declares is known; everything that changes what the upstream
does stands in the arguments or the resource; what leaves is our own serialisation of those.

The arguments are one flat map, as a policy author names them: the values of `{name}` in the path,
the query parameters (a repeated one is a list) and the members of a JSON object or a form. A JSON
body that is no object stands under `body`. A header field that could ask for something (such as
one that names whom to act for) stands under `header.` and its name, which nothing else may have.
A name that comes from two of them is refused, and so is such a field that comes twice.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import orjson

from outrider.config.upstream_settings import HttpOptions
from outrider.core.action import Ask
from outrider.core.answers import Refusal
from outrider.core.catalogue import UpstreamEntry
from outrider.core.errors import MalformedError, UnrecognisedError
from outrider.core.exchange import Headers, Outgoing, RequestHead, ResponseHead
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import BodyNeed, Conversation, Edits, Inbound, Refused, Route, Watcher
from outrider.core.strict_json import REQUEST_LIMITS, RESPONSE_LIMITS, JsonLimits
from outrider.core.vocabulary import BodyKind, ProtocolName, ResourceType
from outrider.protocols.operations import Matched, Operations
from outrider.protocols.wire.answers import BufferedJson, PassThrough, check_location, homeward
from outrider.protocols.wire.forms import Pairs, gathered, parse_form, parse_pairs, write_pairs
from outrider.protocols.wire.headers import (
    FORM,
    JSON,
    OUR_NAME,
    media_type,
    sendable,
    telling,
    without,
)
from outrider.protocols.wire.problem import problem
from outrider.protocols.wire.taught import headed, is_guardable, taught

_BODY: Final = "body"
_FIELD: Final = "header."
_OVERRIDE: Final = "_method"
_UNREAD: Final = (
    "a body of a type that is not read here; give application/json or "
    "application/x-www-form-urlencoded, in UTF-8, or have the operation say opaque: true in the "
    "manifest, so that it passes unread"
)
_OF_THE_BODY: Final = ("content-type", "content-encoding")
_OF_A_PART: Final = ("range", "if-range")  # a part cannot be read by its fields
_OF_ANOTHER_FORM: Final = ("accept", "accept-charset")
_BODILESS: Final = frozenset({204, 205, 304})
# Members of enums are looked up on every access (Python 3.11), so hot ones are bound once.
_HTTP: Final = ProtocolName.HTTP
_API: Final = ResourceType.API
_JUDGED: Final = BodyKind.JUDGED
_OPAQUE: Final = BodyKind.OPAQUE


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Bounds in bytes and in JSON's own terms (HARDENING §6, PROTOCOLS §2)."""

    body_bytes: int = 1 << 20
    opaque_bytes: int = 64 << 20
    response_bytes: int = 8 << 20
    request: JsonLimits = REQUEST_LIMITS
    response: JsonLimits = RESPONSE_LIMITS


class HttpAdapter:
    """`core.ports.Adapter` for plain HTTP. Keeps one trie for each upstream's current entry."""

    protocol: Final = ProtocolName.HTTP

    def __init__(self, *, limits: HttpLimits) -> None:
        self._limits = limits
        self._tries: dict[str, tuple[UpstreamEntry, Operations]] = {}

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        """JSON and forms are read whole; of anything else nothing is read (PROTOCOLS §7)."""
        readable = _readable(head) if head.has_body else None
        return BodyNeed(
            judged=readable is not None and _options(route).body == "judged",
            limit_bytes=self._limits.body_bytes,
            json=self._limits.request if readable == JSON else None,
        )

    def parse(self, inbound: Inbound) -> Conversation:
        head, options = inbound.head, _options(inbound.route)
        found = self._operations(inbound).match(
            head.method, _below(head.path, inbound.route), encoded_slash=options.encoded_slash
        )
        query = parse_pairs(head.query)
        body = self._body(inbound, found)
        arguments = _merged(
            dict(found.values),
            gathered(query, found.operation.entry.array_fields, repeats=True),
            body.members,
        )
        arguments.update(_fields(head))
        ask = Ask(
            protocol=_HTTP,
            name=found.operation.name,
            resource_type=_API,
            upstream=inbound.route.upstream,
            resource=found.operation.name,
            arguments=arguments,
            body=body.kind,
            operation=found.operation.key,
        )
        return HttpConversation(
            ask=ask,
            inbound=inbound,
            path=inbound.route.base_path.rstrip("/") + found.path,
            query=query,
            body=body,
            limits=self._limits,
            guarded=found.operation.entry.guarded,
        )

    def refuse(
        self, refusal: Refusal, head: RequestHead, conversation: Conversation | None, begun: bool
    ) -> Refused:
        """Problem details. Once an answer has begun there are no words: it is cut."""
        if begun:
            return Refused(status=refusal.answer.http, headers=(), body=b"")
        return problem(refusal)

    def _operations(self, inbound: Inbound) -> Operations:
        name = inbound.route.upstream
        entry = inbound.manifest.upstreams.get(name)
        if entry is None:
            raise UnrecognisedError("the manifest does not name this upstream", cause="operation")
        known = self._tries.get(name)
        if known is None or known[0] is not entry:
            known = self._tries[name] = (entry, Operations(entry.operations))
        return known[1]

    def _body(self, inbound: Inbound, found: Matched) -> "_Body":
        head, data = inbound.head, inbound.body
        if not head.has_body:
            return _Body(kind=BodyKind.NONE)
        readable = _readable(head)
        if data is None or readable is None:
            if _options(inbound.route).body != "opaque" and not found.operation.entry.opaque:
                raise MalformedError(_UNREAD, cause="media_type", status=415)
            return _Body(kind=_OPAQUE)
        if readable == FORM:
            pairs = parse_form(data)
            arrays = found.operation.entry.array_fields
            form = gathered(pairs, arrays, repeats=False)
            sent = write_pairs(pairs).encode()
            return _Body(kind=_JUDGED, members=form, data=sent, type=FORM)
        if not data:
            return _Body(kind=BodyKind.NONE)
        value = inbound.json(self._limits.request)
        members: JsonObject = value if isinstance(value, dict) else {_BODY: value}
        return _Body(kind=_JUDGED, members=members, data=orjson.dumps(value), type=JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """A request's body as judged: `data` is our own serialisation, None for what is not read."""

    kind: BodyKind
    members: JsonObject | None = None
    data: bytes = b""
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConversation:
    """One request and its answer. `core.ports.Conversation`.

    `guarded`: the manifest says that fields of the answer are, so it must be read by its fields.
    """

    ask: Ask
    inbound: Inbound
    path: str
    query: Pairs
    body: _Body
    limits: HttpLimits
    guarded: bool = False

    @property
    def asks(self) -> tuple[Ask, ...]:
        return (self.ask,)

    @property
    def task_name(self) -> str | None:
        return None

    @property
    def runs_on(self) -> bool:
        return False

    def outgoing(self, edits: Edits) -> Outgoing:
        """The request that leaves, rebuilt from what was judged."""
        target = self.path + ("?" + write_pairs(self.query) if self.query else "")
        return Outgoing(
            method=self.inbound.head.method,
            target=target,
            headers=self._headers(edits),
            body=self._data(),
        )

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher:
        """Raises `ObligationError` for an answer in which nothing can be redacted or counted."""
        authority = self.inbound.manifest.hosts.get(self.ask.upstream)
        if self._reads_answer:
            check_location(head, authority)
        route = self.inbound.route
        head = homeward(head, authority, route.base_path.rstrip("/"), route.prefix)
        if self.inbound.head.method == "HEAD" or head.status in _BODILESS:
            return headed(PassThrough(head, 0, empty=True), head)
        limit = edits.response_bytes or self.limits.response_bytes
        limit = min(limit, self.limits.response_bytes)
        if edits.redactions:
            buffered = BufferedJson(
                head, edits.redactions, limit, self.limits.response, records=edits.records
            )
            return headed(buffered, head)
        guarded = self._reads_answer and self.guarded and is_guardable(head)
        watcher = taught(
            head,
            judged=self._reads_answer,
            limit_bytes=limit if guarded else edits.response_bytes or self.limits.opaque_bytes,
            limits=self.limits.response,
            records=edits.records,
            guarded=guarded,
        )
        return headed(watcher, head)

    @property
    def _reads_answer(self) -> bool:
        return _options(self.inbound.route).body == "judged"

    def _headers(self, edits: Edits) -> Headers:
        """What the agent sent, fit to leave, then what obligations set, then ours."""
        replaced = [name for name, _ in edits.headers]
        if self.body.kind is not _OPAQUE:
            replaced += _OF_THE_BODY
        if edits.redactions or self._reads_answer:
            replaced += _OF_A_PART
        if self.guarded and self._reads_answer:
            replaced += _OF_ANOTHER_FORM
        kept = without(sendable(self.inbound.head), *replaced)
        if (
            self.body.kind is _OPAQUE
            and (length := self.inbound.head.header("content-length")) is not None
        ):
            kept = (*kept, ("content-length", length))  # the pool holds the stream to it
        if self.body.type is not None:
            kept = (*kept, ("content-type", self.body.type))
        if self.guarded and self._reads_answer:
            kept = (*kept, ("accept", JSON))
        trace = self.inbound.trace
        ours: Headers = (
            OUR_NAME,
            ("accept-encoding", "identity"),
            ("traceparent", trace.onward),
        )
        if trace.state is not None:
            ours = (*ours, ("tracestate", trace.state))
        return (*kept, *edits.headers, *ours)

    def _data(self) -> bytes | AsyncIterator[bytes]:
        if self.body.kind is _OPAQUE:
            return self.inbound.source.stream(self.limits.opaque_bytes)
        return self.body.data


def _options(route: Route) -> HttpOptions:
    if not isinstance(route.options, HttpOptions):
        raise TypeError("an http route carries HttpOptions")
    return route.options


def _readable(head: RequestHead) -> str | None:
    """The type of a body that is read whole, or None for one that only passes."""
    found = media_type(head.header("content-type"))
    if found is None or found.name not in {JSON, FORM} or not found.plain:
        return None
    return found.name


def _below(path: str, route: Route) -> str:
    """`path` below the route's prefix."""
    return path.removeprefix(route.prefix) or "/"


def _fields(head: RequestHead) -> JsonObject:
    return {_FIELD + name: value for name, value in telling(head).items()}


def _merged(*parts: JsonObject | None) -> JsonObject:
    """One map of all arguments. Raises `MalformedError` for a name in two of them, or one that
    only a header field may have."""
    merged: dict[str, Json] = {}
    for part in parts:
        for name, value in (part or {}).items():
            if name in merged:
                raise MalformedError("an argument stands in two places", cause="argument_clash")
            folded = name.casefold()
            if folded.startswith(_FIELD):
                raise MalformedError("an argument is called as a header", cause="argument_clash")
            if folded == _OVERRIDE:
                raise MalformedError("a parameter that overrides the method", cause="override")
            merged[name] = value
    return merged
