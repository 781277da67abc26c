"""A legacy session's own exchanges: its stream (GET) and its end (DELETE)."""

from dataclasses import replace
from typing import Final

from outrider.core.action import Ask
from outrider.core.errors import UpstreamFailedError
from outrider.core.exchange import Headers, Outgoing, ResponseHead
from outrider.core.ports import Edits, Inbound, Watcher
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.answers import Answering
from outrider.protocols.adapters.mcp.asks import plumbing
from outrider.protocols.adapters.mcp.conversation import (
    Call,
    legacy_fields,
    spoken_by,
    target_of,
    watcher_for,
)
from outrider.protocols.adapters.mcp.headers import media_type
from outrider.protocols.adapters.mcp.turn import Desk, Envelope, Turn
from outrider.protocols.adapters.mcp.watchers import EmptyWatcher, LostWatcher, SseWatcher

_STREAM_FIELDS: Final[Headers] = (("accept", spec.SSE), ("accept-encoding", "identity"))


class Stream:
    """A legacy GET: the session's own stream, or one that is resumed."""

    __slots__ = ("_answering", "_desk", "envelope", "head", "target", "trace", "turn")

    def __init__(
        self, *, turn: Turn, desk: Desk, inbound: Inbound, resumed: Answering | None
    ) -> None:
        self.turn = turn
        self.head = inbound.head
        self.trace = inbound.trace
        self.target = target_of(inbound.head, turn.route) or "/"
        self.envelope = Envelope(era=turn.era, kind=turn.kind, id=None, method="GET")
        self._desk = desk
        self._answering = resumed

    @property
    def asks(self) -> tuple[Ask, ...]:
        """A stream that is resumed brings what was asked for when it began."""
        answers = None if self._answering is None else self._answering.asked
        return (replace(plumbing(self.turn, "GET"), answers=answers),)

    def waiting(self) -> Call | None:
        """The session's call that waits while its server asks here, if it can be only one."""
        under_way = self.turn.scope.under_way()
        calls = [
            one
            for one in under_way
            if isinstance(one, Call) and one.turn.method in spec.INPUT_METHODS
        ]
        return calls[0] if len(calls) == 1 else None

    @property
    def task_name(self) -> str | None:
        return None

    @property
    def runs_on(self) -> bool:
        return False

    def outgoing(self, edits: Edits) -> Outgoing:
        fields = [*_STREAM_FIELDS, *spoken_by(self.trace), *legacy_fields(self.turn)]
        last = self.head.header("last-event-id")
        if last is not None:
            fields.append(("last-event-id", last))
        return Outgoing(method="GET", target=self.target, headers=tuple(fields), body=b"")

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher:
        if head.status == 405:
            return EmptyWatcher(status=405, headers=(("allow", "POST, DELETE"),))
        if self._answering is None:
            own = Answering(turn=self.turn, desk=self._desk, edits=edits)
            return watcher_for(own, head)
        if (steps := self._answering.lost(head)) is not None:
            return LostWatcher(steps)
        self._answering.head_came(head)
        if head.status != 200 or media_type(head.header("content-type") or "")[0] != spec.SSE:
            raise UpstreamFailedError("the upstream did not resume the stream")
        return SseWatcher(self._answering, resumable=True)


class SessionEnd:
    """A legacy DELETE: the session ends here and at the upstream."""

    __slots__ = ("_desk", "envelope", "head", "target", "trace", "turn")

    def __init__(self, *, turn: Turn, desk: Desk, inbound: Inbound) -> None:
        self.turn = turn
        self.head = inbound.head
        self.trace = inbound.trace
        self.target = target_of(inbound.head, turn.route) or "/"
        self.envelope = Envelope(era=turn.era, kind=turn.kind, id=None, method="DELETE")
        self._desk = desk

    @property
    def asks(self) -> tuple[Ask, ...]:
        return (plumbing(self.turn, "DELETE"),)

    @property
    def task_name(self) -> str | None:
        return None

    @property
    def runs_on(self) -> bool:
        return True

    def outgoing(self, edits: Edits) -> Outgoing:
        fields = (*spoken_by(self.trace), *legacy_fields(self.turn))
        return Outgoing(method="DELETE", target=self.target, headers=fields, body=b"")

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher:
        if head.status == 405:
            return EmptyWatcher(status=405, headers=(("allow", "GET, POST"),))
        if head.status >= 500:
            raise UpstreamFailedError("the upstream did not end the session")
        session = self.turn.session
        steps = self._desk.sessions.end(session.key) if session is not None else []
        status = head.status if head.status in {200, 202, 204, 404} else 200
        return EmptyWatcher(status=status, headers=(), steps=steps)
