"""The MCP adapter: Streamable HTTP, legacy and modern, one exchange at a time (PROTOCOLS §4)."""

from typing import Final

import orjson

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import McpOptions
from outrider.core.answers import Refusal
from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError
from outrider.core.exchange import RequestHead
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import BodyNeed, Clock, Conversation, Inbound, Refused, Route
from outrider.core.strict_json import JsonLimits
from outrider.core.vocabulary import ProtocolName
from outrider.protocols.adapters.mcp.answers import Answering
from outrider.protocols.adapters.mcp.asks import Read
from outrider.protocols.adapters.mcp.conversation import SESSION_FIELD, Call
from outrider.protocols.adapters.mcp.eras import (
    VERSION_FIELD,
    Spoken,
    below,
    check_head,
    era_of,
    settle,
    too_old,
)
from outrider.protocols.adapters.mcp.headers import routing_fields
from outrider.protocols.adapters.mcp.prelude import ListFirst
from outrider.protocols.adapters.mcp.refuse import refuse
from outrider.protocols.adapters.mcp.requests import needs_list, read_request
from outrider.protocols.adapters.mcp.schemas import Schemas
from outrider.protocols.adapters.mcp.seal import Seals
from outrider.protocols.adapters.mcp.server_asks import read_answer
from outrider.protocols.adapters.mcp.session_exchanges import SessionEnd, Stream
from outrider.protocols.adapters.mcp.spec import DEFAULT_LEGACY, Era
from outrider.protocols.adapters.mcp.turn import (
    ConversationError,
    Desk,
    Envelope,
    Faulted,
    Turn,
    scope_key,
)
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import Session, SessionTable
from outrider.protocols.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    Kind,
    Message,
    RpcId,
    id_of,
    read_message,
)

_NOTHING: Final = BodyNeed(judged=False, limit_bytes=0)
_REQUEST: Final = Kind.REQUEST
_RESPONSE: Final = Kind.RESPONSE
_MODERN: Final = Era.MODERN
_NUMBER: Final = "number"
# Why a call is refused that a model wrote and can mend: it is told in a result.
_SHOWN: Final = frozenset({_NUMBER, "name"})


