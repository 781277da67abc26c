"""When a rule can find something at all, read out of the rule itself.

Law: a gate asks no more than its rules do. It repeats, word for word, what they ask of the input
and of facts of the library in forms both engines read alike; a form not known here is left out.
So a package behind a closed gate would have found nothing, and is not entered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.policy.syntax import (
    REFERENCES,
    Node,
    Rule,
    constant_text,
    node_of,
    reference,
    the_node,
)

EFFECT: Final = "input.action.properties.effect"
NO_READ: Final = f'not {EFFECT} == "read"'
_LIBRARY: Final = ("outrider", "lib")
_KEYWORDS: Final = frozenset(
    {
        "as", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null",
        "package", "some", "true", "with",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gate:
    """When a rule can find something: for these effects (None: any), where all of this holds."""

    effects: frozenset[str] | None = None
    conditions: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The gate's conditions as text, the effects first."""
        if self.effects is None:
            return self.conditions
        return (_held(EFFECT, sorted(self.effects)), *self.conditions)

    @property
    def implied(self) -> frozenset[str]:
        """What holds wherever the gate is open, though it is not asked."""
        beyond = self.effects is not None and '"read"' not in self.effects
        return frozenset({NO_READ}) if beyond else frozenset()

    def covers(self, other: "Gate") -> bool:
        """Whether it is open wherever the other is."""
        if not set(self.conditions) <= set(other.conditions):
            return False
        if self.effects is None or other.effects is None:
            return self.effects is None
        return self.effects >= other.effects


def gates_of(rules: Sequence[Rule]) -> list[Gate]:
    """One gate for all rules that differ in their effects alone; none that another covers."""
    merged: dict[frozenset[str], Gate] = {}
    for gate in (gate for rule in rules for gate in _gates(rule)):
        known = merged.setdefault(frozenset(gate.conditions), gate)
        if known.effects is None or gate.effects is None:
            effects = None
        else:
            effects = known.effects | gate.effects
        merged[frozenset(gate.conditions)] = Gate(effects, known.conditions)
    gates = list(merged.values())
    return [
        gate
        for gate in gates
        if not any(other is not gate and other.covers(gate) for other in gates)
    ]


def _gates(rule: Rule) -> list[Gate]:
    bodies = as_list(rule.node.body.get("bodies"))
    if "input" in rule.locals or not bodies:
        return [Gate()]
    return [_gate(as_object(body)) for body in bodies]


def _gate(body: JsonObject) -> Gate:
    """What a body asks, in the forms that are understood here."""
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
        elif field == EFFECT and effects is None and all(map(_is_word, constants or [""])):
            effects = frozenset(constants)
        else:
            conditions.append(_held(field, constants))
    return Gate(effects, tuple(dict.fromkeys(conditions)))


def _held(field: str, constants: Sequence[str]) -> str:
    if not constants:
        return field
    if len(constants) == 1:
        return f"{field} == {constants[0]}"
    return f"{field} in {{{', '.join(constants)}}}"


def _asked(literal: Node) -> tuple[str, list[str]] | None:
    """A field and what a literal holds it against (constants, or another field); nothing where it
    is asked by itself.

    None for other forms. OPA reads `not … in …` otherwise than regorus, so it is not said again.
    """
    condition = node_of(literal.body.get("expr")) if literal.kind in ("Expr", "NotExpr") else None
    if condition is None:
        return None
    if condition.kind in REFERENCES:
        itself = _field(condition)
        return (itself, []) if itself is not None else None
    if condition.kind == "BoolExpr" and condition.body.get("op") == "Eq":
        left, right = the_node(condition.body.get("lhs")), the_node(condition.body.get("rhs"))
        field, listed = (_field(left), [right]) if _field(left) else (_field(right), [left])
    elif condition.kind == "Membership" and literal.kind == "Expr":
        field, listed = _membership(condition)
    else:
        return None
    constants = [known for node in listed if (known := _constant(node) or _field(node))]
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
    """A path of the input, or a fact of the library named in full, none of it in brackets."""
    if node.kind not in REFERENCES:
        return None
    chain = reference(node)
    steps = [step for step in chain.steps if step is not None and _is_plain(step)]
    if chain.base is not None or not steps or len(steps) < len(chain.steps):
        return None
    fact = chain.root == "data" and tuple(steps[:2]) == _LIBRARY and len(steps) > len(_LIBRARY)
    if chain.root != "input" and not fact:
        return None
    return ".".join([chain.root, *steps])


def _constant(node: Node) -> str | None:
    """A plain word, a small whole number, null, a truth value, or what is empty, as written."""
    match node.kind:
        case "Array":
            return None if as_list(node.body.get("items")) else "[]"
        case "Object":
            return None if as_list(node.body.get("fields")) else "{}"
        case "Bool":
            return "true" if node.body.get("value") is True else "false"
        case "Null":
            return "null"
        case "Number":
            value = node.body.get("value")
            return str(value) if isinstance(value, int) and 0 <= value < 1_000_000 else None
        case _:
            text = constant_text(node)
            return f'"{text}"' if text is not None and _is_plain(text) else None


def _is_word(constant: str) -> bool:
    return constant.startswith('"')


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isidentifier() and text not in _KEYWORDS
