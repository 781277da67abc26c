"""JSON Schemas of tools: bounded before they are compiled, compiled once, never fetching.

Laws (PROTOCOLS §4.6, §12 case 70): no reference leaves the document; depth, size and the time a
pattern may take are bounded; a schema that cannot be used refuses its tool.
"""

from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, TypeAlias

import jsonschema_rs

from outrider.core.errors import is_panic
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.expansion import ExpansionError, cost_of
from outrider.protocols.adapters.mcp.headers import mirrored_params
from outrider.protocols.sessions import Bounded

Mirrored: TypeAlias = "dict[str, tuple[tuple[str, ...], str]] | None"

_DEPTH: Final = 32
_SUBSCHEMAS: Final = 1000
_NODES: Final = 10_000
_WORK: Final = 1_500_000
_TEXT_UNIT: Final = 512
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
    """A schema ready to judge with, or why it cannot be used (`fault`, one closed word)."""

    validator: Validates | None = None
    fault: str | None = None
    cost: int = 1

    def accepts(self, value: Json) -> bool:
        """Whether `value` fits; a schema that cannot be used fits nothing, and what would take
        too long to judge fits none."""
        if self.validator is None or _is_larger(value, _WORK // self.cost):
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
    """Compiled schemas by digest, the least used forgotten first."""

    def __init__(self, *, kept: int = 2048) -> None:
        self._compiled: Bounded[tuple[str, str], Compiled] = Bounded(kept)
        self._mirrored: Bounded[str, tuple[Mirrored]] = Bounded(kept)

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
            self._compiled.put(key, found)
        return found


def compile_schema(schema: Json) -> Compiled:
    """Compile a schema within bounds; never raises, never fetches."""
    fault = first_fault(schema)
    if fault is not None or not isinstance(schema, dict):
        return Compiled(fault=fault or "not_object")
    try:
        cost = cost_of(schema)  # first: to compile may expand as well
        return Compiled(
            validator=jsonschema_rs.validator_for(
                schema, retriever=_refuse_to_fetch, pattern_options=_PATTERNS
            ),
            cost=cost,
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
    if not isinstance(schema, dict):
        return "not_object"
    nodes = subschemas = 0
    level: list[tuple[Json, int]] = [(schema, 0)]
    while level:
        node, depth = level.pop()
        nodes += 1
        if depth > _DEPTH or nodes > _NODES:
            return "too_large"
        if isinstance(node, dict):
            subschemas += 1
            if subschemas > _SUBSCHEMAS:
                return "too_large"
            if (fault := _fault_of(node, nested=depth > 0)) is not None:
                return fault
            level.extend((inner, depth + 1) for inner in node.values())
        elif isinstance(node, list):
            level.extend((inner, depth + 1) for inner in node)
    return None


def _is_larger(value: Json, limit: int) -> bool:
    """Whether `value` has more parts than `limit`; long text counts as several."""
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
        if size > limit:
            return True
    return False


def _fault_of(node: JsonObject, *, nested: bool) -> str | None:
    for key in _REFERENCES & node.keys():
        target = node[key]
        if isinstance(target, str) and not target.startswith("#"):
            return "external_reference"
    for key in ("$id", "id") if nested else ():
        # An inner base would give local references another meaning.
        if isinstance(node.get(key), str) and ("$ref" in node or "type" in node):
            return "inner_base"
    dialect = node.get("$schema")
    if isinstance(dialect, str) and dialect.rstrip("#") not in _DIALECTS:
        return "dialect"
    return None


def _refuse_to_fetch(_: str) -> NoReturn:
    raise ValueError("schemas are never fetched")
