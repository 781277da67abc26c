"""A task's index with a manifest around it: what is read, and the labels a call then has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outrider.core.action import Action, Ask
from outrider.core.facts import Answered
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest import Manifest, ToolEntry, complete, parse_manifest
from outrider.core.vocabulary import ProtocolName, ResourceType
from outrider.tasks.provenance.answers import Learnt, Looked
from outrider.tasks.provenance.index import Index

KEY = b"\x07" * 32
ROLES: dict[str, Any] = {
    "to": {"role": "destination", "type": "email"},
    "url": {"role": "destination", "type": "url"},
    "place": {"role": "destination"},
    "id": {"role": "target", "type": "id"},
    "path": {"role": "target", "type": "path"},
    "iban": {"role": "destination", "type": "iban"},
    "name": {"role": "selector"},
    "day": {"role": "selector", "type": "date"},
    "amount": {"role": "amount", "type": "number"},
    "command": {"role": "command"},
    "body": {"role": "content"},
}
ZONES: Any = {"domains": {"*.acme.test": "internal", "acme.test": "internal"}}


def a_manifest(**tools: Any) -> Manifest:
    """`crm` with tools `send`, `save` and `read`, all of whose arguments have a role."""
    known: dict[str, Any] = {
        "send": {"effect": "send", "arguments": ROLES},
        "save": {"effect": "write", "arguments": ROLES},
        "read": {"effect": "read", "arguments": ROLES},
    }
    return parse_manifest({"crm": {"tools": known | tools}, "erp": {"tools": known}}, ZONES)


@dataclass
class Desk:
    """One task at work. `says` are the lines of `result` of whatever it reads."""

    index: Index = field(default_factory=lambda: Index(key=KEY))
    events: int = 0

    def action(
        self, tool: str, given: JsonObject | None, upstream: str = "crm", **entry: Any
    ) -> tuple[Action, ToolEntry, Manifest]:
        tools = {tool: {"effect": "read", "arguments": ROLES} | entry} if entry else {}
        manifest = a_manifest(**tools)
        ask = Ask(
            protocol=ProtocolName.MCP,
            name="tools/call",
            resource_type=ResourceType.TOOL,
            upstream=upstream,
            resource=tool,
            arguments=given,
        )
        return complete(ask, manifest), manifest.upstreams[upstream].tools[tool], manifest

    def reads(
        self,
        value: Json = None,
        *says: Mapping[str, Json],
        texts: tuple[str, ...] = (),
        arguments: JsonObject | None = None,
        records: str | None = None,
        **answer: Any,
    ) -> Learnt:
        """Take in an answer of `crm/read`; the first is `evt_1`."""
        self.events += 1
        entry: dict[str, Any] = {"result": [dict(line) for line in says]} | (
            {"records": records} if records else {}
        )
        action, tool, _ = self.action("read", arguments or {}, **entry)
        answered = Answered(action=0, value=value, texts=texts, **answer)
        return self.index.learn(f"evt_{self.events}", answered, action=action, entry=tool)

    def answers(
        self, tool: str, value: Json, *says: Mapping[str, Json], **arguments: Json
    ) -> Learnt:
        """Take in the answer of a call that carried `arguments`."""
        self.events += 1
        effect = {"send": "send", "save": "write"}.get(tool, "read")
        lines = [dict(line) for line in says]
        action, entry, _ = self.action(tool, arguments, effect=effect, result=lines)
        answered = Answered(action=0, value=value)
        return self.index.learn(f"evt_{self.events}", answered, action=action, entry=entry)

    def wrote(self, tool: str = "save", **arguments: Json) -> None:
        self.events += 1
        action, entry, _ = self.action(tool, arguments)
        self.index.wrote(action, entry=entry, event=f"evt_{self.events}")

    def looks(self, tool: str = "send", upstream: str = "crm", **arguments: Json) -> Looked:
        action, entry, manifest = self.action(tool, arguments, upstream)
        return self.index.look(action, entry=entry, zones=manifest.zones)

    def entry(self, name: str, value: Json, upstream: str = "crm") -> dict[str, Any]:
        """What a call with that one argument is told of it."""
        arguments: dict[str, Any] = {name: value}
        looked = self.looks(upstream=upstream, **arguments)
        (entry,) = looked.entries.values()
        assert isinstance(entry, dict)
        return entry

    def label(self, name: str, value: Json, upstream: str = "crm") -> str:
        return str(self.entry(name, value, upstream)["label"])


def a_desk(*anchors: str, incomplete: bool = False) -> Desk:
    """A task whose principal wrote `anchors`."""
    desk = Desk(index=Index(key=KEY, incomplete=incomplete))
    desk.index.anchor(anchors)
    return desk
