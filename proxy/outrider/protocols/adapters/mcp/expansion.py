"""What a schema comes to once its references are followed, reckoned without following them.

Laws: the text of a schema bounds nothing, since a reference costs a word and stands for a whole
schema; a cycle of references must step into the instance, and never in two places at once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.patterns import weigh

COST_MAX: Final = 10_000
_CHAIN: Final = 100
_LEVELS: Final = 64
_PATTERN: Final = 60
_BACKTRACKING: Final = 1500
_UNIQUE: Final = 30
_FORMAT: Final = 5
_MULTIPLE: Final = 12
_FRACTION: Final = 60
_TURN: Final = 3
_IN_PLACE: Final = ("not", "if", "then", "else")
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE_MAPS: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS: Final = ("$anchor", "$dynamicAnchor", "$id", "id")
_WORDS: Final = ("enum", "const", "required", "type", "dependentRequired", "dependencies")


class ExpansionError(ValueError):
    """A schema that is no good; the message is one closed word."""


@dataclass(slots=True)
class _Into:
    """Where a schema steps into an object, or into an array: each member is judged by its own
    entry of `named` or else by `other`, and by all of `every`."""

    named: dict[str, JsonObject] = field(default_factory=dict)
    other: JsonObject | None = None
    every: list[JsonObject] = field(default_factory=list)

    def all(self) -> Iterator[JsonObject]:
        yield from self.named.values()
        yield from self.every
        if self.other is not None:
            yield self.other


@dataclass(slots=True)
class _Node:
    schema: JsonObject
    index: int
    low: int
    here: list[JsonObject]
    objects: _Into
    arrays: _Into
    group: int = -1
    grows: bool = False


def cost_of(root: JsonObject) -> int:
    """The most subschemas that may judge one place of an instance, at most `COST_MAX`.

    Raises `ExpansionError` for more, and for references that do not resolve or never end.
    """
    return _Expansion(root).cost()


class _Expansion:
    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._anchors = _anchors(root)
        self._nodes: dict[int, _Node] = {}
        self._open: list[_Node] = []
        self._groups = 0
        self._costs: dict[int, int] = {}
        self._steps: dict[int, tuple[_Steps, _Steps]] = {}

    def cost(self) -> int:
        self._visit(self._root, 0)
        for node in self._nodes.values():
            if node.grows:
                objects, arrays = self._steps_of(node, ())
                if objects.most() > 1 or arrays.most() > 1:
                    raise ExpansionError("recursion")
        return self._cost(self._root, frozenset())

    # --- the graph and its cycles (Tarjan) ---

    def _visit(self, schema: JsonObject, chain: int) -> _Node:
        if chain > _CHAIN:
            raise ExpansionError("too_large")
        if chain and any(_is_base(schema.get(key)) for key in ("$id", "id")):
            raise ExpansionError("inner_base")
        index = len(self._nodes)
        node = _Node(
            schema, index, index, self._here(schema), _into_objects(schema), _into_arrays(schema)
        )
        self._nodes[id(schema)] = node
        self._open.append(node)
        for target in (*node.here, *node.objects.all(), *node.arrays.all()):
            known = self._nodes.get(id(target))
            if known is None:
                node.low = min(node.low, self._visit(target, chain + 1).low)
            elif known.group < 0:
                node.low = min(node.low, known.index)
            node.grows = node.grows or target is schema
        if node.low == node.index:
            self._close(node)
        return node

    def _close(self, head: _Node) -> None:
        at = self._open.index(head)
        members, self._open = self._open[at:], self._open[:at]
        for node in members:
            node.group = self._groups
            node.grows = node.grows or len(members) > 1
        self._groups += 1

    def _here(self, schema: JsonObject) -> list[JsonObject]:
        """The schemas that judge the same place as `schema` does."""
        found: list[Json] = [schema.get(key) for key in _IN_PLACE]
        for key in _IN_PLACE_LISTS:
            found.extend(_items(schema.get(key)))
        for key in _IN_PLACE_MAPS:
            found.extend(_members(schema.get(key)).values())
        here = [one for one in found if isinstance(one, dict)]
        for key in _REFERENCES:
            reference = schema.get(key)
            if isinstance(reference, str):
                here.extend(self._targets(reference))
        return here

    def _targets(self, reference: str) -> list[JsonObject]:
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            found = self._anchors.get(pointer, [])
        else:
            target = _at(self._root, pointer)
            found = [target] if isinstance(target, dict) else []
            if isinstance(target, bool):
                return []
        if not reference.startswith("#") or not found:
            raise ExpansionError("reference")
        return found

    # --- what may branch within a cycle ---

    def _steps_of(self, node: _Node, above: tuple[int, ...]) -> "tuple[_Steps, _Steps]":
        """The steps from `node`'s place back into its own cycle."""
        known = self._steps.get(node.index)
        if known is not None:
            return known
        if node.index in above:
            raise ExpansionError("recursion")
        objects, arrays = _Steps(), _Steps()
        objects.add(node.objects, lambda one: self._is_in(one, node.group))
        arrays.add(node.arrays, lambda one: self._is_in(one, node.group))
        for target in node.here:
            if self._is_in(target, node.group):
                more = self._steps_of(self._nodes[id(target)], (*above, node.index))
                objects.join(more[0])
                arrays.join(more[1])
        self._steps[node.index] = objects, arrays
        return objects, arrays

    def _is_in(self, schema: JsonObject, group: int) -> bool:
        return self._nodes[id(schema)].group == group

    # --- the sum ---

    def _cost(self, schema: JsonObject, above: frozenset[int]) -> int:
        known = self._costs.get(id(schema))
        if known is not None:
            return known
        node = self._nodes[id(schema)]
        within = above | {node.index}
        here = sum(self._part(node, target, within) for target in node.here)
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            here *= 2  # what the neighbours have judged is asked of them again
        inner = max(self._into(node, node.objects, within), self._into(node, node.arrays, within))
        own = _weight(schema) * (_TURN if node.grows else 1)
        cost = own + here + inner
        if cost > COST_MAX:
            raise ExpansionError("too_large")
        self._costs[id(schema)] = cost
        return cost

    def _into(self, node: _Node, into: _Into, above: frozenset[int]) -> int:
        one = [self._part(node, target, above) for target in into.named.values()]
        if into.other is not None:
            one.append(self._part(node, into.other, above))
        return max(one, default=0) + sum(self._part(node, each, above) for each in into.every)

    def _part(self, node: _Node, target: JsonObject, above: frozenset[int]) -> int:
        to = self._nodes[id(target)]
        if to.index in above:
            return 0  # a cycle: it judges each place once
        cost = self._cost(target, above)
        # Every turn of one cycle may enter the other, so its turns add up as far as JSON nests.
        return cost * _LEVELS if node.grows and to.grows and node.group != to.group else cost


