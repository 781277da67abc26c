"""The text of rules: names that statements bind and use, statements with their names written out.

Law: places come from regorus's tree, which leaves the quotes at either end of a text out and places
a long object at its last member; whoever needs a whole text asks here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import orjson

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.bundle import read_yaml
from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Path,
    Rule,
    children,
    node_of,
    reference,
    the_node,
    walk,
)
from outrider.policy.world import World

_CLOSED: Final = frozenset({"Every", "ArrayCompr", "ObjectCompr", "SetCompr"})


def reference_nodes(node: Node) -> Iterator[Node]:
    """The nodes of the longest references in `node`; names of called functions are left out."""
    if node.kind in REFERENCES:
        yield node
        chain = reference(node)
        for inner in (*chain.dynamic, *((chain.base,) if chain.base else ())):
            yield from reference_nodes(inner)
        return
    called = node.body.get("fcn") if node.kind == "Call" else None
    for child in children(node):
        if called is None or node_of(called) != child:
            yield from reference_nodes(child)


def bound_names(node: Node) -> Iterator[str]:
    """Names that a statement gives a value for the statements after it."""
    if node.kind in _CLOSED:
        return
    yield from _named_here(node)
    if node.kind == "RefBrack":
        yield from _pattern(node.body.get("index"))
    for child in children(node):
        yield from bound_names(child)


def free_names(module: Module, node: Node, local: frozenset[str]) -> frozenset[str]:
    """Locals of the rule that `node` uses from outside itself."""
    inner: set[str] = set()
    for part in walk(node):
        if part.kind in _CLOSED:
            inner.update(_declared(module, part))
            inner.update(name for child in children(part) for name in bound_names(child))
    used = (part.body.get("value") for part in walk(node) if part.kind == "Var")
    return frozenset(name for name in used if isinstance(name, str) and name in local) - inner


def with_own_names(modules: Sequence[Module]) -> tuple[Module, ...]:
    """The modules, where an index that is a rule's name (`input.x[rule]`) is that rule, not a local
    name: the tree alone cannot tell."""
    own: dict[Path, frozenset[str]] = {}
    for module in modules:
        names = frozenset(rule.name for rule in module.rules) | module.imports.keys()
        own[module.package] = own.get(module.package, frozenset()) | names
    return tuple(
        replace(
            module,
            rules=tuple(
                _with_own_names(module, rule, own[module.package]) for rule in module.rules
            ),
        )
        for module in modules
    )


def _with_own_names(module: Module, rule: Rule, own: frozenset[str]) -> Rule:
    if not rule.locals & own:
        return rule
    declared: set[str] = set()
    for node in walk(rule.node):
        declared.update(_declared(module, node))
        if node.kind in ("Func", "Default"):
            declared.update(
                name for item in as_list(node.body.get("args")) for name in _pattern(item)
            )
        elif node.kind != "RefBrack" and node.kind not in _CLOSED:
            declared.update(_named_here(node))
    return replace(rule, locals=rule.locals - (own - declared))


def _named_here(node: Node) -> Iterator[str]:
    body = node.body
    if node.kind == "SomeIn":
        yield from _pattern(body.get("key"))
        yield from _pattern(body.get("value"))
    elif node.kind == "AssignExpr":
        yield from _pattern(body.get("lhs"))


def _declared(module: Module, node: Node) -> Iterator[str]:
    """The names of `every k, v in …` and `some x`, which stand as bare places in the text."""
    if node.kind == "SomeVars":
        for place in as_list(node.body.get("vars")):
            start, end = span_of(Node("", {"span": place}))
            yield module.source[start:end].decode("utf-8", "replace")
    if node.kind == "Every":
        for key in ("key", "value"):
            start, end = span_of(Node(key, {"span": node.body.get(key)}))
            yield module.source[start:end].decode("utf-8", "replace")


def _pattern(value: Json) -> Iterator[str]:
    node = node_of(value)
    if node is None:
        return
    if node.kind == "Var":
        yield str(node.body.get("value"))
    elif node.kind in ("Array", "Object"):
        for child in children(node):
            yield from _pattern({child.kind: child.body})


# --- text -----------------------------------------------------------------------------------


def own_text(module: Module, statement: JsonObject) -> str:
    """A statement as its author wrote it, on one line."""
    start, end = extent(module, statement.get("span"))
    return " ".join(module.source[start:end].decode("utf-8", "replace").split())


def full_text(world: World, module: Module, rule: Rule, statement: JsonObject) -> str:
    """A statement with its names written out, so that it can be asked from outside its package."""
    node = the_node(statement.get("literal"))
    return written_out(world, module, rule, (node,), *extent(module, statement.get("span")))


def written_out(
    world: World, module: Module, rule: Rule, nodes: Sequence[Node], start: int, end: int
) -> str:
    places: dict[int, tuple[int, str]] = {}
    own = world.own[module.package]
    for node in nodes:
        for inner in walk(node):
            name = inner.body.get("value") if inner.kind == "Var" else None
            if not isinstance(name, str) or name in rule.locals:
                continue
            path = (*module.package, name) if name in own else module.imports.get(name)
            first, last = span_of(inner)
            if path is not None and start <= first and last <= end:
                places[first] = (last, dotted(path))
    source, parts, here = module.source, [], start
    for first in sorted(places):
        last, text = places[first]
        parts += [source[here:first].decode(), text]
        here = last
    return "".join([*parts, source[here:end].decode()])


def dotted(path: Path) -> str:
    """A path of names as Rego writes it."""
    return path[0] + "".join(
        f".{part}" if part.isidentifier() else f"[{orjson.dumps(part).decode()}]"
        for part in path[1:]
    )


def text_of(module: Module, node: Node) -> str:
    start, end = span_of(node)
    return " ".join(module.source[start:end].decode("utf-8", "replace").split())


def extent(module: Module, span: Json) -> tuple[int, int]:
    """First and last byte: regorus leaves the quotes of a string at either end out."""
    start, end = span_of(Node("", {"span": span}))
    quotes = (b'"', b"`")
    before, after = module.source[start - 1 : start], module.source[end : end + 1]
    return start - (before in quotes), end + (after in quotes)


def span_of(node: Node) -> tuple[int, int]:
    span = as_object(node.body.get("span"))
    start, end = span.get("start"), span.get("end")
    return (start, end) if isinstance(start, int) and isinstance(end, int) else (0, 0)


def metadata_of(module: Module, rule: Rule) -> JsonObject:
    lines = module.source.decode("utf-8", "replace").splitlines()
    starts = [other.line for other in module.rules if other.path == rule.path]
    found: JsonObject = {}
    for line in sorted((line for line in starts if line <= rule.line), reverse=True):
        found = _block_above(lines, line - 1)
        if found:
            break
    package = next((place for place, text in enumerate(lines) if text.startswith("package ")), 0)
    title = _block_above(lines, package).get("title")
    return {**({"title": title} if title else {}), **found}


def _block_above(lines: list[str], place: int) -> JsonObject:
    """The METADATA comment that ends right above line `place` (from 0)."""
    start = place
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    block = lines[start:place]
    if "# METADATA" not in block:
        return {}
    text = "\n".join(line[2:] for line in block[block.index("# METADATA") + 1 :])
    try:
        return as_object(read_yaml(text, "METADATA"))
    except ConfigError:
        return {}
