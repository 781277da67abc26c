"""The leaves of an answer with what the manifest says of each (CONTRACTS §3, `result`).

A line holds for everything at and below its path; a deeper line takes the place of a higher one's
label, and of two at one place the less trusted wins. `secret` and `pii` are said besides. The keys
of a map are values too, with the label of their map, but for those that lines name and, where
lines name some, others that are spelt as names are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from outrider.core.catalogue import ResultField, ToolEntry
from outrider.core.constraints import escape_token, resolve
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import FieldLabel, Label

_PROVENANCE: Final = {
    FieldLabel.PLATFORM: Label.PLATFORM,
    FieldLabel.RECORD: Label.RECORD,
    FieldLabel.UNTRUSTED: Label.UNTRUSTED,
}


class Mark(NamedTuple):
    """What is said of a leaf. `listed`: it stands in a list."""

    label: Label = Label.UNTRUSTED
    exact: bool = False
    secret: bool = False
    pii: bool = False
    creates: bool = False
    listed: bool = False


class Leaf(NamedTuple):
    """A string, number or key. `record` is the number of its record, 0 outside of all."""

    value: str | float
    pointer: str
    mark: Mark
    record: int


@dataclass(slots=True)
class Node:
    """A step of the paths that are named, with the lines that end there."""

    lines: list[ResultField] = field(default_factory=list)
    below: dict[str, "Node"] = field(default_factory=dict)
    records: bool = False


def plan_of(entry: ToolEntry, arguments: JsonObject | None) -> Node:
    """The lines of `entry` that hold for a call with these arguments, by path."""
    top = Node()
    for line in entry.result:
        if line.when is None or _holds(line.when, arguments):
            _at(top, line.path).lines.append(line)
    if entry.records is not None:
        _at(top, entry.records).records = True
    return top


def _holds(when: tuple[str, str], arguments: JsonObject | None) -> bool:
    pointer, prefix = when
    _, value = resolve(arguments or {}, pointer)
    return isinstance(value, str) and value.startswith(prefix) and ".." not in value.split("/")


def _at(node: Node, path: Sequence[str]) -> Node:
    for step in path:
        node = node.below.setdefault(step, Node())
    return node


class _Place(NamedTuple):
    value: Json
    nodes: tuple[Node, ...]
    mark: Mark
    pointer: str
    record: int


class Leaves:
    """The leaves of one answer, in its order. `records` counts as they are met; a tool that does
    not say what its records are has those of its outermost lists."""

    __slots__ = ("_declared", "_plan", "records")

    def __init__(self, entry: ToolEntry, plan: Node) -> None:
        self._plan = plan
        self._declared = entry.records is not None
        self.records = 0

    def of(self, value: Json, mark: Mark) -> Iterator[Leaf]:
        """`mark` is what holds where no line says anything."""
        stack = [_Place(value, (self._plan,), mark, "", 0)]
        while stack:
            place = stack.pop()
            inner = place.value
            mark, record = self._marked(place), place.record
            if any(node.records for node in place.nodes) and not isinstance(inner, list):
                record = self._next() if inner is not None else record
            if isinstance(inner, str):
                if inner:
                    yield Leaf(inner, place.pointer, mark, record)
            elif isinstance(inner, list):
                stack += reversed(self._items(place, inner, mark))
            elif isinstance(inner, dict):
                yield from self._keys(place, inner, mark, record)
                stack += reversed(_members(place, inner, mark, record))
            elif inner is not None and not isinstance(inner, bool):
                yield Leaf(inner, place.pointer, mark, record)

    def _next(self) -> int:
        self.records += 1
        return self.records

    def _marked(self, place: _Place) -> Mark:
        lines = [line for node in place.nodes for line in node.lines]
        if not lines:
            return place.mark._replace(creates=False) if place.mark.creates else place.mark
        said = [
            (_PROVENANCE[line.label], line.exact) for line in lines if line.label in _PROVENANCE
        ]
        label, exact = place.mark.label, place.mark.exact
        if said:
            label = max((one for one, _ in said), key=lambda one: one.rank)
            exact = all(only for one, only in said if one is label)
        return Mark(
            label=label,
            exact=exact,
            secret=place.mark.secret or any(one.label is FieldLabel.SECRET for one in lines),
            pii=place.mark.pii or any(one.label is FieldLabel.PII for one in lines),
            creates=any(one.creates for one in lines),
            listed=place.mark.listed,
        )

    def _items(self, place: _Place, items: list[Json], mark: Mark) -> list[_Place]:
        """A list's items: each a record of its own where the list is what is counted."""
        counted = any(node.records for node in place.nodes)
        counted = counted or (not self._declared and place.record == 0)
        nodes = tuple(node.below["*"] for node in place.nodes if "*" in node.below)
        mark = mark._replace(listed=True, creates=mark.creates)
        return [
            _Place(
                item,
                nodes,
                mark,
                f"{place.pointer}/{index}",
                self._next() if counted else place.record,
            )
            for index, item in enumerate(items)
        ]

    def _keys(
        self, place: _Place, inner: dict[str, Json], mark: Mark, record: int
    ) -> Iterator[Leaf]:
        named = {step for node in place.nodes for step in node.below}
        structured = bool(named - {"*"})  # then an unnamed key is a name of the tool's own
        for key in inner:
            if key and key not in named and not (structured and key.isidentifier()):
                yield Leaf(key, place.pointer, mark._replace(creates=False), record)


def _members(
    place: _Place, inner: dict[str, Json], mark: Mark, record: int
) -> list[_Place]:  # fmt: skip
    found: list[_Place] = []
    for key, value in inner.items():
        nodes = tuple(
            node.below[step] for node in place.nodes for step in (key, "*") if step in node.below
        )
        found.append(_Place(value, nodes, mark, f"{place.pointer}/{escape_token(key)}", record))
    return found
