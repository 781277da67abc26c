"""From a client's message to what is asked (PROTOCOLS §4.3).

Law: nothing that changes what the upstream does escapes an ask's resource or arguments.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from outrider.core.action import Ask
from outrider.core.catalogue import UNDECLARED
from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError
from outrider.core.exchange import Headers
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock
from outrider.core.unwrap import URI, unwrapped
from outrider.core.vocabulary import ActionEffect, ProtocolName, ResourceType
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.asks import (
    Read,
    call_of,
    invalid_params,
    plumbing,
    subscribed,
)
from outrider.protocols.adapters.mcp.eras import unknown_method
from outrider.protocols.adapters.mcp.headers import PARAM_PREFIX, check_params
from outrider.protocols.adapters.mcp.meta import LEVELS, TOLD, drop_reserved, told, told_params
from outrider.protocols.adapters.mcp.names import check_uri, is_name, lookalike_of, uri_host
from outrider.protocols.adapters.mcp.offered import (
    check_definition,
    listed,
    no_such_task,
    not_offered,
)
from outrider.protocols.adapters.mcp.server_asks import input_asks
from outrider.protocols.adapters.mcp.spec import Listing
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.pins import Pin
from outrider.protocols.wire.jsonrpc import INVALID_PARAMS, INVALID_REQUEST

_NOTHING: Final[JsonObject] = {}
_NO_MEMBERS: Final[frozenset[str]] = frozenset()
_TEXT_LIMIT: Final = 256
_GIVEN_UP_S: Final = 30.0
_FIELD: Final = "header."
_FETCHING: Final = frozenset({"tasks/get", "tasks/result"})
_MCP: Final = ProtocolName.MCP
_TOOL: Final = ResourceType.TOOL
_TOOLS: Final = Listing.TOOLS


def read_request(turn: Turn, desk: Desk) -> Read:
    """The asks of a request or notification. Raises `EnforcementError`."""
    _check_members(turn)
    drop_reserved(turn)
    handler = _HANDLERS.get(turn.method)
    if handler is not None:
        return handler(turn, desk)
    if turn.method in spec.PLUMBING:
        return _told(turn)
    return _declared(turn)


def needs_list(turn: Turn, clock: Clock) -> bool:
    """Whether the sidecar must list first: nothing is known of what this caller may name.

    A list that was given up is not begun again at once, or each unknown name would cost the
    upstream as many requests as there are pages to read. Raises `MalformedError`
    for params that no list would mend.
    """
    listing = spec.NEEDS_LIST.get(turn.method)
    if listing is None:
        return False
    seen, name = turn.scope.seen(listing), turn.params.get("name")
    outdated = seen is None or turn.scope.is_outdated(listing, seen)
    if seen is not None and not outdated and isinstance(name, str) and seen.knows(name):
        return False  # the rest of the params is judged where the call is read
    named_call(turn)
    if seen is None or outdated:
        return True
    given_up = seen.given_up_s is not None and clock.monotonic_s() < seen.given_up_s + _GIVEN_UP_S
    return not seen.whole and not given_up


def named_call(turn: Turn) -> tuple[str, JsonObject]:
    """The name and arguments of a call of something that a list offers."""
    params = turn.params
    _check_members(turn)
    arguments = params.get("arguments", _NOTHING)
    if not isinstance(arguments, dict):
        raise invalid_params("arguments must be an object")
    return _name(params), arguments


# --- one handler for each kind of method ---


def _told(turn: Turn) -> Read:
    """Plumbing, with whatever this message says."""
    return Read((plumbing(turn, turn.method, told_params(turn)),))


def _offered(turn: Turn, desk: Desk) -> Read:
    """A call of what a list offers. What is wrong with a call of something withheld from the
    caller is never told: it would say that there is such a thing."""
    name, arguments = named_call(turn)
    listing = spec.NEEDS_LIST[turn.method]
    try:
        pin = listed(turn, desk, listing, name)
        if listing is _TOOLS:
            return _tools_call(turn, desk, pin, arguments)
        ask = _item(turn, ResourceType.PROMPT, name, told(turn, arguments))
        return Read((ask, *input_asks(turn)))
    except EnforcementError:
        seen = turn.scope.seen(listing)
        if seen is not None and name in seen.hidden:
            raise not_offered(turn, seen, name) from None
        raise


def _tools_call(turn: Turn, desk: Desk, pin: Pin, arguments: JsonObject) -> Read:
    schema = pin.current.get("inputSchema")
    mirrored: Headers = ()
    known: Collection[str] = ()
    if turn.is_modern:
        known = wanted = desk.schemas.mirrored(pin.seen, schema) or {}
        mirrored = check_params(turn.fields, wanted, arguments)  # 7
    compiled = desk.schemas.get(pin.seen, "inputSchema", schema)
    ask = Ask(
        protocol=_MCP,
        name="tools/call",
        resource_type=_TOOL,
        upstream=turn.route.upstream,
        resource=pin.name,
        arguments=_with_fields(told(turn, arguments), mirrored, known),
        schema_valid=compiled.accepts(arguments),
        definition=pin.definition,
    )
    inner = unwrapped(ask, turn.manifest)
    if inner is not ask:
        ask = _pinned(turn, desk, inner)
    return Read((ask, *input_asks(turn)), mirrored)


def _pinned(turn: Turn, desk: Desk, inner: Ask) -> Ask:
    """What a meta-tool carries, under the inner tool's own definition where that is known: a
    definition that changed is refused whichever way it is called."""
    upstream = turn.manifest.upstreams.get(inner.upstream)
    known = upstream.tools if upstream is not None else {}
    if inner.resource not in known and lookalike_of(inner.resource, known) is not None:
        raise UnrecognisedError("no such name is offered here", cause="lookalike")
    pin = desk.pins.get(inner.upstream, _TOOLS, inner.resource)
    if pin is None:
        return inner
    check_definition(turn, pin)
    compiled = desk.schemas.get(pin.seen, "inputSchema", pin.current.get("inputSchema"))
    arguments = {key: value for key, value in (inner.arguments or {}).items() if _is_own(key)}
    fits = inner.schema_valid is not False and compiled.accepts(arguments)
    return replace(inner, schema_valid=fits, definition=pin.definition)


def _is_own(key: str) -> bool:
    """Whether an argument is one, and not what is told beside them."""
    return key != TOLD and not key.startswith(_FIELD)


def _with_fields(
    arguments: JsonObject | None, mirrored: Headers, known: Collection[str]
) -> JsonObject | None:
    """`arguments` with the parameter headers that mirror none of them, by name: they leave too.
    Raises `MalformedError` for an argument that is called as one."""
    members = arguments or {}
    if any(name.startswith(_FIELD + PARAM_PREFIX) for name in members):
        raise invalid_params("an argument is called as a header")
    fields = {_FIELD + name: value for name, value in mirrored if name not in known}
    return {**members, **fields} if fields else arguments


def _resource(turn: Turn, desk: Desk) -> Read:
    uri = check_uri(turn.params.get("uri"))
    asked = _item(turn, ResourceType.RESOURCE, uri, told(turn, {URI: uri}))
    return Read((asked, *input_asks(turn)))


def _complete(turn: Turn, desk: Desk) -> Read:
    ref, argument = turn.params.get("ref"), turn.params.get("argument")
    if not isinstance(ref, dict) or not isinstance(argument, dict):
        raise invalid_params("ref and argument must be objects")
    arguments: JsonObject = {"argument": argument}
    if "context" in turn.params:
        arguments["context"] = turn.params["context"]
    kind = ref.get("type")
    if isinstance(kind, str) and not ref.keys() <= spec.REF_MEMBERS.get(kind, _NO_MEMBERS):
        raise invalid_params("ref has a member that it must not have")
    if "title" in ref:
        arguments["title"] = ref["title"]
    if kind == "ref/prompt":
        return Read((_item(turn, ResourceType.PROMPT, _name(ref), told(turn, arguments)),))
    if kind == "ref/resource":
        uri = arguments[URI] = check_uri(ref.get("uri"), template=True)
        return Read((_item(turn, ResourceType.RESOURCE, uri, told(turn, arguments)),))
    raise invalid_params("ref names neither a prompt nor a resource")


def _set_level(turn: Turn, desk: Desk) -> Read:
    level = turn.params.get("level")
    if not isinstance(level, str) or level not in LEVELS:
        raise invalid_params("level is none of the known ones")
    return _told(turn)


def _listing(turn: Turn, desk: Desk) -> Read:
    if turn.params.get("cursor", "") is None:
        del turn.params["cursor"]  # some clients write what they leave out
    if not isinstance(turn.params.get("cursor", ""), str):
        raise invalid_params("cursor must be a string")
    return _told(turn)


def _listen(turn: Turn, desk: Desk) -> Read:
    wanted = turn.params.get("notifications", {})
    if not isinstance(wanted, dict):
        raise invalid_params("notifications must be an object")
    for uri in subscribed(wanted):
        check_uri(uri)
    return _told(turn)


def _cancelled(turn: Turn, desk: Desk) -> Read:
    id_ = turn.params.get("requestId")
    if not isinstance(id_, str | int) or isinstance(id_, bool):
        raise invalid_params("requestId names no request")
    # Within a session only its own subject's requests can be meant; without one they must be
    # ours. On modern HTTP whoever closes the stream cancels, and nobody else can (§4.1).
    if turn.session is None and not turn.scope.is_in_flight(id_):
        raise MalformedError("no such request is under way", code=INVALID_REQUEST, cause="cancel")
    return _told(turn)


def _task(turn: Turn, desk: Desk) -> Read:
    handle = turn.params.get("taskId")
    if not isinstance(handle, str) or not 0 < len(handle) <= _TEXT_LIMIT:
        raise invalid_params("taskId must be a short string")
    upstream = turn.route.upstream
    tool = desk.sessions.tool_of(subject=turn.subject, upstream=upstream, handle=handle)
    if tool is None:
        raise no_such_task()
    if turn.method != "tasks/cancel":
        check_definition(turn, desk.pins.get(upstream, _TOOLS, tool))
    effect = spec.TASK_EFFECTS.get(turn.method) or _effect_of(turn, tool)
    ask = Ask(
        protocol=_MCP,
        name=turn.method,
        resource_type=ResourceType.API,
        upstream=upstream,
        resource=turn.method,
        arguments=told_params(turn) or {},
        effect=effect,
        plumbing=turn.method not in {"tasks/cancel", "tasks/update"},
        answers=call_of(turn, tool) if turn.method in _FETCHING else None,
    )
    return Read((ask, *input_asks(turn)))


def _effect_of(turn: Turn, tool: str) -> ActionEffect:
    """What a call of `tool` does: to go on with one (`tasks/update`) does no less."""
    entry = turn.manifest.upstreams.get(turn.upstream)
    return (entry.tools.get(tool, entry.default) if entry else UNDECLARED).effect


def _declared(turn: Turn) -> Read:
    """A method the specification does not know, but the platform team does."""
    upstream = turn.manifest.upstreams.get(turn.route.upstream)
    server_only = turn.method in spec.SERVER_REQUESTS or turn.method in spec.SERVER_NOTIFICATIONS
    if upstream is None or server_only or turn.method not in upstream.tools:
        raise unknown_method()
    ask = Ask(
        protocol=_MCP,
        name=turn.method,
        resource_type=ResourceType.API,
        upstream=turn.route.upstream,
        resource=turn.method,
        arguments=told_params(turn) or {},
    )
    return Read((ask,))


_HANDLERS: Final[dict[str, Callable[[Turn, Desk], Read]]] = {
    "tools/call": _offered,
    "prompts/get": _offered,
    "resources/read": _resource,
    "resources/subscribe": _resource,
    "resources/unsubscribe": _resource,
    "completion/complete": _complete,
    "logging/setLevel": _set_level,
    "tools/list": _listing,
    "prompts/list": _listing,
    "resources/list": _listing,
    "resources/templates/list": _listing,
    "subscriptions/listen": _listen,
    "notifications/cancelled": _cancelled,
    "tasks/get": _task,
    "tasks/result": _task,
    "tasks/cancel": _task,
    "tasks/update": _task,
}


# --- parts ---


def _check_members(turn: Turn) -> None:
    """Raises `MalformedError` for a member of params that no ask would show to policy."""
    known = spec.PARAMS_OF.get(turn.method)
    if known is None:
        return  # a declared method: all of its params are arguments
    if not turn.params.keys() <= known:
        by_wire = spec.PARAMS_MODERN if turn.is_modern else spec.PARAMS_LEGACY
        if not turn.params.keys() <= known | by_wire.get(turn.method, _NO_MEMBERS):
            raise invalid_params("params has a member that this method must not have")
    if "task" in turn.params:
        task = turn.params["task"]
        if not isinstance(task, dict) or not task.keys() <= spec.TASK_MEMBERS:
            raise invalid_params("task must be an object of nothing but a ttl")
        if not isinstance(task.get("ttl", 0), int | float):
            raise invalid_params("ttl must be a number")


def _item(turn: Turn, kind: ResourceType, name: str, arguments: JsonObject | None) -> Ask:
    host = uri_host(name) if kind is ResourceType.RESOURCE and "{" not in name else None
    return Ask(
        protocol=_MCP,
        name=turn.method,
        resource_type=kind,
        upstream=turn.route.upstream,
        resource=name,
        arguments=arguments,
        effect=ActionEffect.READ,
        hosts=(host,) if host else (),
    )


def _name(members: JsonObject) -> str:
    name: Json = members.get("name")
    if not isinstance(name, str):
        raise invalid_params("name must be a string")
    if not is_name(name):
        raise MalformedError(
            "the name must be 1 to 128 of A-Z, a-z, 0-9, _, . and -, and not of dots alone",
            code=INVALID_PARAMS,
            cause="name",
        )
    return name
