"""What a server asks of the agent, and what the agent's answers ask."""

from typing import Final

from outrider.core.action import Ask
from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.vocabulary import Phase, ProtocolName, ResourceType
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.asks import SUBSCRIPTIONS, Read, invalid_params, plumbing
from outrider.protocols.adapters.mcp.meta import without_own
from outrider.protocols.adapters.mcp.names import check_uri, uri_host
from outrider.protocols.adapters.mcp.turn import Turn

_MCP: Final = ProtocolName.MCP
_INPUTS: Final = 64
_ROOTS: Final = "roots/list"
_INPUT_KEY: Final = 128


def read_answer(turn: Turn, method: str) -> Read:
    """What the agent's answer to a server's request asks: whatever it says leaves, an error's
    words as well as a result."""
    result = turn.value.get("result")
    if "error" in turn.value:
        arguments: JsonObject = {"error": turn.value["error"]}
    elif isinstance(result, dict):
        arguments = without_own(result)
    else:
        raise invalid_params("a result must be an object")
    if method == _ROOTS and isinstance(result, dict):
        _check_roots(result)
    if method not in spec.SERVER_ASKS:
        return Read((plumbing(turn, method, arguments or None),))
    return Read((server_ask(turn.upstream, method, arguments),))


def server_ask(
    upstream: str, method: str, arguments: JsonObject | None, phase: Phase = Phase.REQUEST
) -> Ask:
    """What a server asks of the agent, or the agent's answer to it, as the agent's action."""
    host = host_of((arguments or {}).get("url"))
    return Ask(
        protocol=_MCP,
        name=method,
        phase=phase,
        resource_type=ResourceType.API,
        upstream=upstream,
        resource=method,
        arguments=arguments,
        effect=spec.SERVER_ASKS[method],
        hosts=(host,) if host else (),
    )


def host_of(url: Json) -> str | None:
    """The host that a URL in a message points at; None where it names none that can be read."""
    try:
        return uri_host(url) if isinstance(url, str) else None
    except MalformedError:
        return None


def input_asks(turn: Turn) -> tuple[Ask, ...]:
    """The agent's answers to what a server asked within a call: they carry data out (2026)."""
    inputs = turn.params.get("inputResponses")
    if inputs is None or not turn.is_modern:
        return ()
    if not isinstance(inputs, dict) or len(inputs) > _INPUTS:
        raise invalid_params("inputResponses must be an object of a few objects")
    return tuple(_input(turn, key, response) for key, response in inputs.items())


def _input(turn: Turn, key: str, response: Json) -> Ask:
    if len(key) > _INPUT_KEY or not isinstance(response, dict):
        raise invalid_params("an input response must be an object under a short key")
    method = _answered(response)
    if method == _ROOTS:
        _check_roots(response)
    return server_ask(turn.route.upstream, method, without_own(response))


def shared_roots(turn: Turn) -> list[JsonObject]:
    """The answers within this message that tell a server of roots: each has a list of them."""
    if turn.answers == _ROOTS:
        answers: list[Json] = [turn.value.get("result")]
    elif turn.is_modern and "inputResponses" in turn.params:
        answers = list(as_object(turn.params["inputResponses"]).values())
    else:
        return []
    return [one for one in answers if isinstance(one, dict) and "roots" in one]


def root_ask(upstream: str, uri: str) -> Ask:
    """One root told to a server, to be judged by its own URI."""
    host = host_of(uri)
    return Ask(
        protocol=_MCP,
        name=_ROOTS,
        phase=Phase.LIST,
        resource_type=ResourceType.RESOURCE,
        upstream=upstream,
        resource=uri,
        arguments=None,
        effect=spec.SERVER_ASKS[_ROOTS],
        hosts=(host,) if host else (),
    )


def _check_roots(answer: JsonObject) -> None:
    """Raises `MalformedError` for roots that could not be judged one by one."""
    roots = answer.get("roots")
    if not isinstance(roots, list) or len(roots) > SUBSCRIPTIONS:
        raise invalid_params("roots must be an array, and no longer than the limit")
    for root in roots:
        if not isinstance(root, dict):
            raise invalid_params("a root must be an object")
        check_uri(root.get("uri"))


def _answered(response: JsonObject) -> str:
    """What `response` answers. Raises `MalformedError` for one that could be taken for another."""
    for method, (needed, members) in spec.INPUT_SHAPES.items():
        if needed in response and response.keys() <= members:
            return method
    raise invalid_params("an input response has the form of no answer to a server")
