"""The generated indexes `controls.rego` and `rules.rego`: each package named by one rule.

`settings.rego`, one line a code, is made with them (`outrider.policy.codes`).

Laws: composition is static (POLICY §7): a wildcard would make regorus evaluate every rule of every
package below, and would silently skip packages at another depth. What the rules of a package ask of
the input alone, in plain words, its entry asks before: a package that can find nothing is then
not entered, which changes no answer and saves most of the time of a call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.policy.bundle import Tree
from outrider.policy.codes import FILE as SETTINGS, settings_text
from outrider.policy.composition import FINDINGS, INDEXED
from outrider.policy.syntax import (
    REFERENCES,
    Node,
    Path,
    Rule,
    constant_text,
    node_of,
    parse,
    reference,
    the_node,
)

FILES: Final = {index: f"outrider/{index[-1]}.rego" for index in INDEXED}
_START: Final = "findings contains f if "
_EFFECT: Final = "input.action.properties.effect"
_NO_READ: Final = f'not {_EFFECT} == "read"'
_FEW: Final = 2
_BEYOND_READING: Final = f"{_START}{{\n\t{_NO_READ}\n\tsome f in _beyond_reading\n}}\n"


def indexes(tree: Tree) -> dict[str, str]:
    """The text of each index file, as it should be. Raises `ConfigError`.

    What stands above the generated rules (METADATA, package, comments) is kept.
    """
    packages = _packages(tree.modules)
    found: dict[str, str] = {}
    for index, file in FILES.items():
        below = {
            package: gates
            for package, gates in packages.items()
            if package[: len(index)] == index and package != index
        }
        head = _head(tree.modules.get(file), ".".join(index[1:]))
        found[file] = head + "\n".join(_entries(below))
    settings = settings_text(tree)
    if settings is not None:
        found[SETTINGS] = settings
    return found


def outdated(tree: Tree) -> list[str]:
    """Index files that are not what `indexes` makes of the tree."""
    return sorted(
        file
        for file, text in indexes(tree).items()
        if tree.modules.get(file, "") != text and (file in tree.modules or _START in text)
    )


@dataclass(frozen=True, slots=True)
class _Gate:
    """When a rule can find something: for these effects (None: any), where all of this holds."""

    effects: frozenset[str] | None = None
    conditions: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        if self.effects is None:
            return list(self.conditions)
        return [_held(_EFFECT, sorted(self.effects)), *self.conditions]

    @property
    def beyond_reading(self) -> bool:
        if self.effects is None:
            return _NO_READ in self.conditions
        return '"read"' not in self.effects

    def covers(self, other: "_Gate") -> bool:
        """Whether it is open wherever the other is."""
        if not set(self.conditions) <= set(other.conditions):
            return False
        if self.effects is None or other.effects is None:
            return self.effects is None
        return self.effects >= other.effects


def _entries(packages: Mapping[Path, Sequence[_Gate]]) -> list[str]:
    """An index's rules. Where many packages find nothing about a read, that is asked once."""
    entries = [(".".join(package), gate) for package, gates in packages.items() for gate in gates]
    grave = [entry for entry in entries if entry[1].beyond_reading]
    if len(grave) <= _FEW:
        return [_entry(FINDINGS, name, gate.lines) for name, gate in entries]
    return [
        _BEYOND_READING,
        *(_entry(FINDINGS, name, gate.lines) for name, gate in entries if not gate.beyond_reading),
        *(_entry("_beyond_reading", name, gate.lines) for name, gate in grave),
    ]


def _entry(rule: str, package: str, conditions: list[str]) -> str:
    found = f"some f in {package}.{FINDINGS}"
    if not conditions:
        return f"{rule} contains f if {found}\n"
    body = "".join(f"\t{line}\n" for line in [*conditions, found])
    return f"{rule} contains f if {{\n{body}}}\n"


def _packages(modules: Mapping[str, str]) -> dict[Path, list[_Gate]]:
    """Packages that find something, each with its gates: where none is open, it finds nothing."""
    rules: dict[Path, list[Rule]] = {}
    for module in parse(modules):
        for rule in module.rules:
            if rule.name == FINDINGS:
                rules.setdefault(module.package, []).append(rule)
    return {package: _gates(found) for package, found in sorted(rules.items())}


