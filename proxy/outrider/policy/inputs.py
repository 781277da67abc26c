"""Which input paths policy reads, held against the schema of the input (PEERS P05).

Law: a path the schema lacks fails the load with file and line: a rule that reads a field nobody
ever sends is a rule that never fires.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Path,
    Reference,
    Rule,
    called_name,
    children,
    constant_text,
    node_of,
    parameters,
    reference,
    references,
    walk,
)
from outrider.policy.world import Problem, World

_GET: Final = ("object", "get")
Step = str | None


def check_inputs(world: World) -> Iterator[Problem]:
    """Every constant path below `input`, also through a local that stands for one part of it."""
    for module, rule in world.each_rule():
        for steps, line in read_paths(world, module, rule):
            missing = _first_missing(world.language.schema, steps)
            if missing is not None:
                named = ".".join(("input", *missing))
                yield Problem(
                    check="input",
                    file=module.file,
                    line=line,
                    message=f"{named} is not in the schema of the input",
                )


def read_paths(world: World, module: Module, rule: Rule) -> Iterator[tuple[tuple[Step, ...], int]]:
    """Steps below `input` that a rule reads, and the line; None for a step not constant."""
    aliases = _aliases(world, module, rule)
    for chain in references(rule.node):
        steps = _input_steps(world, module, rule, chain, aliases)
        if steps is not None:
            yield steps, chain.line
    for node in walk(rule.node):
        found = _got(world, module, rule, node, aliases) if node.kind == "Call" else None
        if found is not None:
            yield found, node.line


def reads(world: World) -> frozenset[Path]:
    """The input paths that the modules name, each standing for all below it.

    A step that is not constant, or a part handed on whole, keeps all below it.
    """
    found = {path for module, rule in world.each_rule() for path in _prefixes(world, module, rule)}
    return frozenset(
        path for path in found if not any(path[:length] in found for length in range(len(path)))
    )


def _prefixes(world: World, module: Module, rule: Rule) -> Iterator[Path]:
    ahead = [rule.node]
    while ahead:
        node = ahead.pop()
        if node.kind in REFERENCES:
            chain = reference(node)
            if chain.root == "input":
                yield chain.static
            ahead.extend((*chain.dynamic, *((chain.base,) if chain.base else ())))
            continue
        got = _got(world, module, rule, node, {}) if node.kind == "Call" else None
        if got is not None:
            yield tuple(step for step in takewhile(_is_constant, got) if step is not None)
            given = parameters(node)
            ahead.extend((*reference(given[0]).dynamic, *given[1:]))
            continue
        ahead.extend(children(node))


def _is_constant(step: Step) -> bool:
    return step is not None


def _input_steps(
    world: World, module: Module, rule: Rule, chain: Reference, aliases: dict[str, tuple[Step, ...]]
) -> tuple[Step, ...] | None:
    if chain.base is not None:
        return None
    if chain.root in aliases:
        return (*aliases[chain.root], *chain.steps)
    if chain.root == "input" and chain.root not in rule.locals:
        return chain.steps
    return None


def _aliases(world: World, module: Module, rule: Rule) -> dict[str, tuple[Step, ...]]:
    """Locals that are given one part of the input, once."""
    given: dict[str, list[tuple[Step, ...] | None]] = {}
    for node in walk(rule.node):
        if node.kind != "AssignExpr" or node.body.get("op") != "ColEq":
            continue
        left, right = node_of(node.body.get("lhs")), node_of(node.body.get("rhs"))
        if left is None or right is None or left.kind != "Var":
            continue
        steps = None
        if right.kind in ("RefDot", "RefBrack"):
            steps = _input_steps(world, module, rule, reference(right), {})
        given.setdefault(str(left.body.get("value")), []).append(steps)
    return {
        name: parts[0] for name, parts in given.items() if len(parts) == 1 and parts[0] is not None
    }


def _got(
    world: World, module: Module, rule: Rule, call: Node, aliases: dict[str, tuple[Step, ...]]
) -> tuple[Step, ...] | None:
    """The path of `object.get(input.…, "key" or ["a", "b"], default)`."""
    name = called_name(call)
    given = parameters(call)
    if (name.root, *name.static) != _GET or len(given) != 3:
        return None
    if given[0].kind not in ("Var", "RefDot", "RefBrack"):
        return None
    steps = _input_steps(world, module, rule, reference(given[0]), aliases)
    if steps is None:
        return None
    if given[1].kind == "Array":
        items = [node_of(item) for item in as_list(given[1].body.get("items"))]
        return (*steps, *(constant_text(item) if item else None for item in items))
    return (*steps, constant_text(given[1]))


def _first_missing(schema: JsonObject, steps: tuple[Step, ...]) -> Path | None:
    """The path up to the first step that the schema lacks, or None where it has them all."""
    here: Json = schema
    for place, step in enumerate(steps):
        parts = as_object(here)
        if _is_scalar(parts):
            return _told(steps[: place + 1])
        if "properties" not in parts and "items" not in parts:
            here = parts.get("additionalProperties", {})
            continue
        if step is None:
            if "items" not in parts:
                return None  # any of its properties
            here = parts["items"]
            continue
        properties = as_object(parts.get("properties"))
        if step in properties:
            here = properties[step]
        elif parts.get("additionalProperties", False) is False:
            return _told(steps[: place + 1])
        else:
            here = parts["additionalProperties"]
    return None


def _is_scalar(schema: JsonObject) -> bool:
    """Whether what the schema describes has nothing below it."""
    kinds = schema.get("type")
    named = {str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind}
    return bool(named) and not named & {"object", "array"}


def _told(steps: tuple[Step, ...]) -> Path:
    return tuple("[_]" if step is None else step for step in steps)
