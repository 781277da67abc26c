"""Lint: what a release may hold but should not (POLICY §7, §8), beside all the load gate refuses.

Every finding is a `Problem` with file and line; line 0 is a whole file or a key of the data.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from typing import Final

import jsonschema_rs
import orjson

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.archive import read_tree
from outrider.policy.bundle import Tree, is_openapi, read
from outrider.policy.catalogue import FILE as CATALOGUE, is_outdated
from outrider.policy.gate import LoadGate
from outrider.policy.index import outdated
from outrider.policy.packs import SUFFIX as PACK
from outrider.policy.release import Release, load
from outrider.policy.syntax import (
    REFERENCES,
    Module,
    Node,
    Rule,
    called_name,
    constant_text,
    node_of,
    parameters,
    parse,
    reference,
    references,
    walk,
)
from outrider.policy.world import Language, Problem, World, world_of

FINDING: Final = ("data", "outrider", "lib", "finding")
LONGEST_EXCEPTION: Final = timedelta(days=90)
ENDS_SOON: Final = timedelta(days=14)
_SELECTORS_OF_AN_EXCEPTION: Final = frozenset({"subject", "resource", "effect"})
_NEEDED_OF_AN_EXCEPTION: Final = ("code", "owner", "reason", "ticket")
_KEYS_OF_AN_EXCEPTION: Final = _SELECTORS_OF_AN_EXCEPTION.union(
    _NEEDED_OF_AN_EXCEPTION, {"id", "until"}
)
_RULES_FILE: Final = "outrider/rules/data.yaml"
_EXCEPTIONS_FILE: Final = "outrider/exceptions/data.yaml"
_CHECKED_DATA: Final = ("agents", "calendar", "manifest", "rules", "templates", "tiers")
_ORDERS: Final = frozenset({"Gt", "Ge", "Lt", "Le"})
_KNOWN_SUFFIXES: Final = (".rego", ".suite.yaml", ".md")


def lint(
    path: Path,
    overlays: Sequence[Path] = (),
    *,
    library: Path,
    language: Language,
    entrypoint: str,
    today: date,
) -> list[Problem]:
    """All that is wrong or unwise in the tree at `path`. `library` is the folder of the schemas.

    Blocking. Raises `ConfigError` for a tree that cannot be loaded at all.
    """
    tree = read(path, overlays)
    release = load(path, overlays)
    gate = LoadGate(language=language, entrypoint=entrypoint)
    world = world_of(parse(release.modules), language)
    found = [
        *gate.problems(release),
        *_stray_files([path, *overlays]),
        *(_problem("index", file, 0, "not what `policy index` makes") for file in outdated(tree)),
        *(_page(path, tree) if not overlays else ()),
        *_codes(world, release),
        *_exceptions(as_object(release.data["outrider"]), today),
        *_data(tree, library),
        *_expressions(world),
        *_imported_rules(world),
    ]
    return sorted(set(found), key=lambda one: (one.file, one.line, one.check, one.message))


def _problem(check: str, file: str, line: int, message: str) -> Problem:
    return Problem(check=check, file=file, line=line, message=message)


# --- files ----------------------------------------------------------------------------------


def _stray_files(layers: Sequence[Path]) -> Iterator[Problem]:
    """Data files that nobody loads: bundle mode reads data.json and data.yaml alone."""
    for layer in layers:
        if layer.suffix == PACK and layer.is_file():
            continue
        for name in read_tree(layer):
            path = PurePosixPath(name)
            inside = path.parts[0] == "outrider"
            if not inside or path.name in ("data.json", "data.yaml") or is_openapi(path):
                continue
            if not path.name.endswith(_KNOWN_SUFFIXES):
                yield _problem("stray", name, 0, "no engine loads this file")


def _page(path: Path, tree: Tree) -> Iterator[Problem]:
    if path.is_dir() and is_outdated(path, tree):
        yield _problem("index", CATALOGUE, 0, "not what `policy index` makes")


# --- codes ----------------------------------------------------------------------------------


def _codes(world: World, release: Release) -> Iterator[Problem]:
    """Each code in a finding is declared, in the catalogue, and has owner and runbook."""
    outrider = as_object(release.data["outrider"])
    catalogue = as_object(outrider.get("catalogue"))
    rules = as_object(outrider.get("rules"))
    for module, _, call, code in _finding_codes(world):
        where = (module.file, call.line)
        if code is None:
            yield _problem("code", *where, "a finding's code is written out, not made")
            continue
        if code not in release.codes:
            yield _problem("code", *where, f"{code} is no id in METADATA or catalogue")
        if module.package[:3] == ("data", "outrider", "controls") and code not in catalogue:
            yield _problem("code", *where, f"{code} has no row in controls.yaml")
        for key in ("owner", "runbook"):
            if not isinstance(as_object(rules.get(code)).get(key), str):
                yield _problem("code", *where, f"{code} has no {key} in {_RULES_FILE}")


def _finding_codes(world: World) -> Iterator[tuple[Module, Rule, Node, str | None]]:
    for module, rule in world.each_rule():
        for node in walk(rule.node):
            if node.kind != "Call" or world.resolve(module, rule, called_name(node)) != FINDING:
                continue
            given = parameters(node)
            if given and not _is_passed_on(rule, given[0]):
                yield module, rule, node, constant_text(given[0])


def _is_passed_on(rule: Rule, code: Node) -> bool:
    """Whether a helper function hands on a code that its callers write out."""
    return rule.kind == "function" and code.kind == "Var"


# --- data -----------------------------------------------------------------------------------


def _data(tree: Tree, library: Path) -> Iterator[Problem]:
    """Policy data held against the schemas that ship."""
    outrider = as_object(tree.data.get("outrider"))
    for name in _CHECKED_DATA:
        schema = library / "schemas" / f"{name}.json"
        if name not in outrider or not schema.is_file():
            continue
        validator = jsonschema_rs.validator_for(orjson.loads(schema.read_bytes()))
        for error in validator.iter_errors(outrider[name]):
            at = "/".join(str(step) for step in error.instance_path)
            yield _problem("data", f"outrider/{name}", 0, f"{at}: {error.message[:200]}")


def _exceptions(outrider: JsonObject, today: date) -> Iterator[Problem]:
    catalogue = as_object(outrider.get("catalogue"))
    for name, document in as_object(outrider.get("exceptions")).items():
        for message in _exception(as_object(document), catalogue, today):
            yield _problem("exception", _EXCEPTIONS_FILE, 0, f"{name}: {message}")


def _exception(entry: JsonObject, catalogue: JsonObject, today: date) -> Iterator[str]:
    for key in _NEEDED_OF_AN_EXCEPTION:
        if not isinstance(entry.get(key), str):
            yield f"{key} is missing"
    for key in sorted(entry.keys() - _KEYS_OF_AN_EXCEPTION):
        yield f"{key} is not known here; the exception has no effect"
    for key in sorted(entry.keys() & _SELECTORS_OF_AN_EXCEPTION):
        if not isinstance(entry[key], str):
            yield f"{key} is no text; the exception has no effect"
    code = entry.get("code")
    row = as_object(catalogue.get(code)) if isinstance(code, str) else {}
    if isinstance(code, str) and row.get("exemptible") is not True:
        yield f"{code} takes no exceptions"
    until = _day(entry.get("until"))
    if until is None:
        yield "until is missing or no date"
    elif until - today > LONGEST_EXCEPTION:
        yield f"until is more than {LONGEST_EXCEPTION.days} days ahead"
    elif until - today <= ENDS_SOON:
        yield f"ends on {until.isoformat()}: renew it or remove it"


def _day(value: Json) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


# --- expressions ----------------------------------------------------------------------------


def _expressions(world: World) -> Iterator[Problem]:
    for module, rule in world.each_rule():
        for node in walk(rule.node):
            check = _CHECKS.get(node.kind)
            message = check(node) if check is not None else None
            if message is not None:
                yield _problem("expression", module.file, node.line, message)
        if _has_with(rule.node.body):
            yield _problem("expression", module.file, rule.line, "`with` stands in tests only")


def _imported_rules(world: World) -> Iterator[Problem]:
    """Rules reached by the name of an import: regorus then evaluates the whole package of it, and
    what that makes of rules that read one another is not what they say."""
    for module, rule in world.each_rule():
        for chain in references(rule.node):
            if chain.root not in module.imports or chain.root in rule.locals:
                continue
            path = world.resolve(module, rule, chain)
            found = world.rule_at(path) if path is not None else None
            if found is not None:
                name = ".".join(found)
                yield _problem("import", module.file, chain.line, f"write {name} in full")


def _has_with(value: Json) -> bool:
    if isinstance(value, dict):
        return bool(as_list(value.get("with_mods"))) or any(map(_has_with, value.values()))
    return isinstance(value, list) and any(map(_has_with, value))


def _ordered(node: Node) -> str | None:
    """Numbers are compared through the library: null and true are below every number."""
    if node.body.get("op") not in _ORDERS:
        return None
    for key in ("lhs", "rhs"):
        side = node_of(node.body.get(key))
        if side is not None and side.kind in REFERENCES and reference(side).root == "input":
            return "a value of the input is compared by order; use lib.over or lib.within"
    return None


def _globbed(node: Node) -> str | None:
    chain = called_name(node)
    given = parameters(node)
    if (chain.root, *chain.static) != ("glob", "match") or len(given) != 3:
        return None
    if given[1].kind != "Array" or not as_list(given[1].body.get("items")):
        return "glob.match without delimiters: name them"
    return None


_CHECKS: Final[Mapping[str, Callable[[Node], str | None]]] = {
    "BoolExpr": _ordered,
    "Call": _globbed,
}