def _gates(rules: Sequence[Rule]) -> list[_Gate]:
    """One gate for all rules that differ in their effects alone; none that another covers."""
    merged: dict[frozenset[str], _Gate] = {}
    for gate in (gate for rule in rules for gate in _gates_of(rule)):
        known = merged.setdefault(frozenset(gate.conditions), gate)
        if known.effects is None or gate.effects is None:
            effects = None
        else:
            effects = known.effects | gate.effects
        merged[frozenset(gate.conditions)] = _Gate(effects, known.conditions)
    gates = list(merged.values())
    return [
        gate
        for gate in gates
        if not any(other is not gate and other.covers(gate) for other in gates)
    ]


def _gates_of(rule: Rule) -> list[_Gate]:
    bodies = as_list(rule.node.body.get("bodies"))
    if "input" in rule.locals or not bodies:
        return [_Gate()]
    return [_gate(as_object(body)) for body in bodies]


def _gate(body: JsonObject) -> _Gate:
    """What a body asks of the input alone, in the forms that are understood here."""
    effects: frozenset[str] | None = None
    conditions: list[str] = []
    for statement in as_list(as_object(body.get("query")).get("stmts")):
        literal = node_of(as_object(statement).get("literal"))
        asked = _asked(literal) if literal and not as_object(statement).get("with_mods") else None
        if literal is None or asked is None:
            continue
        field, constants = asked
        if literal.kind == "NotExpr":
            conditions.append(f"not {_held(field, constants)}")
        elif field == _EFFECT and effects is None:
            effects = frozenset(constants)
        else:
            conditions.append(_held(field, constants))
    return _Gate(effects, tuple(dict.fromkeys(conditions)))


def _held(field: str, constants: Sequence[str]) -> str:
    if len(constants) == 1:
        return f"{field} == {constants[0]}"
    return f"{field} in {{{', '.join(constants)}}}"


def _asked(literal: Node) -> tuple[str, list[str]] | None:
    """A field of the input and the constants a literal holds it against; None for other forms.

    OPA reads `not … in …` otherwise than regorus, so it is not said again.
    """
    condition = node_of(literal.body.get("expr")) if literal.kind in ("Expr", "NotExpr") else None
    if condition is None:
        return None
    if condition.kind == "BoolExpr" and condition.body.get("op") == "Eq":
        left, right = the_node(condition.body.get("lhs")), the_node(condition.body.get("rhs"))
        field, listed = (_field(left), [right]) if _field(left) else (_field(right), [left])
    elif condition.kind == "Membership" and literal.kind == "Expr":
        field, listed = _membership(condition)
    else:
        return None
    constants = [constant for node in listed if (constant := _constant(node)) is not None]
    if field is None or not constants or len(constants) < len(listed):
        return None
    return field, sorted(set(constants))


def _membership(condition: Node) -> tuple[str | None, list[Node]]:
    collection = node_of(condition.body.get("collection"))
    if condition.body.get("key") or collection is None or collection.kind not in ("Set", "Array"):
        return None, []
    items = [the_node(item) for item in as_list(collection.body.get("items"))]
    return _field(the_node(condition.body.get("value"))), items


def _field(node: Node) -> str | None:
    """A path of the input as it is written, where no step of it needs a bracket."""
    if node.kind not in REFERENCES:
        return None
    chain = reference(node)
    steps = [step for step in chain.steps if step is not None and _is_plain(step)]
    if chain.root != "input" or not steps or len(steps) < len(chain.steps):
        return None
    return ".".join(["input", *steps])


def _constant(node: Node) -> str | None:
    """A plain word, a truth value or the empty array as it is written."""
    if node.kind == "Array":
        return None if as_list(node.body.get("items")) else "[]"
    if node.kind == "Bool":
        return "true" if node.body.get("value") is True else "false"
    text = constant_text(node)
    return f'"{text}"' if text is not None and _is_plain(text) else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace("_", "").isalpha()


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
