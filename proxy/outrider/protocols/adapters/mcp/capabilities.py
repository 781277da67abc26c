"""What a server says that it can, as far as it reaches this caller (PROTOCOLS §4.3).

Law: what would be refused is not offered: neither what no version here knows, nor what policy or
the grant keeps from this caller.
"""

from collections.abc import Callable
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Judge, Step
from outrider.core.vocabulary import Phase
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.asks import plumbing
from outrider.protocols.adapters.mcp.turn import Turn

_CHANGES: Final = frozenset({"listChanged"})
# A capability, the method that it is for, and what it may say of itself.
_KNOWN: Final = {
    "tools": ("tools/list", _CHANGES),
    "prompts": ("prompts/list", _CHANGES),
    "resources": ("resources/list", _CHANGES | {"subscribe"}),
    "completions": ("completion/complete", frozenset[str]()),
    "logging": ("logging/setLevel", frozenset[str]()),
    "tasks": ("tasks/list", frozenset({"list", "cancel", "requests"})),
}
_EXTENSIONS: Final = frozenset({spec.TASKS_EXTENSION})
_OPEN: Final = frozenset({"experimental", "extensions"})


def offer_less(turn: Turn, result: JsonObject, then: Callable[[], list[Step]]) -> list[Step]:
    """The steps that take out of `result` what does not reach this caller, and go on."""
    capabilities = result.get("capabilities")
    if not isinstance(capabilities, dict):
        return then()
    version = turn.version if turn.is_modern else str(result.get("protocolVersion"))
    _keep_known(turn, version, capabilities)
    judged_by = {
        name: plumbing(turn, _KNOWN[name][0])
        for name in capabilities
        if name in _KNOWN and version in spec.CLIENT_REQUESTS[_KNOWN[name][0]]
    }

    def judged(verdicts: tuple[bool, ...]) -> list[Step]:
        for name, passes in zip(judged_by, verdicts, strict=True):
            if not passes:
                del capabilities[name]
        return then()

    if not judged_by:
        return then()
    return [Judge(asks=tuple(judged_by.values()), phase=Phase.LIST, then=judged)]


def _keep_known(turn: Turn, version: str, capabilities: JsonObject) -> None:
    is_open = _declares_methods(turn)
    with_tasks = version in spec.CLIENT_REQUESTS["tasks/list"]
    for name, said in list(capabilities.items()):
        if name in _OPEN and is_open:
            continue
        _, members = _KNOWN.get(name, (None, None))
        if name == "extensions" and turn.is_modern:
            members = _EXTENSIONS
        if members is None or not isinstance(said, dict) or (name == "tasks" and not with_tasks):
            del capabilities[name]
        else:
            capabilities[name] = {key: said[key] for key in said if key in members}


def _declares_methods(turn: Turn) -> bool:
    """Whether the platform team declared methods that no version knows: what announces them may
    then be among what is not known here."""
    upstream = turn.manifest.upstreams.get(turn.upstream)
    methods = upstream.tools if upstream is not None else {}
    return any("/" in name and name not in spec.CLIENT_REQUESTS for name in methods)
