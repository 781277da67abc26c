"""`not` over what may be missing (POLICY §8, rule 1).

Law: OPA lifts references out of calls, indices and collections before it negates; where such a
reference is missing the whole rule is undefined and a deny does not fire. Regorus fires it. So
the forms on which they differ are refused; `not ok` with `ok if …` says the same in both.
"""

from collections.abc import Iterator
from typing import Final

from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Rule,
    called_name,
    children,
    node_of,
    parameters,
    reference,
    walk,
)
from outrider.policy.world import Problem, World

_COLLECTIONS: Final = frozenset({"Array", "Object", "Set"})
_COMPREHENSIONS: Final = frozenset({"ArrayCompr", "ObjectCompr", "SetCompr"})
_MESSAGE: Final = (
    "`not` over a call, index or collection that reads something which may be missing: the rule "
    "is then undefined in OPA; negate a rule of its own"
)


def check_negations(world: World) -> Iterator[Problem]:
    """Every `not` whose meaning depends on the engine once a value is missing."""
    for module, rule in world.each_rule():
        for node in walk(rule.node):
            if node.kind != "NotExpr":
                continue
            negated = node_of(node.body.get("expr"))
            if negated is not None and not _agrees(world, module, rule, negated):
                yield Problem(check="negation", file=module.file, line=node.line, message=_MESSAGE)


def _agrees(world: World, module: Module, rule: Rule, negated: Node) -> bool:
    if negated.kind in REFERENCES:
        return not reference(negated).dynamic or _is_safe_index(world, module, rule, negated)
    if negated.kind == "BoolExpr" and negated.body.get("op") == "Eq":
        sides = (node_of(negated.body.get("lhs")), node_of(negated.body.get("rhs")))
        return all(side is not None and _is_plain(world, module, rule, side) for side in sides)
    if negated.kind == "Call":
        return all(_is_bound(world, module, rule, given) for given in parameters(negated))
    return all(_is_bound(world, module, rule, inner) for inner in children(negated))


def _is_plain(world: World, module: Module, rule: Rule, side: Node) -> bool:
    """A side of `==`: a reference stays in place there, unless something is nested in it."""
    if side.kind in REFERENCES:
        return not reference(side).dynamic or _is_safe_index(world, module, rule, side)
    return _is_bound(world, module, rule, side)


def _is_safe_index(world: World, module: Module, rule: Rule, node: Node) -> bool:
    """Whether every index of a reference is a value that is there: a constant or a bound local."""
    chain = reference(node)
    if chain.base is not None:
        return False
    return all(_is_bound(world, module, rule, index) for index in chain.dynamic)


def _is_bound(world: World, module: Module, rule: Rule, node: Node) -> bool:
    """Whether `node` has a value wherever the negation is reached."""
    if node.kind in _COMPREHENSIONS:
        return True
    if node.kind in REFERENCES:
        chain = reference(node)
        if chain.base is None and not chain.steps and chain.root in rule.locals | {"input"}:
            return True
        path = world.resolve(module, rule, chain)
        return path is not None and world.is_always_defined(path)
    if node.kind == "Call":
        path = world.resolve(module, rule, called_name(node))
        known = path is None or _has_default(world, path)
        return known and all(_is_bound(world, module, rule, given) for given in parameters(node))
    if node.kind in _COLLECTIONS or node.kind in ("BinExpr", "ArithExpr", "BoolExpr", "UnaryExpr"):
        return all(_is_bound(world, module, rule, inner) for inner in children(node))
    return not any(inner.kind in REFERENCES for inner in walk(node))


def _has_default(world: World, path: tuple[str, ...]) -> bool:
    return any(rule.kind == "default" for rule in world.rules.get(path, ()))
