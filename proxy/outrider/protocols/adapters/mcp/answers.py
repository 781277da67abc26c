"""What comes back, message by message: what passes, what is changed, what is dropped.

Laws (PROTOCOLS §4.7): one final response, with the request's id; a server asks the agent only
what policy lets it, and on the modern wire not at all; what is not known is not passed on.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from outrider.core.action import Ask
from outrider.core.errors import (
    EnforcementError,
    MalformedError,
    UpstreamFailedError,
)
from outrider.core.exchange import Headers, ResponseHead
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.ports import Edits, Judge, Note, Step
from outrider.core.strict_json import JsonLimits
from outrider.core.unwrap import entry_of
from outrider.core.vocabulary import Phase, Reason
from outrider.protocols.adapters.mcp import edits as editing, spec
from outrider.protocols.adapters.mcp.asks import call_of, subscribed
from outrider.protocols.adapters.mcp.capabilities import offer_less
from outrider.protocols.adapters.mcp.finding import found_in
from outrider.protocols.adapters.mcp.lessons import lesson, says_error
from outrider.protocols.adapters.mcp.lists import keep_private, take_list
from outrider.protocols.adapters.mcp.news import News
from outrider.protocols.adapters.mcp.results import kept
from outrider.protocols.adapters.mcp.server_asks import host_of, server_ask
from outrider.protocols.adapters.mcp.turn import Desk, Heard, Turn
from outrider.protocols.wire.jsonrpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Kind,
    Message,
    read_message,
)
from outrider.protocols.wire.turns import Work, in_turns

Emitter: TypeAlias = Callable[[JsonObject], list[Step]]

_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_NOTIFICATIONS: Final = 10_000
_DROPS: Final = 100
_INPUTS: Final = 64
_ELICITATION: Final = "elicitation/create"
_KEPT: Final = ("name", "cursor", "taskId")  # what the rest of an answer is judged by
_CHANGED: Final = {
    "notifications/tools/list_changed": spec.Listing.TOOLS,
    "notifications/prompts/list_changed": spec.Listing.PROMPTS,
}
_WANTED: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_OFFERING: Final = frozenset({"initialize", "server/discover"})
# They carry a task's own result or words about it.
_OF_TASKS: Final = frozenset({"notifications/tasks", "notifications/tasks/status"})
_WORDY: Final = _OF_TASKS | {"notifications/message"}
_SECRET_FIELD: Final = re.compile(
    r"passw|secret|token|credential|api[-_ ]?key|private[-_ ]?key", re.IGNORECASE
)
_OF_TOOLS: Final = frozenset({"tools/call", "tasks/get", "tasks/result"})
_REQUEST: Final = Kind.REQUEST
_NOTIFICATION: Final = Kind.NOTIFICATION
_RESPONSE: Final = Kind.RESPONSE


class Answering:
    """The answer to one exchange, or what a resumed stream still owes of it."""

    def __init__(self, *, turn: Turn, desk: Desk, edits: Edits, asked: Ask | None = None) -> None:
        self.turn = turn
        self.asked = asked  # without its arguments: who resumes the stream asks for the same
        self.desk = desk
        self.edits = edits
        self._final = False
        self._told = 0
        self._drops = 0
        self.session_id: str | None = None
        self._light = False
        self.news: News | None = None  # of a stream that tells of lists
        self.large = False  # what is being taken is worked on in turns

    @property
    def is_final(self) -> bool:
        return self._final

    @property
    def awaits_final(self) -> bool:
        return self.turn.kind is _REQUEST and not self._final

    def is_answer(self, value: Json) -> bool:
        """Whether `value`, which is not taken, would have been the one final response."""
        id_ = as_object(value).get("id")
        ours = type(id_) is type(self.turn.id) and id_ == self.turn.id
        return self.awaits_final and ours and "method" not in as_object(value)

    @property
    def response_bytes(self) -> int:
        return min(
            self.edits.response_bytes or self.desk.limits.response_bytes,
            self.desk.limits.response_bytes,
        )

    @property
    def json_limits(self) -> JsonLimits:
        return self.desk.response_json

    def resume(self) -> None:
        """The caller lost the stream; what it had may come again."""
        self._final = False

    def streamed(self, event_id: str) -> None:
        """An event with this id is on its way: its owner may resume after it."""
        if not self._light and not self.turn.is_modern:
            # A resumed stream needs the request's name, not its arguments.
            self._light = True
            turn = self.turn
            turn.params = {key: turn.params[key] for key in _KEPT if key in turn.params}
            turn.value = {}
        self.turn.scope.streamed(event_id, self)

    def lost(self, head: ResponseHead) -> list[Step] | None:
        """The steps that forget a session which the upstream no longer knows; None for others."""
        session = self.turn.session
        if head.status != 404 or session is None:
            return None
        return self.desk.sessions.end(session.key)

    def head_came(self, head: ResponseHead) -> None:
        """Refuse a status that carries no message of the protocol; note a new session's id."""
        turn = self.turn
        if head.status not in {200, 202, 204, 400} and not (turn.is_modern and head.status == 404):
            raise UpstreamFailedError("the upstream refused the request", cause="status")
        if turn.method == "initialize" and head.status == 200:
            self.session_id = head.header("mcp-session-id")
            if self.session_id is not None and not _SESSION_ID.fullmatch(self.session_id):
                raise UpstreamFailedError("the upstream's session id has characters none has")

    def head_fields(self) -> Headers:
        if self.session_id is None:
            return ()
        return (("mcp-session-id", self.session_id),)

    def opening(self) -> list[Step]:
        """What a message that was taken without an answer leaves behind."""
        turn = self.turn
        if turn.kind is _RESPONSE and turn.id is not None:
            turn.scope.answered(turn.id)
        return []

    # --- messages ---

    def take(self, value: Json, emit: Emitter) -> list[Step]:
        """The steps one message of the upstream gives rise to. What it says is learnt before it
        is emitted, whichever way it takes."""
        turn = self.turn

        def teaching(message: JsonObject) -> list[Step]:
            learnt = lesson(turn, message)
            return emit(message) if learnt is None else [learnt, *emit(message)]

        return self._take(value, teaching)

    def _take(self, value: Json, emit: Emitter) -> list[Step]:
        try:
            message = read_message(value)
        except MalformedError as fault:
            return [self.dropped("message_dropped", fault.cause or "malformed")]
        if message.kind is _RESPONSE:
            return self._response(message, emit)
        if message.kind is _NOTIFICATION:
            return self._notification(message, emit)
        if self.turn.is_modern or self.turn.version not in spec.SERVER_REQUESTS.get(
            message.method, ()
        ):
            return [self.dropped("server_request_dropped", "era")]
        return self._request(message, emit)

    def _response(self, message: Message, emit: Emitter) -> list[Step]:
        turn = self.turn
        if turn.kind is not _REQUEST or self._final:
            return [self.dropped("response_dropped", "second" if self._final else "unasked")]
        # 1 and "1" are two ids; an error without an id can only be this exchange's.
        ours = type(message.id) is type(turn.id) and message.id == turn.id
        if not ours and (message.id is not None or "error" not in message.value):
            return [self.dropped("response_dropped", "foreign")]
        self._final = True
        if turn.heard is not None:
            _hear(turn.heard, turn.method, message.value)
        if turn.id is not None:
            turn.scope.finish(turn.id)
        if "error" in message.value:
            return self._error(message.value, emit)
        if not isinstance(message.value["result"], dict):
            raise UpstreamFailedError("the upstream's result is no object")
        if not self.edits.redactions and self.edits.records is None:
            return self._result(message.value, emit)
        return self._edited(message.value, lambda value: self._result(value, emit))

    def _error(self, message: JsonObject, emit: Emitter) -> list[Step]:
        if self.turn.own:
            if as_object(message["error"]).get("code") != METHOD_NOT_FOUND:
                raise UpstreamFailedError("the upstream did not give its list")
            listing, scope = spec.LISTING_OF[self.turn.method], self.turn.scope
            none = scope.list_begins(listing)
            none.whole = True
            scope.list_read(listing, none, own=True)
        message.setdefault("id", self.turn.id)
        if message["id"] is None:
            message["id"] = self.turn.id
        error = as_object(message["error"])
        editing.disown(error)
        if error.get("code") == spec.URL_ELICITATION_REQUIRED:
            return self._elicits(message, error, emit)
        return self._edited(message, emit)

    def _elicits(self, message: JsonObject, error: JsonObject, emit: Emitter) -> list[Step]:
        """An error that asks the agent's user to open URLs is judged as the request would be."""
        wanted = [
            as_object(one) for one in as_list(as_object(error.get("data")).get("elicitations"))
        ]

        def judged(verdicts: tuple[bool, ...]) -> list[Step]:
            if verdicts and all(verdicts):
                return self._edited(message, emit)
            message["error"] = {"code": INTERNAL_ERROR, "message": error.get("message")}
            return [
                self.dropped("server_request_dropped", "policy" if verdicts else "elicitation_url"),
                *self._edited(message, emit),
            ]

        knows = self.turn.version in spec.SERVER_NOTIFICATIONS["notifications/elicitation/complete"]
        if not knows or not 0 < len(wanted) <= _INPUTS or not all(map(_is_url_mode, wanted)):
            return judged(())
        asks = [server_ask(self.turn.upstream, _ELICITATION, one, Phase.RESPONSE) for one in wanted]
        return [Judge(asks=tuple(asks), phase=Phase.RESPONSE, then=judged)]

    def _edited(self, message: JsonObject, then: Emitter) -> list[Step]:
        """Carry out on an answer what policy asks of it, then go on."""
        hits = editing.apply(message, self.edits)
        steps: list[Step] = []
        if hits:
            facts: JsonObject = {"upstream": self.turn.upstream, "places": hits}
            steps.append(Note(event="redacted", facts=facts, recorded=False))
        if self.edits.records is None:
            return [*steps, *then(message)]
        return [*steps, *in_turns(_bounded(message, self.edits.records, then))]

    def _result(self, message: JsonObject, emit: Emitter) -> list[Step]:
        turn = self.turn
        result = as_object(message["result"])
        if turn.method in spec.LISTING_OF:
            return take_list(turn, self.desk, message, emit)
        steps = kept(self, result)
        keep_private(turn, result)
        if turn.method in _OFFERING:
            return [*steps, *offer_less(turn, result, lambda: emit(message))]
        if turn.is_modern and result.get("resultType") == "input_required":
            return [*steps, *self._input_required(message, result, emit)]
        return [*steps, *self._found(message, result, emit)]

    def _found(self, message: JsonObject, result: JsonObject, emit: Emitter) -> list[Step]:
        """A result, without the tools it found that its caller may not see."""
        found = found_in(self.turn, self.desk, result)
        if found is None:
            return emit(message)

        def judged(verdicts: tuple[bool, ...]) -> list[Step]:
            found.keep(verdicts)
            return emit(message)

        return [Judge(asks=found.asks, phase=Phase.LIST, then=judged)]

    # --- what servers ask ---

    def _request(self, message: Message, emit: Emitter) -> list[Step]:
        turn, id_ = self.turn, message.id
        if id_ is None:
            return []

        refusal = f"the server asked the agent for {message.method}"
        refusal = refusal if self.awaits_final else ""

        def judged(verdicts: tuple[bool, ...]) -> list[Step]:
            if not all(verdicts):
                return [self.dropped("server_request_dropped", "policy")]
            turn.scope.passed(id_, message.method)
            return emit(message.value)

        params = as_object(message.value.get("params"))
        if message.method == "ping":
            return judged(())
        if (fault := fault_of_request(message.method, params)) is not None:
            return [self.dropped("server_request_dropped", fault), *_ending(refusal)]
        ask = server_ask(turn.upstream, message.method, params, Phase.RESPONSE)
        return [Judge(asks=(ask,), phase=Phase.RESPONSE, then=judged, refusal=refusal)]

    def _input_required(self, message: JsonObject, result: JsonObject, emit: Emitter) -> list[Step]:
        turn = self.turn
        wanted = as_object(result.get("inputRequests"))
        asks = []
        if len(wanted) > _INPUTS:
            raise UpstreamFailedError("the upstream asks for too much at once")
        for key, request in wanted.items():
            method = as_object(request).get("method")
            params = as_object(as_object(request).get("params"))
            if key.startswith("outrider_") or method not in spec.SERVER_ASKS:
                raise UpstreamFailedError("the upstream asks for what nobody may ask")
            if fault_of_request(str(method), params) is not None:
                raise UpstreamFailedError("the upstream asks for what it may not have")
            asks.append(server_ask(turn.upstream, str(method), params, Phase.RESPONSE))

        def judged(verdicts: tuple[bool, ...]) -> list[Step]:
            if not all(verdicts):
                return [self.dropped("server_request_dropped", "policy")]
            state = result.get("requestState")
            if isinstance(state, str):
                result["requestState"] = self.desk.seals.seal(
                    state,
                    subject=turn.subject,
                    upstream=turn.upstream,
                    method=turn.method,
                    params=turn.params,
                )
            return emit(message)

        if turn.method not in spec.INPUT_METHODS:
            raise UpstreamFailedError("this method's result cannot ask for input")
        if not asks:
            return judged(())
        methods = ", ".join(dict.fromkeys([ask.name for ask in asks]))
        refusal = f"the server asked the agent for {methods}"
        return [Judge(asks=tuple(asks), phase=Phase.RESPONSE, then=judged, refusal=refusal)]

    # --- notifications ---

    def _notification(self, message: Message, emit: Emitter) -> list[Step]:
        turn = self.turn
        if turn.version not in spec.SERVER_NOTIFICATIONS.get(message.method, ()):
            return [self.dropped("notification_dropped", "unknown")]
        self._told += 1
        if self._told > _NOTIFICATIONS:
            raise UpstreamFailedError("the upstream sent too many notifications")
        listing = _CHANGED.get(message.method)
        if listing is not None:
            # Nobody calls by what was said before: whoever comes next has the list read again.
            self.desk.sessions.list_changed(turn.upstream, listing)
        params = as_object(message.value.get("params"))
        if turn.is_modern and not self._subscribed_to(message.method, params):
            return [self.dropped("notification_dropped", "not_subscribed")]
        if message.method in _OF_TASKS and not self.owns(params):
            return [self.dropped("notification_dropped", "task")]
        if message.method in _OF_TASKS and "result" in params and self._is_guarded(params):
            return [self.dropped("notification_dropped", "guarded")]
        if self.edits.redactions:
            # A pointer says nothing of free text, which could repeat what is redacted.
            if message.method in _WORDY:
                return [self.dropped("notification_dropped", "redaction")]
            params.pop("message", None)
        if message.method == _ACKNOWLEDGED and self.news is not None:
            agreed = as_object(params.get("notifications"))
            return [*emit(message.value), *self.news.acknowledged(agreed)]
        return emit(message.value)

    def owns(self, members: JsonObject) -> bool:
        """Whether this names a task that the subject was given."""
        turn = self.turn
        return self.desk.sessions.has_handle(
            subject=turn.subject, upstream=turn.upstream, handle=str(members.get("taskId"))
        )

    def _is_guarded(self, members: JsonObject) -> bool:
        """Whether what this task came to must be read by its fields, as an answer to who asks for
        it is: a notification is heard as text."""
        turn = self.turn
        tool = self.desk.sessions.tool_of(
            subject=turn.subject, upstream=turn.upstream, handle=str(members.get("taskId"))
        )
        entry = entry_of(call_of(turn, tool or ""), turn.manifest)
        return entry.guarded or entry.unwrap is not None

    def _subscribed_to(self, method: str, params: JsonObject) -> bool:
        """Whether a modern stream may carry this notification (PROTOCOLS §12 case 54)."""
        turn = self.turn
        if method == "notifications/message":
            return spec.META_LOG_LEVEL in as_object(turn.params.get("_meta"))
        if method in {"notifications/progress", "notifications/tasks"}:
            return True
        if turn.method != "subscriptions/listen":
            return False
        id_ = as_object(params.get("_meta")).get(spec.META_SUBSCRIPTION)
        if type(id_) is not type(turn.id) or id_ != turn.id:
            return False
        wanted = as_object(turn.params.get("notifications"))
        if method == "notifications/resources/updated":
            return params.get("uri") in subscribed(wanted)
        if method == _ACKNOWLEDGED:
            _narrow(as_object(params.get("notifications")), wanted)
            return True
        return method not in _WANTED or wanted.get(_WANTED[method]) is True

    def dropped(self, event: str, why: str) -> Note:
        """The note of what was not passed on. Too many of them end the answer."""
        self._drops += 1
        if self._drops > _DROPS:
            raise UpstreamFailedError("the upstream sent too much that cannot be passed on")
        facts: JsonObject = {
            "upstream": self.turn.upstream,
            "method": self.turn.method[:64],
            "why": why,
        }
        return Note(event=event, facts=facts)


