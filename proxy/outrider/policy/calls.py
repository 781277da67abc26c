"""Names and calls: only what is known is used, with as many arguments as it takes.

Law: regorus reports an unknown name, built-in or number of arguments only when the rule is
reached, so this is found before a release is in force.
"""

import re
from collections.abc import Iterator
from typing import Final

from outrider.policy.syntax import (
    Module,
    Node,
    Path,
    Rule,
    body_references,
    called_name,
    constant_text,
    parameters,
    references,
    walk,
)
from outrider.policy.world import Problem, World

# In OPA an operator is a built-in too; regorus has nodes of their own for them.
_WITH_OUTPUT: Final = frozenset({"walk"})
_PATTERN_AT: Final = {"regex.match": 0}
_NOT_COMMON: Final = re.compile(r"\\[dDwWsSbBpPAzQEx]|\(\?|\[\[:|[*+?}][?+]")
_VERBS: Final = re.compile(r"%(?:%|[vsd])|%")


def check_calls(world: World) -> Iterator[Problem]:
    """Unknown functions and built-ins, wrong numbers of arguments, patterns engines differ on."""
    for module, rule in world.each_rule():
        for node in walk(rule.node):
            if node.kind == "Call":
                yield from _check_call(world, module, rule, node)


def check_names(world: World) -> Iterator[Problem]:
    """Names that nothing gives a value, and `input` or `data` given one."""
    for module, rule in world.each_rule():
        for name in sorted(rule.locals & {"input", "data"}):
            yield _problem("name", module, rule.line, f"{name} is given a value; name it otherwise")
        known = rule.locals | world.own[module.package] | module.imports.keys()
        for chain in references(rule.node):
            if chain.base is None and chain.root not in known | {"input", "data", "_"}:
                yield _problem("name", module, chain.line, f"{chain.root} is not known here")


def _check_call(world: World, module: Module, rule: Rule, call: Node) -> Iterator[Problem]:
    chain = called_name(call)
    given = len(parameters(call))
    path = world.resolve(module, rule, chain)
    if path is not None:
        yield from _check_function(world, module, call, path, given)
        return
    name = ".".join((chain.root, *(step or "?" for step in chain.steps)))
    wanted = world.language.builtins.get(name)
    if wanted is None:
        yield _problem("builtin", module, call.line, f"{name} is not among the built-ins allowed")
        return
    if given != wanted and not (name in _WITH_OUTPUT and given == wanted + 1):
        yield _problem("arity", module, call.line, f"{name} takes {wanted} arguments, not {given}")
        return
    if name in _PATTERN_AT:
        yield from _check_pattern(module, call, parameters(call)[_PATTERN_AT[name]])
    if name == "sprintf":
        yield from _check_format(module, call, parameters(call)[0])


def _check_function(
    world: World, module: Module, call: Node, path: Path, given: int
) -> Iterator[Problem]:
    functions = [rule for rule in world.rules.get(path, ()) if rule.kind == "function"]
    if not functions:
        yield _problem("function", module, call.line, f"{'.'.join(path)} is no function")
    elif all(rule.arity != given for rule in functions):
        takes = functions[0].arity
        yield _problem(
            "arity", module, call.line, f"{'.'.join(path)} takes {takes} arguments, not {given}"
        )


def _check_pattern(module: Module, call: Node, pattern: Node) -> Iterator[Problem]:
    text = constant_text(pattern)
    if text is None:
        yield _problem("regex", module, call.line, "a pattern is written out, not made")
    elif _NOT_COMMON.search(text):
        yield _problem("regex", module, call.line, "engines differ on this pattern")


def _check_format(module: Module, call: Node, form: Node) -> Iterator[Problem]:
    text = constant_text(form)
    if text is None:
        yield _problem("format", module, call.line, "a format is written out, not made")
    elif "%" in _VERBS.findall(text):
        yield _problem("format", module, call.line, "sprintf knows %v, %s and %d here")


def check_recursion(world: World) -> Iterator[Problem]:
    """Rules that lead back to themselves; engines find that only when they get there."""
    edges: dict[Path, set[Path]] = {path: set() for path in world.rules}
    for module, rule in world.each_rule():
        for node in walk(rule.node):
            if node.kind != "Call":
                continue
            called = world.resolve(module, rule, called_name(node))
            if called is not None:
                edges[rule.path].update(world.rules_within(called))
        for chain in body_references(rule):
            target = world.resolve(module, rule, chain)
            if target is not None and target[0] == "data" and len(target) > 1:
                edges[rule.path].update(world.rules_within(target))
    for path in _cyclic(edges):
        rule = world.rules[path][0]
        file = next(module.file for module in world.modules if rule in module.rules)
        yield Problem(
            check="recursion", file=file, line=rule.line, message=f"{'.'.join(path)} needs itself"
        )


def _cyclic(edges: dict[Path, set[Path]]) -> list[Path]:
    """Rules on a cycle, found without recursion."""
    left = {path: set(targets) for path, targets in edges.items()}
    while True:
        done = {path for path, targets in left.items() if not targets & left.keys()}
        if not done:
            break
        for path in done:
            del left[path]
    return sorted(path for path in left if _reaches_itself(path, left))


def _reaches_itself(start: Path, edges: dict[Path, set[Path]]) -> bool:
    seen: set[Path] = set()
    ahead = [target for target in edges[start] if target in edges]
    while ahead:
        here = ahead.pop()
        if here == start:
            return True
        if here not in seen:
            seen.add(here)
            ahead.extend(target for target in edges[here] if target in edges)
    return False


def _problem(check: str, module: Module, line: int, message: str) -> Problem:
    return Problem(check=check, file=module.file, line=line, message=message)
