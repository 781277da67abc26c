"""What asks are made of, whichever message they stand in."""

from typing import Final, NamedTuple

from outrider.core.action import Ask
from outrider.core.errors import MalformedError
from outrider.core.exchange import Headers
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import ActionEffect, BodyKind, ProtocolName, ResourceType
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.turn import Turn
from outrider.protocols.wire.jsonrpc import INVALID_PARAMS

SUBSCRIPTIONS: Final = 500  # policy is asked of each
_MCP: Final = ProtocolName.MCP
_TOOL: Final = ResourceType.TOOL


class Read(NamedTuple):
    """What a message asks, and the mirrored argument headers that must leave with it."""

    asks: tuple[Ask, ...]
    mirrored: Headers = ()


def plumbing(turn: Turn, method: str, arguments: JsonObject | None = None) -> Ask:
    """What every caller of an upstream needs."""
    return Ask(
        protocol=_MCP,
        name=method,
        resource_type=ResourceType.API,
        upstream=turn.route.upstream,
        resource=method,
        arguments=arguments,
        body=BodyKind.JUDGED,
        effect=spec.PLUMBING.get(method, ActionEffect.READ),
        plumbing=True,
    )


def call_of(turn: Turn, tool: str) -> Ask:
    """The call that a task is of: its result is that call's answer."""
    return Ask(
        protocol=_MCP,
        name="tools/call",
        resource_type=_TOOL,
        upstream=turn.upstream,
        resource=tool,
        arguments=None,
    )


def subscribed(wanted: JsonObject) -> list[str]:
    """The URIs a listen request names."""
    uris = wanted.get("resourceSubscriptions", [])
    if not isinstance(uris, list) or len(uris) > SUBSCRIPTIONS:
        raise invalid_params("resourceSubscriptions must be an array, and no longer than the limit")
    if not all(isinstance(uri, str) for uri in uris):
        raise invalid_params("resourceSubscriptions must be an array of strings")
    return [uri for uri in uris if isinstance(uri, str)]


def invalid_params(detail: str) -> MalformedError:
    return MalformedError(detail, code=INVALID_PARAMS, cause="params")
