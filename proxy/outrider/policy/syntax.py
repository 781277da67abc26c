"""Rego modules as regorus parses them: packages, imports, rules, references, local names.

The tree is regorus's own (`get_ast_as_json`, version 1): nested objects in which an object with
one known key is a node of that kind. A kind that is not known here refuses the module: a check
that does not understand what it reads is none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson
import regorus

from outrider.core.errors import ConfigError, is_panic
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.bounds import check_bounds

AST_VERSION: Final = 1
Path: TypeAlias = tuple[str, ...]

EXPRESSIONS: Final = frozenset(
    {
        "Array", "ArrayCompr", "ArithExpr", "AssignExpr", "BinExpr", "Bool", "BoolExpr", "Call",
        "Membership", "Null", "Number", "Object", "ObjectCompr", "RawString", "RefBrack", "RefDot",
        "Set", "SetCompr", "String", "UnaryExpr", "Var",
    }
)  # fmt: skip
LITERALS: Final = frozenset({"Every", "Expr", "NotExpr", "SomeIn", "SomeVars"})
_HEADS: Final = frozenset({"Compr", "Func", "Set"})
_RULES: Final = frozenset({"Default", "Spec"})
KINDS: Final = EXPRESSIONS | LITERALS | _HEADS | _RULES
REFERENCES: Final = frozenset({"Var", "RefDot", "RefBrack"})


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree: its kind and its fields."""

    kind: str
    body: JsonObject

    @property
    def line(self) -> int:
        return line_of(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A chain of steps from a name: `input.a["b"][x]` is root `input`, steps a, b, None.

    `dynamic` are the indices that are no constant; `base` is set where the chain starts at
    something else than a name (`f(x).y`): then `root` is empty.
    """

    root: str
    steps: tuple[str | None, ...]
    line: int
    dynamic: tuple[Node, ...] = ()
    base: Node | None = None

    @property
    def static(self) -> Path:
        """The steps before the first that is not constant."""
        found: list[str] = []
        for step in self.steps:
            if step is None:
                break
            found.append(step)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule or default. `path` is where its value stands; `locals` are names it binds."""

    path: Path
    name: str
    kind: str  # complete | set | function | default
    arity: int
    node: Node
    line: int
    locals: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    file: str
    package: Path
    imports: Mapping[str, Path]
    rules: tuple[Rule, ...]
    source: bytes


def parse(modules: Mapping[str, str]) -> tuple[Module, ...]:
    """Every module's tree. Raises `ConfigError` with file and line for what does not parse."""
    check_bounds(modules)
    trees = _trees(modules)
    if isinstance(trees, str):
        raise ConfigError(f"policy does not parse: {trees}")
    return tuple(_module(as_object(tree)) for tree in as_list(orjson.loads(trees)))


def _trees(modules: Mapping[str, str]) -> bytes | str:
    """The trees as bytes, or what regorus said. The engine ends here: it may cross no thread."""
    engine = regorus.Engine()
    try:
        for name, text in modules.items():
            engine.add_policy(name, text)
        return str(engine.get_ast_as_json()).encode()
    except RuntimeError as fault:
        said = str(fault).split("\n\nStack backtrace", 1)[0]
        return " ".join(said.split())[:400]
    except BaseException as fault:
        if not is_panic(fault):
            raise
        return "regorus panicked"


def _module(entry: JsonObject) -> Module:
    source = as_object(entry.get("source"))
    file = str(source.get("file"))
    if entry.get("version") != AST_VERSION:
        raise ConfigError(f"{file}: regorus speaks another version of its syntax tree")
    tree = as_object(entry.get("ast"))
    content = str(source.get("contents", "")).encode()
    package = reference(the_node(as_object(tree.get("package")).get("refr")))
    prefix = ("data", package.root, *package.static)
    imports = _imports(file, as_list(tree.get("imports")), content)
    rules = tuple(_rule(file, prefix, item, content) for item in as_list(tree.get("rules")))
    return Module(file=file, package=prefix, imports=imports, rules=rules, source=content)


def _imports(file: str, entries: list[Json], source: bytes) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for item in entries:
        entry = as_object(item)
        chain = reference(the_node(entry.get("refr")))
        path = (chain.root, *chain.static)
        if path[0] in ("rego", "future"):
            continue
        if path[0] != "data" or len(path) < 2 or None in chain.steps:
            raise ConfigError(f"{file}:{line_of(entry)}: only packages below data are imported")
        alias = _slice(source, entry.get("as")) or path[-1]
        if alias in ("input", "data"):
            raise ConfigError(f"{file}:{line_of(entry)}: nothing is imported as {alias}")
        found[alias] = path
    return found


def _rule(file: str, prefix: Path, item: Json, source: bytes) -> Rule:
    node = the_node(item)
    if node.kind == "Default":
        head, kind, arity = node, "default", len(as_list(node.body.get("args")))
    else:
        head = the_node(node.body.get("head"))
        kind = {"Set": "set", "Func": "function"}.get(head.kind, "complete")
        arity = len(as_list(head.body.get("args"))) if kind == "function" else 0
    chain = reference(the_node(head.body.get("refr")))
    for inner in walk(node):
        if inner.kind not in KINDS:
            raise ConfigError(f"{file}:{inner.line}: {inner.kind} is not understood")
    return Rule(
        path=(*prefix, chain.root, *chain.static),
        name=chain.root,
        kind=kind,
        arity=arity,
        node=node,
        line=node.line,
        locals=frozenset(_bound(node, source)),
    )


def node_of(value: Json) -> Node | None:
    """The node that `value` is, or None for anything else."""
    if isinstance(value, dict) and len(value) == 1:
        kind, body = next(iter(value.items()))
        if isinstance(body, dict) and "span" in body and kind[:1].isupper():
            return Node(kind, body)
    return None


def the_node(value: Json) -> Node:
    """The node that `value` is. Raises `ConfigError` for anything else."""
    found = node_of(value)
    if found is None:
        raise ConfigError("regorus's syntax tree has an unknown form")
    return found


def children(node: Node) -> Iterator[Node]:
    """The nodes right below `node`, in order."""
    yield from _below(list(node.body.values()))


def _below(values: list[Json]) -> Iterator[Node]:
    for value in values:
        found = node_of(value)
        if found is not None:
            yield found
        elif isinstance(value, dict):
            yield from _below(list(value.values()))
        elif isinstance(value, list):
            yield from _below(value)


def walk(node: Node) -> Iterator[Node]:
    """`node` and every node below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def reference(node: Node) -> Reference:
    """The chain that a Var, RefDot or RefBrack ends."""
    steps: list[str | None] = []
    dynamic: list[Node] = []
    here = node
    while here.kind in ("RefDot", "RefBrack"):
        if here.kind == "RefDot":
            field = as_list(here.body.get("field"))
            steps.append(str(field[1]) if len(field) == 2 else None)
        else:
            index = the_node(here.body.get("index"))
            constant = constant_text(index)
            steps.append(constant)
            if constant is None:
                dynamic.append(index)
        here = the_node(here.body.get("refr"))
    name = here.body.get("value") if here.kind == "Var" else None
    return Reference(
        root=str(name) if name is not None else "",
        steps=tuple(reversed(steps)),
        line=node.line,
        dynamic=tuple(reversed(dynamic)),
        base=None if name is not None else here,
    )


def references(node: Node) -> Iterator[Reference]:
    """The longest chains in and below `node`; names of called functions are left out."""
    if node.kind in REFERENCES:
        chain = reference(node)
        yield chain
        for inner in (*chain.dynamic, *((chain.base,) if chain.base else ())):
            yield from references(inner)
        return
    called = node.body.get("fcn") if node.kind == "Call" else None
    for child in children(node):
        if called is None or node_of(called) != child:
            yield from references(child)


def body_references(rule: Rule) -> Iterator[Reference]:
    """The longest chains of a rule, but for the one in its head that names it."""
    head = node_of(rule.node.body.get("head")) or rule.node
    named = the_node(head.body.get("refr"))
    for index in reference(named).dynamic:
        yield from references(index)
    for child in children(head):
        if child != named:
            yield from references(child)
    for body in _below([rule.node.body.get("bodies")]):
        yield from references(body)


def called_name(call: Node) -> Reference:
    """The chain that names the function of a Call."""
    return reference(the_node(call.body.get("fcn")))


def parameters(call: Node) -> list[Node]:
    return [the_node(item) for item in as_list(call.body.get("params"))]


def constant_text(node: Node) -> str | None:
    """The string that `node` is written as, or None."""
    if node.kind in ("String", "RawString"):
        value = node.body.get("value")
        return value if isinstance(value, str) else None
    return None


def resolve(module: Module, rule: Rule, chain: Reference, own: frozenset[str]) -> Path | None:
    """The full path of a chain's constant part below `data` or `input`; None for a local.

    `own` are the names of the rules of the module's package.
    """
    if chain.base is not None or chain.root in rule.locals:
        return None
    if chain.root in ("input", "data"):
        return (chain.root, *chain.static)
    if chain.root in own:
        return (*module.package, chain.root, *chain.static)
    if chain.root in module.imports:
        return (*module.imports[chain.root], *chain.static)
    return None


def line_of(body: JsonObject) -> int:
    line = as_object(body.get("span")).get("line")
    return line if isinstance(line, int) else 0


def _slice(source: bytes, span: Json) -> str:
    place = as_object(span)
    start, end = place.get("start"), place.get("end")
    if isinstance(start, int) and isinstance(end, int):
        return source[start:end].decode("utf-8", "replace")
    return ""


def _bound(node: Node, source: bytes) -> Iterator[str]:
    """Names that the rule itself gives a value: declared, assigned, iterated, its arguments."""
    for inner in walk(node):
        body = inner.body
        if inner.kind in ("Func", "Default"):
            yield from _variables(body.get("args"))
        elif inner.kind == "SomeVars":
            yield from (_slice(source, span) for span in as_list(body.get("vars")))
        elif inner.kind == "Every":
            yield from (_slice(source, body.get(key)) for key in ("key", "value"))
        elif inner.kind == "SomeIn":
            yield from _variables([body.get("key"), body.get("value")])
        elif inner.kind == "AssignExpr":
            yield from _variables([body.get("lhs")])
            if body.get("op") == "Eq":
                yield from _variables([body.get("rhs")])
        elif inner.kind == "RefBrack":
            yield from _variables([body.get("index")])
        elif inner.kind == "Call" and called_name(inner).root == "walk":
            yield from _variables(as_list(body.get("params"))[1:])


def _variables(value: Json) -> Iterator[str]:
    """Names in a pattern: bare, or in arrays and objects; not those of references inside it."""
    node = node_of(value)
    if node is None:
        for item in as_list(value):
            yield from _variables(item)
    elif node.kind == "Var":
        yield str(node.body.get("value"))
    elif node.kind in ("Array", "Object"):
        for child in children(node):
            yield from _variables({child.kind: child.body})
