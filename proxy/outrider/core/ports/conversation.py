"""One exchange as its adapter read it, and what some protocols' exchanges can do besides."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from outrider.core.action import Ask
from outrider.core.exchange import Headers, Outgoing, ResponseHead, TraceContext
from outrider.core.obligation import RedactObligation
from outrider.core.ports.watcher import Watcher
from outrider.core.spans import Rpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What obligations change: on the way out headers, on the way back redactions and bounds.

    `lifetime_s`: how long what an answer shows stays granted; None where no end is known.
    """

    headers: Headers = ()
    redactions: tuple[RedactObligation, ...] = ()
    response_bytes: int | None = None
    records: int | None = None
    lifetime_s: float | None = None


class Conversation(Protocol):
    """One exchange as its adapter read it: what is asked, how it leaves, how it is answered."""

    @property
    def asks(self) -> tuple[Ask, ...]: ...

    @property
    def task_name(self) -> str | None:
        """The task the message itself names, unverified."""

    @property
    def runs_on(self) -> bool:
        """True where a caller that leaves does not cancel (legacy MCP)."""

    def outgoing(self, edits: Edits) -> Outgoing:
        """The request that leaves, rebuilt from the judged value."""

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher: ...


class OptionalAsks(Protocol):
    """A conversation that offers abilities which policy may take out before it leaves.

    MCP: the capabilities by which a server could ask the agent for sampling, roots, elicitation.
    """

    def optional_asks(self) -> tuple[Ask, ...]: ...

    def allow_optional(self, verdicts: tuple[bool, ...]) -> None:
        """One verdict for each optional ask; what is not allowed does not leave."""


class Prelude(Protocol):
    """A conversation that needs another first (PROTOCOLS §4.5: the sidecar lists before a call)."""

    def prelude(self) -> Conversation | None:
        """The next conversation the sidecar must hold itself, or None once enough is known."""


class Traced(Protocol):
    """A conversation whose message may carry a trace context of its own (SEP-414)."""

    def carried_trace(self) -> tuple[str | None, str | None] | None:
        """`traceparent` and `tracestate` as they stand in it, unread; None without."""

    def join(self, trace: TraceContext) -> None:
        """What leaves carries this one's."""

    def rpc(self) -> Rpc:
        """What its spans tell of it, as far as it has come."""


def traced_of(conversation: Conversation) -> Traced | None:
    """`conversation` as one that may carry a trace, if it is."""
    return cast("Traced", conversation) if hasattr(conversation, "carried_trace") else None


def optional_of(conversation: Conversation) -> OptionalAsks | None:
    """`conversation` as one that offers less, if it is. (A runtime-checked protocol costs 8 µs.)"""
    return cast("OptionalAsks", conversation) if hasattr(conversation, "optional_asks") else None


def prelude_of(conversation: Conversation) -> Callable[[], Conversation | None] | None:
    """How `conversation` asks for another first, if it does."""
    found: Callable[[], Conversation | None] | None = getattr(conversation, "prelude", None)
    return found


def waiting_of(conversation: Conversation) -> object | None:
    """The one conversation that waits for what is asked within the answer of another; None where
    there is none or more than one. (MCP: a call whose server asks on the session's own stream.)"""
    found: Callable[[], object | None] | None = getattr(conversation, "waiting", None)
    return found() if found is not None else None
