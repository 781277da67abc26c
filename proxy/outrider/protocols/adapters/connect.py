"""Tunnels: bytes that nobody reads, to one host and port (PROTOCOLS §7, CONNECT).

Laws: what is judged is the host, before anything is resolved or dialled; an obligation that takes
reading, or writing into what passes, cannot be done here and so denies; what comes back counts as
untrusted text of which nothing was read.
"""

from dataclasses import dataclass
from typing import Final

from outrider.core.action import Ask
from outrider.core.answers import Refusal
from outrider.core.errors import MalformedError, ObligationError, TooLargeError
from outrider.core.exchange import Duplex, Outgoing, RequestHead, ResponseHead
from outrider.core.ports import (
    BodyNeed,
    Conversation,
    Edits,
    Emit,
    Inbound,
    Learn,
    Refused,
    Route,
    Step,
    Watcher,
    duplex_of,
)
from outrider.core.vocabulary import BodyKind, ProtocolName, ResourceType
from outrider.protocols.wire.problem import problem

_NAME: Final = "CONNECT"


class ConnectAdapter:
    """`core.ports.Adapter` for tunnels; `limit_bytes` bounds what comes back through one."""

    protocol: Final = ProtocolName.CONNECT

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        return BodyNeed(judged=False, limit_bytes=0)

    def parse(self, inbound: Inbound) -> Conversation:
        duplex = duplex_of(inbound.source)
        if duplex is None or inbound.head.method != _NAME:
            raise MalformedError("only a tunnel goes there", cause="tunnel")
        ask = Ask(
            protocol=ProtocolName.CONNECT,
            name=_NAME,
            resource_type=ResourceType.HOST,
            upstream=inbound.route.upstream,
            resource=inbound.head.host,
            arguments=None,
            body=BodyKind.OPAQUE,
        )
        return TunnelConversation(ask=ask, duplex=duplex, limit_bytes=self._limit_bytes)

    def refuse(
        self,
        refusal: Refusal,
        head: RequestHead,
        conversation: Conversation | None,
        begun: bool,
    ) -> Refused:
        """Problem details. Once a tunnel stands there are no words: it is cut."""
        if begun:
            return Refused(status=refusal.answer.http, headers=(), body=b"")
        return problem(refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConversation:
    """One tunnel. `core.ports.Conversation`."""

    ask: Ask
    duplex: Duplex
    limit_bytes: int

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
        """Raises `ObligationError` for what cannot be done to bytes that nobody reads."""
        if edits.headers or edits.redactions or edits.records is not None:
            raise ObligationError("nothing can be added to a tunnel, taken out of it or counted")
        return Outgoing(
            method=_NAME, target=self.ask.resource, headers=(), body=b"", duplex=self.duplex
        )

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher:
        limit = min(edits.response_bytes or self.limit_bytes, self.limit_bytes)
        return TunnelWatcher(head=head, limit_bytes=limit)


class TunnelWatcher:
    """What comes back, as it came, up to a number of bytes. `core.ports.Watcher`."""

    streaming: Final = True

    def __init__(self, *, head: ResponseHead, limit_bytes: int) -> None:
        self._head = head
        self._limit_bytes = limit_bytes
        self._seen_bytes = 0

    def head(self) -> ResponseHead:
        return self._head

    def opening(self) -> list[Step]:
        """Known before anything comes: somebody else's words, of which none was read."""
        return [Learn(whole=False)]

    def feed(self, chunk: bytes) -> list[Step]:
        self._seen_bytes += len(chunk)
        if self._seen_bytes > self._limit_bytes:
            raise TooLargeError(self._limit_bytes, cause="tunnel")
        return [Emit(data=chunk)]

    def end(self) -> list[Step]:
        return []
