"""What conditions read: places of the input, places of policy's data, constants they name.

Law: names are followed through rules and functions, each once, up to a bound; a path with a
computed step counts up to that step.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from outrider.core.jsonvalue import Json, as_list, as_object
from outrider.policy.clauses import Clause, Lens
from outrider.policy.rule_text import bound_names, dotted, reference_nodes
from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Path,
    Rule,
    called_name,
    children,
    node_of,
    reference,
    walk,
)

_RULES: Final = 200
_MEMBERS: Final = 32
_LITERALS: Final = frozenset({"String", "RawString", "Number", "Bool"})


@dataclass(slots=True, kw_only=True)
class Reading:
    """What one condition reads, with all that it names. `datas` are below `data`."""

    inputs: dict[Path, None] = field(default_factory=dict)
    datas: dict[Path, None] = field(default_factory=dict)
    constants: list[Json] = field(default_factory=list)
    data_values: list[Json] = field(default_factory=list)


class Readings:
    """Readings of a release's rules."""

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
        self._world = lens.world
        self._rules: dict[Path, list[tuple[Module, Rule]]] = {}
        for module, rule in lens.world.each_rule():
            self._rules.setdefault(rule.path, []).append((module, rule))
        self._at: dict[str, list[Json]] | None = None

    def of(self, clauses: Iterable[Clause]) -> list[Reading]:
        """One for each condition of `clauses` and of what made them so: the last ones first, for a
        rule begins with what it is about."""
        found: list[Reading] = []
        for clause in clauses:
            for condition in reversed(clause.conditions):
                reading = Reading()
                self._read(clause.module, clause.rule, condition.node, reading, set())
                self._read_data(reading)
                found += [*self.of(condition.because), reading]
        return found

    def constants_at(self, pointer: str) -> list[Json]:
        """Constants that any condition of the release names beside this place of the input."""
        if self._at is None:
            self._at = {}
            for module, rule in self._world.each_rule():
                self._note(module, rule, self._at)
        return self._at.get(pointer, [])

    def _note(self, module: Module, rule: Rule, found: dict[str, list[Json]]) -> None:
        """A constant counts for the places beside it, by their own name or by a local one."""
        local: dict[str, list[str]] = {}
        for node in _statements(rule):
            constants = list(_constants(node))
            pointers: list[str] = []
            for part in reference_nodes(node):
                chain = reference(part)
                path = self._world.resolve(module, rule, chain)
                if path is None:
                    pointers += local.get(chain.root, [])
                elif path[0] == "input" and None not in chain.steps:
                    pointers.append("/" + "/".join(path[1:]))
            for name in bound_names(node):
                local[name] = pointers
            for pointer in pointers:
                found.setdefault(pointer, []).extend(constants)

    def _read(self, module: Module, rule: Rule, node: Node, into: Reading, seen: set[Path]) -> None:
        into.constants += list(_constants(node))
        for part in reference_nodes(node):
            path = self._world.resolve(module, rule, reference(part))
            if path is None:
                continue
            if path[0] == "input":
                into.inputs[path[1:]] = None
                continue
            targets = self._world.rules_within(path)
            if not targets:
                into.datas[path[1:]] = None
            for found in targets:
                self._enter(found, into, seen)
        for call in walk(node):
            if call.kind == "Call":
                called = self._world.resolve(module, rule, called_name(call))
                target = self._world.rule_at(called) if called is not None else None
                if target is not None:
                    self._enter(target, into, seen)

    def _enter(self, target: Path, into: Reading, seen: set[Path]) -> None:
        if target in seen or len(seen) >= _RULES:
            return
        seen.add(target)
        for module, rule in self._rules.get(target, ()):
            for node in _statements(rule):
                self._read(module, rule, node, into, seen)

    def _read_data(self, reading: Reading) -> None:
        for path in reading.datas:
            for value in self._lens.ask([], dotted(("data", *path))):
                if isinstance(value, list | dict):
                    members = value if isinstance(value, list) else list(value)
                    if len(members) <= _MEMBERS:
                        reading.data_values += [item for item in members if _is_plain(item)]
                elif _is_plain(value):
                    reading.data_values.append(value)


def _statements(rule: Rule) -> Iterator[Node]:
    """The conditions of a rule and the values it stands for, without messages."""
    head = node_of(rule.node.body.get("head"))
    value = rule.node.body.get("value") if head is None else head.body.get("assign")
    yield from _nodes(value)
    for item in as_list(rule.node.body.get("bodies")):
        body = as_object(item)
        yield from _nodes(body.get("assign"))
        for statement in as_list(as_object(body.get("query")).get("stmts")):
            yield from _nodes(as_object(statement).get("literal"))


def _nodes(value: Json) -> Iterator[Node]:
    found = node_of(value) or node_of(as_object(value).get("value"))
    if found is not None:
        yield found


def _constants(node: Node) -> Iterator[Json]:
    """Constants outside references: not the names in a path."""
    if node.kind in REFERENCES:
        return
    if node.kind in _LITERALS:
        value = node.body.get("value")
        if _is_plain(value):
            yield value
    for child in children(node):
        yield from _constants(child)


def _is_plain(value: Json) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 256)