def _bounded(message: JsonObject, records: int, then: Emitter) -> Work:
    yield from editing.bounding(message, records)
    return then(message)


def fault_of_request(method: str, params: JsonObject) -> str | None:
    """Why a server's request may reach no agent, whatever policy says; or None."""
    if method != _ELICITATION:
        return None
    if params.get("mode") == "url" or "url" in params:
        url = params.get("url")
        fine = isinstance(url, str) and url.startswith("https://") and host_of(url) is not None
        return None if fine else "elicitation_url"
    properties = as_object(as_object(params.get("requestedSchema")).get("properties"))
    if any(_SECRET_FIELD.search(name) for name in properties):
        return "elicitation_secret"
    return None


def _ending(refusal: str) -> list[Step]:
    """End the answer to a call whose server would wait for ever: what it asked goes to nobody."""

    def end(verdicts: tuple[bool, ...]) -> list[Step]:
        raise EnforcementError(f"{refusal} in a form that no agent is shown", reason=Reason.POLICY)

    return [Judge(asks=(), phase=Phase.RESPONSE, then=end)] if refusal else []


def _is_url_mode(elicitation: JsonObject) -> bool:
    return "url" in elicitation and fault_of_request(_ELICITATION, elicitation) is None


def _narrow(acknowledged: JsonObject, wanted: JsonObject) -> None:
    """An acknowledgement names nothing that was not asked for."""
    for flag in [flag for flag in spec.LIST_FLAGS if wanted.get(flag) is not True]:
        acknowledged.pop(flag, None)
    if "resourceSubscriptions" in acknowledged:
        asked = set(subscribed(wanted))
        given = as_list(acknowledged["resourceSubscriptions"])
        acknowledged["resourceSubscriptions"] = [uri for uri in given if uri in asked]


def _hear(heard: Heard, method: str, message: JsonObject) -> None:
    """What the span tells of the final response, before policy's edits."""
    code = as_object(message.get("error")).get("code")
    heard.code = code if isinstance(code, int) else None
    heard.tool_failed = method in _OF_TOOLS and says_error(as_object(message.get("result")))