class McpAdapter:
    """Reads MCP exchanges. All state lies in `pins` and `sessions`, which outlive an exchange."""

    def __init__(
        self,
        *,
        limits: Limits,
        pins: PinTable,
        sessions: SessionTable,
        seals: Seals,
        clock: Clock,
    ) -> None:
        self._desk = Desk(
            limits=limits,
            request_json=JsonLimits(depth=limits.json_depth, nodes=limits.json_nodes),
            response_json=JsonLimits(depth=limits.json_depth, nodes=limits.response_nodes),
            pins=pins,
            sessions=sessions,
            schemas=Schemas(),
            seals=seals,
            clock=clock,
        )
        self._whole = BodyNeed(
            judged=True, limit_bytes=limits.body_bytes, json=self._desk.request_json
        )

    @property
    def protocol(self) -> ProtocolName:
        return ProtocolName.MCP

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        """A POST is read whole. Raises `EnforcementError` for a head that no era takes."""
        check_head(head, options_of(route).min_version)
        return self._whole if head.method == "POST" else _NOTHING

    def parse(self, inbound: Inbound) -> Conversation:
        """The conversation. Raises `ConversationError` where the message's id is known."""
        fields = routing_fields(inbound.head.headers)
        if inbound.head.method != "POST":
            return self._parse_bodiless(inbound, fields)
        message, turn, value = None, None, None
        try:
            value, fault = self._read(inbound)
            message = read_message(value)
            if fault is not None:
                raise fault
            spoken = settle(message, fields, options_of(inbound.route).min_version)
            turn = self._turn(inbound, fields, message, spoken)
            return self._converse(inbound, turn)
        except EnforcementError as fault:
            era = turn.era if turn is not None else era_of(message, fields)
            envelope = _addressed(fault, era, message, id_of(value))
            raise ConversationError(fault, Faulted(envelope)) from fault

    def _read(self, inbound: Inbound) -> tuple[Json, MalformedError | None]:
        """The message, and why it is refused although it can be told whose it is."""
        try:
            return inbound.json(self._desk.request_json), None
        except MalformedError as fault:
            if fault.cause != _NUMBER or fault.code != INVALID_REQUEST:
                raise
            value: Json = orjson.loads(inbound.body or b"")  # only to address the refusal
            return value, fault

    def refuse(
        self, refusal: Refusal, head: RequestHead, conversation: Conversation | None, begun: bool
    ) -> Refused:
        """The refusal's bytes; a request that is refused is no longer under way."""
        envelope = None
        if isinstance(conversation, Call | Stream | SessionEnd | Faulted):
            envelope = conversation.envelope
        if isinstance(conversation, Call) and conversation.turn.id is not None:
            conversation.turn.scope.finish(conversation.turn.id)
        return refuse(refusal, head, envelope, begun=begun)

    # --- one exchange ---

    def _turn(
        self, inbound: Inbound, fields: dict[str, str], message: Message, spoken: Spoken
    ) -> Turn:
        session = None if spoken.era is _MODERN else self._session(inbound, fields)
        return Turn(
            era=spoken.era,
            version=_version(spoken, session, fields),
            kind=message.kind,
            id=message.id,
            method=message.method,
            params=spoken.params,
            value=message.value,
            fields=fields,
            route=inbound.route,
            options=options_of(inbound.route),
            subject=inbound.subject.id,
            manifest=inbound.manifest,
            scope=self._desk.sessions.scope(scope_key(inbound.route, inbound.subject.id, session)),
            session=session,
        )

    def _session(self, inbound: Inbound, fields: dict[str, str]) -> Session | None:
        """The session a legacy request names: the caller's own, or nobody's (case 56)."""
        named = fields.get(SESSION_FIELD)
        if named is None:
            return None
        session = self._desk.sessions.find(
            named,
            subject=inbound.subject.id,
            upstream=inbound.route.upstream,
            route=inbound.route.name,
        )
        if session is None:
            raise UnrecognisedError("no such session", status=404, code=-32001, cause="session")
        return session

    def _converse(self, inbound: Inbound, turn: Turn) -> Conversation:
        desk = self._desk
        negotiated = not turn.is_modern and turn.method != "initialize"
        if negotiated and below(turn.version, turn.options.min_version):
            raise too_old()
        if turn.kind is _RESPONSE:
            return Call(turn=turn, read=_posted(turn), desk=desk, inbound=inbound)
        if turn.kind is _REQUEST and needs_list(turn, desk.clock):
            return ListFirst(turn=turn, desk=desk, inbound=inbound)
        call = Call(turn=turn, read=read_request(turn, desk), desk=desk, inbound=inbound)
        # On modern HTTP each POST is its own scope: two clients may both send id 1 (case 7).
        alone = turn.session is None or turn.id is None or turn.scope.begin(turn.id, call)
        if not alone:
            raise MalformedError(
                "a request with this id is under way", code=INVALID_REQUEST, cause="id_reused"
            )
        return call

    def _parse_bodiless(self, inbound: Inbound, fields: dict[str, str]) -> Conversation:
        """A legacy GET or DELETE: only a session's owner has a stream or an end to ask for."""
        session = self._session(inbound, fields)
        method = inbound.head.method
        params: JsonObject = {}
        version = fields.get(VERSION_FIELD, session.version if session else DEFAULT_LEGACY)
        turn = self._turn(
            inbound,
            fields,
            Message(Kind.NOTIFICATION, None, method, {}),
            Spoken(Era.LEGACY, version, params),
        )
        if method == "DELETE":
            if session is None:
                raise MalformedError("DELETE must name a session", code=INVALID_REQUEST)
            return SessionEnd(turn=turn, desk=self._desk, inbound=inbound)
        last = inbound.head.header("last-event-id")
        resumed = turn.scope.stream_of(last) if last is not None else None
        if last is not None and not isinstance(resumed, Answering):
            raise MalformedError(
                "no stream of this session can be resumed there",
                code=INVALID_REQUEST,
                cause="last_event_id",
            )
        if isinstance(resumed, Answering):
            resumed.resume()
        return Stream(
            turn=turn,
            desk=self._desk,
            inbound=inbound,
            resumed=resumed if isinstance(resumed, Answering) else None,
        )


def options_of(route: Route) -> McpOptions:
    """The route's MCP settings; a route without any has the defaults."""
    return route.options if isinstance(route.options, McpOptions) else McpOptions()


def _addressed(
    fault: EnforcementError, era: Era, message: Message | None, id_: RpcId | None
) -> Envelope:
    """To whom the refusal of a message goes, as far as it was read."""
    if message is None:
        return Envelope(era=era, kind=_REQUEST, id=id_, method="")
    mild = fault.code == INVALID_PARAMS or fault.cause == _NUMBER
    return Envelope(
        era=era,
        kind=message.kind,
        id=id_,
        method=message.method,
        mild=mild and era is Era.LEGACY,
        shown=fault.cause in _SHOWN,
    )


def _version(spoken: Spoken, session: Session | None, fields: dict[str, str]) -> str:
    """A session speaks what was agreed when it began, whatever a header leaves out."""
    if session is not None and VERSION_FIELD not in fields:
        return session.version
    return spoken.version


def _posted(turn: Turn) -> Read:
    """What the agent's answer to a server's request asks: it carries data out."""
    method = turn.scope.expected(turn.id) if turn.id is not None else None
    if method is None:
        raise MalformedError(
            "this answers no request of this session",
            code=INVALID_REQUEST,
            status=400,
            cause="unasked_response",
        )
    turn.answers = method
    return read_answer(turn, method)
