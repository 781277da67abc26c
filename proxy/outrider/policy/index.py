"""The generated indexes `controls.rego` and `rules.rego`: each package named by one rule.

Laws: composition is static (POLICY §7): a wildcard would make regorus evaluate every rule of every
package below, and would silently skip packages at another depth. Where every rule of a package
begins by naming its effects, so does its entry here: the package is then not entered for any
other effect, which changes no answer and saves most of the time of a call.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from outrider.core.jsonvalue import Json, as_list, as_object
from outrider.policy.bundle import Tree
from outrider.policy.composition import FINDINGS, INDEXED
from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Path,
    Rule,
    constant_text,
    node_of,
    parse,
    reference,
)

FILES: Final = {index: f"outrider/{index[-1]}.rego" for index in INDEXED}
EFFECT: Final = ("action", "properties", "effect")
_START: Final = "findings contains f if "
_PLAIN: Final = _START + "some f in {package}.findings\n"
_GATED: Final = _START + "{{\n\t{gate}\n\tsome f in {package}.findings\n}}\n"


def indexes(tree: Tree) -> dict[str, str]:
    """The text of each index file, as it should be. Raises `ConfigError`.

    What stands above the generated rules (METADATA, package, comments) is kept.
    """
    packages = _packages(tree.modules)
    found: dict[str, str] = {}
    for index, file in FILES.items():
        entries = [
            _entry(package, effects)
            for package, effects in sorted(packages.items())
            if package[: len(index)] == index and package != index
        ]
        found[file] = _head(tree.modules.get(file), ".".join(index[1:])) + "\n".join(entries)
    return found


def outdated(tree: Tree) -> list[str]:
    """Index files that are not what `indexes` makes of the tree."""
    return sorted(
        file
        for file, text in indexes(tree).items()
        if tree.modules.get(file, "") != text and (file in tree.modules or _START in text)
    )


def _entry(package: Path, effects: frozenset[str] | None) -> str:
    name = ".".join(package)
    if effects is None:
        return _PLAIN.format(package=name)
    ordered = sorted(effects)
    gate = f'input.action.properties.effect == "{ordered[0]}"'
    if len(ordered) > 1:
        listed = ", ".join(f'"{effect}"' for effect in ordered)
        gate = f"input.action.properties.effect in {{{listed}}}"
    return _GATED.format(package=name, gate=gate)


def _packages(modules: Mapping[str, str]) -> dict[Path, frozenset[str] | None]:
    """Packages that find something, each with all effects it finds it for; None: any."""
    rules: dict[Path, list[tuple[Module, Rule]]] = {}
    for module in parse(modules):
        for rule in module.rules:
            if rule.name == FINDINGS:
                rules.setdefault(module.package, []).append((module, rule))
    return {package: _effects(found) for package, found in rules.items()}


def _effects(rules: Sequence[tuple[Module, Rule]]) -> frozenset[str] | None:
    found: set[str] = set()
    for _, rule in rules:
        bodies = as_list(rule.node.body.get("bodies"))
        named = [_named(as_object(body)) for body in bodies]
        if "input" in rule.locals or not named or not all(named):
            return None
        found.update(*named)
    return frozenset(found)


def _named(body: dict[str, Json]) -> set[str]:
    """The effects of the first condition of a body that names any; none where none does."""
    for statement in as_list(as_object(body.get("query")).get("stmts")):
        literal = node_of(as_object(statement).get("literal"))
        if literal is None or literal.kind != "Expr" or as_object(statement).get("with_mods"):
            continue
        condition = node_of(literal.body.get("expr"))
        effects = set(_compared(condition)) if condition is not None else set()
        if effects:
            return effects
    return set()


def _compared(condition: Node) -> Iterator[str]:
    """Constants that `input.action.properties.effect` is held against; none for other forms."""
    if condition.kind == "BoolExpr" and condition.body.get("op") == "Eq":
        left, right = node_of(condition.body.get("lhs")), node_of(condition.body.get("rhs"))
        listed = [right] if _is_effect(left) else [left] if _is_effect(right) else []
    elif condition.kind == "Membership" and not condition.body.get("key"):
        collection = node_of(condition.body.get("collection"))
        written = collection is not None and collection.kind in ("Set", "Array")
        items = as_list(collection.body.get("items")) if collection and written else []
        listed = [node_of(item) for item in items]
        listed = listed if _is_effect(node_of(condition.body.get("value"))) else []
    else:
        return
    texts = [constant_text(node) if node is not None else None for node in listed]
    if all(text is not None and text.isalpha() for text in texts):
        yield from (text for text in texts if text is not None)


def _is_effect(node: Node | None) -> bool:
    if node is None or node.kind not in REFERENCES:
        return False
    chain = reference(node)
    return chain.root == "input" and chain.steps == EFFECT


def _head(text: str | None, package: str) -> str:
    """What stands above an index's first generated rule."""
    if text is None:
        return f"package {package}\n\n"
    kept: list[str] = []
    for line in text.splitlines():
        if line.startswith(_START):
            return "".join(f"{one}\n" for one in kept)
        kept.append(line)
    return "".join(f"{one}\n" for one in kept).rstrip("\n") + "\n\n"
