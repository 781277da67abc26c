"""What the checks of a release know of the whole of it: rules, packages, built-ins, schema."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import orjson

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.policy.syntax import (
    Module,
    Node,
    Path,
    Reference,
    Rule,
    node_of,
    reference,
    resolve,
    walk,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a release. `check` is its closed name."""

    check: str
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What policy may use: built-ins with the number of their arguments, the input's schema."""

    builtins: Mapping[str, int]
    schema: JsonObject


def read_language(folder: File) -> Language:
    """From `capabilities.json` and `schemas/input.json`. Blocking. Raises `ConfigError`."""
    try:
        capabilities = orjson.loads((folder / "capabilities.json").read_bytes())
        schema = orjson.loads((folder / "schemas" / "input.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as fault:
        raise ConfigError(f"{folder}: capabilities.json or schemas/input.json: {fault}") from fault
    builtins: dict[str, int] = {}
    for item in as_list(as_object(capabilities).get("builtins")):
        entry = as_object(item)
        declared = as_object(entry.get("decl"))
        builtins[str(entry.get("name"))] = len(as_list(declared.get("args")))
    return Language(builtins=builtins, schema=as_object(schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The modules of a release and what they define together."""

    modules: Sequence[Module]
    language: Language
    rules: Mapping[Path, tuple[Rule, ...]]
    packages: frozenset[Path]
    own: Mapping[Path, frozenset[str]]

    def each_rule(self) -> Iterator[tuple[Module, Rule]]:
        for module in self.modules:
            for rule in module.rules:
                yield module, rule

    def resolve(self, module: Module, rule: Rule, chain: Reference) -> Path | None:
        return resolve(module, rule, chain, self.own[module.package])

    def rule_at(self, path: Path) -> Path | None:
        """The rule that a path leads to or into."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.rules:
                return path[:length]
        return None

    def rules_within(self, path: Path) -> tuple[Path, ...]:
        """The rules that a path's value is made of: the one it leads into, or all below it."""
        found = self.rule_at(path)
        if found is not None:
            return (found,)
        return tuple(rule for rule in self.rules if rule[: len(path)] == path)

    def is_always_defined(self, path: Path) -> bool:
        """Whether the rule at exactly `path` has a value whatever the input is."""
        return any(
            rule.kind in ("default", "set") or (rule.kind == "complete" and _is_constant(rule))
            for rule in self.rules.get(path, ())
        )


def world_of(modules: Sequence[Module], language: Language) -> World:
    rules: dict[Path, tuple[Rule, ...]] = {}
    own: dict[Path, frozenset[str]] = {}
    for module in modules:
        names = frozenset(rule.name for rule in module.rules)
        own[module.package] = own.get(module.package, frozenset()) | names
        for rule in module.rules:
            rules[rule.path] = (*rules.get(rule.path, ()), rule)
    return World(
        modules=modules,
        language=language,
        rules=rules,
        packages=frozenset(module.package for module in modules),
        own=own,
    )


def _is_constant(rule: Rule) -> bool:
    """`name := …` without a condition, made of nothing that could be missing."""
    if rule.node.body.get("bodies"):
        return False
    head = next(node for node in walk(rule.node) if node.kind == "Compr")
    return not any(
        node.kind in ("Call", "RefDot", "RefBrack") or _is_name(node)
        for part in as_object(head.body.get("assign")).values()
        if (made := node_of(part)) is not None
        for node in walk(made)
    )


def _is_name(node: Node) -> bool:
    return node.kind == "Var" and reference(node).root != "_"