class _Steps:
    """How many times one place's members are judged by schemas of one cycle."""

    def __init__(self) -> None:
        self.named: Counter[str] = Counter()
        self.every = 0

    def add(self, into: _Into, counts: Callable[[JsonObject], bool]) -> None:
        self.every += sum(counts(one) for one in into.every)
        if into.other is not None and counts(into.other):
            self.every += 1  # covers the named ones: each member has either
            return
        self.named.update(name for name, one in into.named.items() if counts(one))

    def join(self, more: "_Steps") -> None:
        self.named.update(more.named)
        self.every += more.every

    def most(self) -> int:
        return max(self.named.values(), default=0) + self.every


def _into_objects(schema: JsonObject) -> _Into:
    every = list(_members(schema.get("patternProperties")).values())
    every += [schema.get("propertyNames"), schema.get("unevaluatedProperties")]
    return _Into(
        named=_dicts(_members(schema.get("properties"))),
        other=_dict(schema.get("additionalProperties")),
        every=[one for one in every if isinstance(one, dict)],
    )


def _into_arrays(schema: JsonObject) -> _Into:
    first = _items(schema.get("prefixItems")) + _items(schema.get("items"))
    every = [schema.get(key) for key in ("contains", "unevaluatedItems", "additionalItems")]
    return _Into(
        named=_dicts({str(index): one for index, one in enumerate(first)}),
        other=_dict(schema.get("items")),
        every=[one for one in every if isinstance(one, dict)],
    )


def _weight(schema: JsonObject) -> int:
    """What a schema costs by itself: its words are gone through for each place it judges."""
    weight = 1 + sum(_size(schema[key]) for key in _WORDS if key in schema)
    weight += len(_members(schema.get("properties"))) // 4
    weight += _UNIQUE * ("uniqueItems" in schema) + _FORMAT * ("format" in schema)
    if "multipleOf" in schema:
        weight += _MULTIPLE if _is_whole(schema["multipleOf"]) else _FRACTION
    patterns = [*_members(schema.get("patternProperties"))]
    if isinstance(pattern := schema.get("pattern"), str):
        patterns.append(pattern)
    return weight + sum(_pattern_weight(one) for one in patterns)


def _pattern_weight(pattern: str) -> int:
    backtracks = "(?" in pattern or any(f"\\{digit}" in pattern for digit in "123456789k")
    return max(_BACKTRACKING if backtracks else _PATTERN, weigh(pattern).states)


def _is_whole(step: Json) -> bool:
    """Whether to divide by `step` is cheap: fractions are, exactly, very long numbers."""
    return isinstance(step, int) and step.bit_length() <= 53


def _size(value: Json) -> int:
    if isinstance(value, dict):
        return sum(_size(one) for one in value.values()) + 1
    return sum(_size(one) for one in value) if isinstance(value, list) else 1


def _anchors(root: JsonObject) -> dict[str, list[JsonObject]]:
    found: dict[str, list[JsonObject]] = {}
    level: list[Json] = [root]
    while level:
        node = level.pop()
        if isinstance(node, dict):
            for key in _ANCHORS:
                if isinstance(name := node.get(key), str):
                    found.setdefault(name.removeprefix("#"), []).append(node)
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)
    return found


def _at(root: Json, pointer: str) -> Json:
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(root, dict):
            root = root.get(part)
        elif isinstance(root, list) and part.isascii() and part.isdigit() and len(part) < 6:
            root = root[int(part)] if int(part) < len(root) else None
        else:
            return None
    return root


def _is_base(value: Json) -> bool:
    """Whether `value` makes a base of its own (an anchor of older drafts does not)."""
    return isinstance(value, str) and not value.startswith("#")


def _members(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _dict(value: Json) -> JsonObject | None:
    return value if isinstance(value, dict) else None


def _dicts(values: JsonObject) -> dict[str, JsonObject]:
    return {name: one for name, one in values.items() if isinstance(one, dict)}
