"""JSON Schemas of tools: bounded before they are compiled, compiled once, never fetching.

Laws (PROTOCOLS §4.6, §12 case 70): no reference leaves the document; depth, size and the time a
pattern may take are bounded; a schema that cannot be used refuses its tool.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol, TypeAlias

import jsonschema_rs

from outrider.core.errors import is_panic
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.expansion import ExpansionError, cost_of
from outrider.protocols.adapters.mcp.headers import mirrored_params
from outrider.protocols.adapters.mcp.patterns import weigh
from outrider.protocols.sessions import Bounded

Mirrored: TypeAlias = "dict[str, tuple[tuple[str, ...], str]] | None"

_DEPTH: Final = 32
_SUBSCHEMAS: Final = 1000
_NODES: Final = 10_000
_BUILD: Final = 60_000
_WORK: Final = 1_500_000
_TEXT_UNIT: Final = 512
_STEP_LEAST: Final = 1e-30  # to divide by what is smaller, or larger, takes very long numbers
_STEP_MOST: Final = 1e30
_NEAR: Final = 1 << 64
_FAR: Final = 16  # times as long takes it to divide a number beyond it
_TEXT_WORK: Final = 4_000_000
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_DIALECTS: Final = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(
    backtrack_limit=10_000, size_limit=1 << 20, dfa_size_limit=1 << 20
)


class Validates(Protocol):
    def is_valid(self, instance: Json) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A schema ready to judge with, or why it cannot be used (`fault`, one closed word).

    `states` are those of its patterns, as `patterns.weigh` reckons them: by the property of the
    whole that they are within, under "" those that may judge any, which is all of them where the
    schema refers to parts of itself.
    """

    validator: Validates | None = None
    fault: str | None = None
    cost: int = 1
    states: Mapping[str, int] = field(default_factory=dict)

    def accepts(self, value: Json) -> bool:
        """Whether `value` fits; a schema that cannot be used fits nothing, and what would take
        too long to judge fits none."""
        if _is_larger(value, _WORK // self.cost) or (self.states and self._matches_long(value)):
            return False
        return self.fits(value)

    def would_take_long(self, value: Json) -> bool:
        """Whether to judge `value` could hold up everybody else."""
        larger = _is_larger(value, _WORK // self.cost)
        return larger or (bool(self.states) and self._matches_long(value))

    def _matches_long(self, value: Json) -> bool:
        everywhere = self.states.get("", 0)
        work = 0
        for name, inner in value.items() if isinstance(value, dict) else [("", value)]:
            states = everywhere + (self.states.get(name, 0) if name else 0)
            if states:  # no more patterns judge one place than its cost has room for
                work += (len(name) + _text_length(inner)) * min(states, self.cost)
        return work > _TEXT_WORK

    def fits(self, value: Json) -> bool:
        """`accepts` for what would not take long."""
        if self.validator is None:
            return False
        try:
            return self.validator.is_valid(value)
        except (ValueError, RecursionError):
            return False
        except BaseException as fault:
            if not is_panic(fault):
                raise
            return False


class Schemas:
    """Compiled schemas by digest, the least used forgotten first. `compiled` counts how many were
    not known yet, which is what costs time."""

    def __init__(self, *, kept: int = 2048) -> None:
        self._compiled: Bounded[tuple[str, str], Compiled] = Bounded(kept)
        self._mirrored: Bounded[str, tuple[Mirrored]] = Bounded(kept)
        self.compiled = 0

    def mirrored(self, definition_digest: str, schema: Json) -> Mirrored:
        """The arguments that headers mirror; None where the schema says so against the rules."""
        found = self._mirrored.get(definition_digest)
        if found is None:
            found = self._mirrored_of(definition_digest, schema)
        return found[0]

    def _mirrored_of(self, definition_digest: str, schema: Json) -> tuple[Mirrored]:
        found = (mirrored_params(schema),)
        self._mirrored.put(definition_digest, found)
        return found

    def get(self, definition_digest: str, member: str, schema: Json) -> Compiled:
        """The compiled `member` of the definition with this digest."""
        key = (definition_digest, member)
        found = self._compiled.get(key)
        if found is None:
            found = compile_schema(schema)
            self.compiled += 1
            self._compiled.put(key, found)
        return found


def compile_schema(schema: Json) -> Compiled:
    """Compile a schema within bounds; never raises, never fetches."""
    fault, states = _looked_at(schema)
    if fault is not None or not isinstance(schema, dict):
        return Compiled(fault=fault or "not_object")
    try:
        cost = cost_of(schema)  # first: to compile may expand as well
        return Compiled(
            validator=jsonschema_rs.validator_for(
                schema, retriever=_refuse_to_fetch, pattern_options=_PATTERNS
            ),
            cost=cost,
            states=states,
        )
    except ExpansionError as expansion:
        return Compiled(fault=str(expansion))
    except (ValueError, TypeError, RecursionError):
        return Compiled(fault="schema")
    except BaseException as panic:
        # A panic in the extension is a BaseException of its own; everything else goes on.
        if not is_panic(panic):
            raise
        return Compiled(fault="schema")


def first_fault(schema: Json) -> str | None:
    """Why `schema` may not be compiled, or None."""
    return _looked_at(schema)[0]


def _looked_at(schema: Json) -> tuple[str | None, dict[str, int]]:
    """Why `schema` may not be compiled, or None, and the states of its patterns by property."""
    states: Counter[str] = Counter()
    if not isinstance(schema, dict):
        return "not_object", states
    nodes = subschemas = build = 0
    refers = False
    level: list[tuple[Json, int, str]] = [(schema, 0, "")]
    while level:
        node, depth, within = level.pop()
        nodes += 1
        if depth > _DEPTH or nodes > _NODES:
            return "too_large", states
        if isinstance(node, dict):
            subschemas += 1
            if subschemas > _SUBSCHEMAS:
                return "too_large", states
            refers = refers or not _REFERENCES.isdisjoint(node)
            for pattern in _patterns(node):
                weight = weigh(pattern)
                build += weight.build
                states[within] += weight.states
            if build > _BUILD:
                return "pattern", states
            if (fault := _fault_of(node, nested=depth > 0)) is not None:
                return fault, states
        level.extend(_within(node, depth + 1, within, is_root=node is schema))
    return None, Counter({"": states.total()}) if refers and states else states


def _within(
    node: Json, depth: int, within: str, *, is_root: bool
) -> Iterator[tuple[Json, int, str]]:
    """What `node` holds, and the property of the whole that it is within."""
    if isinstance(node, list):
        yield from ((inner, depth, within) for inner in node)
    if not isinstance(node, dict):
        return
    named = node.get("properties") if is_root else None
    for inner in node.values():
        if inner is not named or not isinstance(named, dict):
            yield inner, depth, within
    if isinstance(named, dict):
        yield from ((inner, depth + 1, name) for name, inner in named.items())


def _patterns(node: JsonObject) -> list[str]:
    """Whatever may be compiled as a pattern in `node`, though it may be a name or data."""
    own, named = node.get("pattern"), node.get("patternProperties")
    found = [own] if isinstance(own, str) else []
    return found + list(named) if isinstance(named, dict) else found


def _is_larger(value: Json, limit: int) -> bool:
    """Whether `value` has more parts than `limit`; long text and great numbers count as several."""
    size = 1
    level: list[Json] = [value]
    while level:
        node = level.pop()
        if isinstance(node, str):
            size += len(node) // _TEXT_UNIT
        elif isinstance(node, dict):
            size += len(node)
            level.extend(node.values())
        elif isinstance(node, list):
            size += len(node)
            level.extend(node)
        elif isinstance(node, int | float) and not -_NEAR < node < _NEAR:
            size += _FAR
        if size > limit:
            return True
    return False


def _text_length(value: Json) -> int:
    """The characters of all text in `value`, names of members too."""
    length = 0
    level: list[Json] = [value]
    while level:
        node = level.pop()
        if isinstance(node, str):
            length += len(node)
        elif isinstance(node, dict):
            level.extend(node.keys())
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)
    return length


def _fault_of(node: JsonObject, *, nested: bool) -> str | None:
    for key in _REFERENCES & node.keys():
        target = node[key]
        if isinstance(target, str) and not target.startswith("#"):
            return "external_reference"
    for key in ("$id", "id") if nested else ():
        # An inner base would give local references another meaning.
        if isinstance(node.get(key), str) and ("$ref" in node or "type" in node):
            return "inner_base"
    step = node.get("multipleOf")
    if isinstance(step, int | float) and not _STEP_LEAST <= step <= _STEP_MOST:
        return "multiple_of"
    dialect = node.get("$schema")
    if isinstance(dialect, str) and dialect.rstrip("#") not in _DIALECTS:
        return "dialect"
    return None


def _refuse_to_fetch(_: str) -> NoReturn:
    raise ValueError("schemas are never fetched")
