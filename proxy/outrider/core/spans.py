"""The spans of one exchange, kept only where its trace is sampled (OPERATIONS §8).

Laws: what is kept is our own words, names of our settings and of the manifest, numbers, and the id
of a request, cut short: never an argument, a header or another text of anybody else's; an exchange
keeps so many spans and no more; closing hands the tree over once, and what had not ended by then
ends with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from outrider.core.ids import random_hex

SPANS: Final = 64
"""Spans of one exchange at most; further ones are counted and not kept."""
Value: TypeAlias = str | int | float | bool


class SpanKind(StrEnum):
    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSpan:
    """Somebody else's span, as a trace context names it."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upstream is, by its own setting."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One exchange of JSON-RPC, as its spans tell of it: `id` as the caller wrote it, `version` one
    that we know or `other`; `code` of the error that came back; whether a tool says it failed."""

    id: str | int | None
    version: str
    code: int | None = None
    tool_failed: bool = False


@dataclass(slots=True, kw_only=True)
class Span:
    """One step. Instants are monotonic seconds; `fault` is the closed word of what went wrong."""

    name: str
    kind: SpanKind
    span_id: str
    began_s: float
    tree: "Spans" = field(repr=False)
    parent_id: str | None = None
    ended_s: float | None = None
    fault: str | None = None
    attributes: dict[str, Value] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        """The context of what is asked under this span."""
        return f"00-{self.tree.trace_id}-{self.span_id}-01"

    def end(self, fault: str | None = None, attributes: Mapping[str, Value] | None = None) -> None:
        """Idempotent: what was said first stands."""
        if self.ended_s is not None:
            return
        self.ended_s = self.tree.now_s()
        self.fault = fault
        self.attributes.update(attributes or {})


@dataclass(slots=True, kw_only=True)
class Spans:
    """The tree of one exchange, on its way. `keep` takes it when it is closed."""

    trace_id: str
    root: Span = field(init=False)
    now_s: Callable[[], float]
    keep: Callable[["Spans"], None]
    focus: Callable[[str | None], None]
    """Told whose observations the next ones are, and None when they are nobody's."""
    links: list[RemoteSpan] = field(default_factory=list)
    state: str | None = None
    children: list[Span] = field(default_factory=list)
    lost: int = 0
    closed: bool = False
    _client_id: str = field(default_factory=lambda: random_hex(16))

    @classmethod
    def begun(  # noqa: PLR0913 - one keyword for each part
        cls,
        *,
        trace_id: str,
        span_id: str,
        parent_id: str | None,
        began_s: float,
        now_s: Callable[[], float],
        keep: Callable[["Spans"], None],
        focus: Callable[[str | None], None],
    ) -> "Spans":
        """A tree whose root is the exchange itself."""
        spans = cls(trace_id=trace_id, now_s=now_s, keep=keep, focus=focus)
        spans.root = Span(
            name="exchange",
            kind=SpanKind.SERVER,
            span_id=span_id,
            parent_id=parent_id,
            began_s=began_s,
            tree=spans,
        )
        return spans

    @property
    def onward(self) -> str:
        """`traceparent` of the next request to the upstream."""
        return f"00-{self.trace_id}-{self._client_id}-01"

    def begin(self, name: str) -> Span:
        """A step inside, from now on."""
        return self._child(name, SpanKind.INTERNAL, random_hex(16))

    def begin_client(self, name: str) -> Span:
        """The request to the upstream that carried `onward`; the next one has another."""
        span = self._child(name, SpanKind.CLIENT, self._client_id)
        self._client_id = random_hex(16)
        return span

    def rejoin(self, trace_id: str, parent_id: str) -> None:
        """Go under another parent; where there was one, it stays as a link."""
        if self.root.parent_id is not None:
            self.links.append(RemoteSpan(trace_id=self.trace_id, span_id=self.root.parent_id))
        self.trace_id, self.root.parent_id = trace_id, parent_id

    def close(self) -> None:
        """Hand the tree over. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for span in (self.root, *self.children):
            span.end(span.fault)
        self.keep(self)

    def _child(self, name: str, kind: SpanKind, span_id: str) -> Span:
        span = Span(
            name=name,
            kind=kind,
            span_id=span_id,
            parent_id=self.root.span_id,
            began_s=self.now_s(),
            tree=self,
        )
        if len(self.children) < SPANS:
            self.children.append(span)
        else:
            self.lost += 1
        return span
