"""The leaves of an answer with what the manifest says of each (CONTRACTS §3, `result`).

A line holds for everything at and below its path; a deeper line takes the place of a higher one's
label, and of two at one place the less trusted wins. `secret` and `pii` are said besides. The keys
of a map are values too, with the label of their map, but for those that lines name and, where
lines name some, others that are spelt as names are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from outrider.core.catalogue import ResultField, ToolEntry
from outrider.core.constraints import escape_token, resolve
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.result_paths import EACH
from outrider.core.vocabulary import FieldLabel, Label
from outrider.tasks.provenance.forms import written

STEP_LEAVES: Final = 128
STEP_CHARS: Final = 16 << 10
"""So many leaves, or characters of them, are taken in one go."""
_STEP_ITEMS: Final = 1024
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


_Nodes: TypeAlias = tuple[Node, ...]
_Place: TypeAlias = tuple[Json, _Nodes, Mark, str, int]
PLAIN: Final = Mark()


class Leaves:
    """The leaves of one answer. Those of which nothing is said gather in `texts`, each with its
    place in `pointers`; `of` yields the others, and None when so many gathered that it is time to
    take them.

    `records` counts as they are met; a tool that does not say what its records are has those of
    its outermost lists.
    """

    __slots__ = ("_declared", "_names", "_plan", "_stack", "chars", "pointers", "records", "texts")

    def __init__(self, entry: ToolEntry, plan: Node) -> None:
        self._plan = plan
        self._declared = entry.records is not None
        self._stack: list[_Place] = []
        self.records = 0
        self.texts: list[str] = []
        self.pointers: list[str] = []
        self.chars = 0
        self._names: set[str] = set()

    def of(self, value: Json, mark: Mark) -> Iterator[Leaf | None]:
        """`mark` is what holds where no line says anything."""
        stack = self._stack
        stack.append((value, (self._plan,), mark, "", 0))
        while stack:
            value, nodes, mark, pointer, record = stack.pop()
            if nodes:
                mark, record = self._marked(value, nodes, mark, record)
            if isinstance(value, dict):
                mark = mark._replace(creates=False) if mark.creates else mark
                yield from self._keys(value, nodes, mark, pointer, record)
                yield from self._members(value, nodes, mark, pointer, record)
            elif isinstance(value, list):
                yield from self._items(value, nodes, mark, pointer, record)
            elif value is not None and not isinstance(value, bool) and value != "":
                leaf = self._leaf(value, mark, pointer, record)
                if leaf is not None:
                    yield leaf
            if self.is_full:
                yield None

    @property
    def is_full(self) -> bool:
        return self.chars >= STEP_CHARS or len(self.texts) >= STEP_LEAVES

    def taken(self) -> tuple[list[str], list[str]]:
        """What gathered, which is handed over."""
        texts, pointers = self.texts, self.pointers
        self.texts, self.pointers, self.chars = [], [], 0
        return texts, pointers

    def _leaf(self, value: str | float, mark: Mark, pointer: str, record: int) -> Leaf | None:
        if not _is_plain(mark):
            return Leaf(value, pointer, mark, record)
        if isinstance(value, str) and len(value) > STEP_CHARS:
            return Leaf(value, pointer, mark, record)
        self.gather(value, pointer)
        return None

    def gather(self, value: str | float, pointer: str) -> None:
        text = value if isinstance(value, str) else written(value)
        self.texts.append(text)
        self.pointers.append(pointer)
        self.chars += len(text)

    def _marked(self, value: Json, nodes: _Nodes, mark: Mark, record: int) -> tuple[Mark, int]:
        lines = [line for node in nodes for line in node.lines]
        if lines:
            mark = _with_lines(mark, lines)
        if value is not None and not isinstance(value, list) and _counts(nodes):
            record = self._next()
        return mark, record

    def _next(self) -> int:
        self.records += 1
        return self.records

    def _items(
        self, items: list[Json], nodes: _Nodes, mark: Mark, pointer: str, record: int
    ) -> Iterator[None]:
        """A list's items: each a record of its own where the list is what is counted."""
        counted = _counts(nodes) or (not self._declared and record == 0)
        below = tuple(node.below[EACH] for node in nodes if EACH in node.below)
        if not mark.listed:
            mark = _LISTED if mark == PLAIN else mark._replace(listed=True)
        first = self.records + 1
        if counted:
            self.records += len(items)
        rest: list[_Place] = []
        for start in range(0, len(items), _STEP_ITEMS):
            rest += [
                (item, below, mark, f"{pointer}/{index}", first + index if counted else record)
                for index, item in enumerate(items[start : start + _STEP_ITEMS], start)
            ]
            if start:
                yield
        rest.reverse()
        self._stack += rest

    def _members(
        self, members: JsonObject, nodes: _Nodes, mark: Mark, pointer: str, record: int
    ) -> Iterator[None]:
        """Plain texts gather at once; the rest is put on the stack, the first on top."""
        plain = _is_plain(mark)
        rest: list[_Place] = []
        for key, value in members.items():
            below = _below(nodes, key) if nodes else ()
            at = f"{pointer}/{key}" if key.isalnum() else f"{pointer}/{escape_token(key)}"
            if plain and not below and isinstance(value, str) and len(value) <= STEP_CHARS:
                if value:
                    self.gather(value, at)
                    if self.is_full:
                        yield
            else:
                rest.append((value, below, mark, at, record))
                if len(rest) % _STEP_ITEMS == 0:
                    yield
        rest.reverse()
        self._stack += rest

    def _keys(
        self, members: JsonObject, nodes: _Nodes, mark: Mark, pointer: str, record: int
    ) -> Iterator[Leaf | None]:
        """The names that are values; of those nothing is said of, each once an answer."""
        if not nodes and _is_plain(mark) and members.keys() <= self._names:
            return
        named = {step for node in nodes for step in node.below}
        structured = bool(named - {EACH})  # then an unnamed key is a name of the tool's own
        plain = _is_plain(mark)
        for key in members:
            if not key or key in named or (structured and key.isidentifier()):
                continue
            if not plain:
                yield Leaf(key, pointer, mark, record)
            elif key not in self._names:
                self._names.add(key)
                self.gather(key, pointer)
                if self.is_full:
                    yield None


_LISTED: Final = Mark(listed=True)


def _is_plain(mark: Mark) -> bool:
    return mark is _LISTED or mark is PLAIN or mark in (PLAIN, _LISTED)


def _below(nodes: _Nodes, key: str) -> _Nodes:
    return tuple(node.below[step] for node in nodes for step in (key, EACH) if step in node.below)


def _counts(nodes: _Nodes) -> bool:
    return any(node.records for node in nodes)


def _with_lines(mark: Mark, lines: Sequence[ResultField]) -> Mark:
    said = [(_PROVENANCE[line.label], line.exact) for line in lines if line.label in _PROVENANCE]
    label, exact = mark.label, mark.exact
    if said:
        label = max((one for one, _ in said), key=lambda one: one.rank)
        exact = all(only for one, only in said if one is label)
    return Mark(
        label=label,
        exact=exact,
        secret=mark.secret or any(line.label is FieldLabel.SECRET for line in lines),
        pii=mark.pii or any(line.label is FieldLabel.PII for line in lines),
        creates=any(line.creates for line in lines),
        listed=mark.listed,
    )
