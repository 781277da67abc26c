"""What a message of an MCP server teaches, before the agent hears it (GOVERNANCE §4.4).

Law: every text that reaches the agent is said, save lists (which are pinned) and the handshake.
Structured content is what the manifest's field labels are about, or without it the only text of a
result; never an error, nor what came unasked. Pictures and sounds are nobody's to read, so of them
it is only said that there was more.
"""

from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import Learn
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.turn import Turn

_MOST_TEXTS: Final = 20_000
"""Strings of one message that are told; of one with more it is said that there was more."""
_SILENT: Final = frozenset({*spec.LISTING_OF, "initialize", "server/discover", "ping"})
_BINARY: Final = frozenset({("image", "data"), ("audio", "data")})
_QUIET: Final = frozenset({"type", "mimeType", "role", "resultType", "annotations"})
"""Members whose strings are words of the protocol."""
_OURS: Final = frozenset({"jsonrpc", "id", "method"})
_STRUCTURED: Final = "structuredContent"


def lesson(turn: Turn, message: JsonObject) -> Learn | None:
    """What `message`, as the agent will get it, says; None where it says nothing."""
    if "result" in message:
        if turn.method in _SILENT:
            return None
        return _result(as_object(message["result"]))
    if "method" in message and turn.method in _SILENT and _is_plain(message):
        return None
    said = {name: inner for name, inner in message.items() if name not in _OURS}
    return _said([said], None, failed=True)


def _result(result: JsonObject) -> Learn | None:
    around: JsonObject = {}
    failed = says_error(result)
    inner = _task_result(result)
    if inner is not None:
        around = {name: value for name, value in result.items() if name != "result"}
        result = inner
    if _STRUCTURED in result:
        rest = {name: value for name, value in result.items() if name != _STRUCTURED}
        return _said([rest, around], result[_STRUCTURED], failed=failed)
    only = _only_text(result)
    if only is None:
        return _said([result, around], None, failed=failed)
    rest = {name: value for name, value in result.items() if name != "content"}
    return _said([only, rest, around], None, failed=failed, spelt=not failed)


def says_error(result: JsonObject) -> bool:
    """Whether a tool says in `result`, or in that of its task, that it failed."""
    told = (result, _task_result(result) or {})
    return any(one.get("isError") not in (None, False) for one in told)


def _task_result(result: JsonObject) -> JsonObject | None:
    """The result inside that of a task which came to its end."""
    inner = result.get("result")
    if isinstance(inner, dict) and (_STRUCTURED in inner or "content" in inner):
        return inner
    return None


def _only_text(result: JsonObject) -> Json:
    """The content of `result` where that is one text, which then may spell its value."""
    content = result.get("content")
    if not isinstance(content, list) or len(content) != 1:
        return None
    block = as_object(content[0])
    if block.get("type") != "text" or not isinstance(block.get("text"), str):
        return None
    others: JsonObject = {name: inner for name, inner in block.items() if name != "text"}
    return [block["text"], others]


def _is_plain(message: JsonObject) -> bool:
    """Whether a message carries no text beside names of the protocol."""
    return not as_object(message.get("params"))


def _said(
    members: list[Json], value: Json, *, failed: bool = False, spelt: bool = False
) -> Learn | None:
    texts, whole = _texts(members)
    if value is None and not texts and whole:
        return None
    return Learn(value=value, texts=texts, whole=whole, failed=failed, spelt=spelt)


def _texts(members: list[Json]) -> tuple[tuple[str, ...], bool]:
    """Every string in `members`, in order, and whether that is all there was."""
    found: list[str] = []
    whole = True
    stack: list[Json] = [*reversed(members)]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            found.append(node)
            if len(found) >= _MOST_TEXTS:
                return tuple(found), False
        elif isinstance(node, list):
            stack.extend(reversed(node))
        elif isinstance(node, dict):
            whole = _open(node, stack) and whole
    return tuple(found), whole


def _open(node: JsonObject, stack: list[Json]) -> bool:
    """Put what `node` says on the stack; False where some of it is not to be read."""
    kind = node.get("type")
    whole = True
    for name in reversed(node):
        inner = node[name]
        if name == "blob" or (kind, name) in _BINARY:
            whole = False
        elif name not in _QUIET or not isinstance(inner, str):
            stack.append(inner)
    return whole
