"""Tools that find tools: what a caller may not see is left out of what they find (CONTRACTS §3).

Laws: a found tool is judged as one of a list is, under the upstream the manifest names; one whose
name cannot be called is left out; where anything is left out, what says the same in words is said
anew. What is neither structured nor JSON is a result like any other.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from outrider.core import strict_json
from outrider.core.action import Ask
from outrider.core.catalogue import Offers
from outrider.core.errors import MalformedError, UpstreamFailedError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.vocabulary import Phase, ProtocolName, ResourceType
from outrider.protocols.adapters.mcp.names import is_name
from outrider.protocols.adapters.mcp.turn import Desk, Turn

_STRUCTURED: Final = "structuredContent"


@dataclass(slots=True)
class Found:
    """The tools in one result, and the asks that say which of them its caller may see."""

    result: JsonObject
    whole: Json
    holder: JsonObject
    key: str
    items: list[Json]
    names: list[str | None]
    asks: tuple[Ask, ...]

    def keep(self, verdicts: tuple[bool, ...]) -> None:
        """Leave out what is not seen. One verdict for each ask."""
        shown = iter(verdicts)
        kept = [
            item
            for item, name in zip(self.items, self.names, strict=True)
            if name is not None and next(shown)
        ]
        if len(kept) == len(self.items):
            return
        self.holder[self.key] = kept
        text = orjson.dumps(self.whole).decode()
        self.result["content"] = [{"type": "text", "text": text}]


def found_in(turn: Turn, desk: Desk, result: JsonObject) -> Found | None:
    """What a call of a tool that finds tools found; None for other calls and other results.

    Raises `UpstreamFailedError` for more than a page of a list may hold.
    """
    upstream = turn.manifest.upstreams.get(turn.upstream)
    entry = upstream.tools.get(str(turn.params.get("name"))) if upstream is not None else None
    if turn.method != "tools/call" or entry is None or entry.offers is None:
        return None
    whole = _value(result, desk)
    holder = _at(whole, entry.offers.items[:-1])
    key = entry.offers.items[-1]
    items = holder.get(key)
    if not isinstance(items, list):
        return None
    if len(items) > turn.options.list_items:
        raise UpstreamFailedError("more tools are found than mcp.list_items allows")
    names = [_name(item, entry.offers) for item in items]
    asks = tuple(_ask(entry.offers.upstream, name) for name in names if name is not None)
    return Found(result, whole, holder, key, items, names, asks)


def _value(result: JsonObject, desk: Desk) -> Json:
    """The structured content, or the one text that is JSON."""
    if _STRUCTURED in result:
        return result[_STRUCTURED]
    blocks = [as_object(block) for block in as_list(result.get("content"))]
    text = blocks[0].get("text") if len(blocks) == 1 else None
    if not isinstance(text, str):
        return None
    try:
        return strict_json.read(text.encode(), desk.response_json)
    except (MalformedError, UnicodeEncodeError):
        return None


def _at(value: Json, steps: tuple[str, ...]) -> JsonObject:
    for step in steps:
        value = as_object(value).get(step)
    return as_object(value)


def _name(item: Json, offers: Offers) -> str | None:
    found = _at(item, offers.name[:-1]).get(offers.name[-1])
    return found if isinstance(found, str) and is_name(found) else None


def _ask(upstream: str, name: str) -> Ask:
    return Ask(
        protocol=ProtocolName.MCP,
        name="tools/call",
        phase=Phase.LIST,
        resource_type=ResourceType.TOOL,
        upstream=upstream,
        resource=name,
        arguments=None,
    )
