"""A call whose name is not known yet, and the list fetched before it (PROTOCOLS §4.5)."""

import secrets
from dataclasses import replace
from typing import Final

from outrider.core.errors import UnrecognisedError
from outrider.core.exchange import Outgoing, TraceContext
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import Edits, Inbound
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.asks import Read, plumbing
from outrider.protocols.adapters.mcp.conversation import Call
from outrider.protocols.adapters.mcp.turn import Desk, Envelope, Turn
from outrider.protocols.wire.jsonrpc import Kind

_LIST_ID: Final = "outrider-list-"


class ListFirst(Call):
    """A call whose name cannot be known before the sidecar has listed (PROTOCOLS §4.5)."""

    __slots__ = ("_lister",)

    def __init__(self, *, turn: Turn, desk: Desk, inbound: Inbound) -> None:
        super().__init__(
            turn=turn, read=Read((plumbing(turn, turn.method),)), desk=desk, inbound=inbound
        )
        self._lister = Lister(turn=turn, desk=desk, inbound=inbound)

    @property
    def envelope(self) -> Envelope:
        return replace(super().envelope, unsent=True)

    def join(self, trace: TraceContext) -> None:
        super().join(trace)
        self._lister.join(trace)

    def prelude(self) -> "Call | None":
        """The next page to fetch, or None once the list is whole."""
        return self._lister.next_page()

    def outgoing(self, edits: Edits) -> Outgoing:
        raise UnrecognisedError("no such name is offered here", cause="name")


class Lister:
    """Fetches a list for one caller, page after page, into what is its own until it is read."""

    __slots__ = ("_begun", "_desk", "_inbound", "_listing", "_page", "_turn")

    def __init__(self, *, turn: Turn, desk: Desk, inbound: Inbound) -> None:
        self._turn = turn
        self._desk = desk
        self._inbound = inbound
        self._listing = spec.NEEDS_LIST[turn.method]
        self._begun = turn.scope.list_begins(self._listing)
        self._page = 0

    def join(self, trace: TraceContext) -> None:
        self._inbound = replace(self._inbound, trace=trace)

    def next_page(self) -> Call | None:
        if self._page and (self._begun.cursor is None or self._is_known()):
            return None
        if self._page >= self._turn.options.list_pages:
            return None
        self._page += 1
        return self._call(self._begun.cursor)

    def _is_known(self) -> bool:
        """Whether somebody has read the whole list meanwhile."""
        seen = self._turn.scope.seen(self._listing)
        return (
            seen is not None
            and seen.whole
            and not self._turn.scope.is_outdated(self._listing, seen)
        )

    def _call(self, cursor: str | None) -> Call:
        turn = self._turn
        method = spec.METHOD_OF[self._listing]
        params: JsonObject = {} if cursor is None else {"cursor": cursor}
        meta = as_object(turn.params.get("_meta"))
        if turn.is_modern:
            params["_meta"] = {
                spec.META_VERSION: turn.version,
                spec.META_CAPABILITIES: {},
                **({spec.META_CLIENT: meta[spec.META_CLIENT]} if spec.META_CLIENT in meta else {}),
            }
        id_ = _LIST_ID + secrets.token_hex(8)
        value: JsonObject = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
        inner = Turn(
            era=turn.era,
            version=turn.version,
            kind=Kind.REQUEST,
            id=id_,
            method=method,
            params=params,
            value=value,
            fields=turn.fields,
            route=turn.route,
            options=turn.options,
            subject=turn.subject,
            manifest=turn.manifest,
            scope=turn.scope,
            session=turn.session,
            own=True,
            begun=self._begun,
        )
        read = Read((plumbing(inner, method),))
        return Call(turn=inner, read=read, desk=self._desk, inbound=self._inbound)
