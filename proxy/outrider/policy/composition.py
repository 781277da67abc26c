"""How modules and data fit together: static composition, reached packages, no path twice.

Laws: a package is named in full, never by a wildcard over packages; a package that finds
something and that no index names is refused; a rule and data never share a path, since OPA
refuses that and regorus lets one of them win.
"""

from collections.abc import Iterator
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.syntax import Module, Path, references
from outrider.policy.world import Problem, World

INDEXED: Final = (("data", "outrider", "controls"), ("data", "outrider", "rules"))
FINDINGS: Final = "findings"


def check_composition(world: World) -> Iterator[Problem]:
    """References that take in whole packages, and packages that nothing reaches."""
    reached: set[Path] = set()
    for module, rule in world.each_rule():
        for chain in references(rule.node):
            path = world.resolve(module, rule, chain)
            if path is None or path[0] != "data":
                continue
            if module.package in INDEXED and path[-1] == FINDINGS:
                reached.add(path[:-1])
            if world.rule_at(path) is None and _takes_in(world, path):
                yield _problem(
                    module, chain.line, f"{'.'.join(path)} takes in whole packages; name a rule"
                )
    yield from _unreached(world, reached)


def _takes_in(world: World, path: Path) -> bool:
    return any(package[: len(path)] == path for package in world.packages)


def _unreached(world: World, reached: set[Path]) -> Iterator[Problem]:
    for index in INDEXED:
        for module in world.modules:
            inside = module.package[: len(index)] == index and module.package != index
            rule = next((rule for rule in module.rules if rule.name == FINDINGS), None)
            if inside and rule is not None and module.package not in reached:
                name = ".".join(module.package)
                yield _problem(
                    module,
                    rule.line,
                    f"{name}.{FINDINGS} is reached by no line of {index[-1]}.rego",
                )


def check_paths(world: World, data: JsonObject) -> Iterator[Problem]:
    """Rules whose path is a path of the data too."""
    for module, rule in world.each_rule():
        if _stands_in(data, rule.path[1:]):
            yield _problem(
                module, rule.line, f"{'.'.join(rule.path)} is a rule and stands in the data too"
            )


def _stands_in(data: Json, path: Path) -> bool:
    for step in path:
        if not isinstance(data, dict):
            return True  # a value stands where the rule's package would
        if step not in data:
            return False
        data = data[step]
    return True


def check_entrypoint(world: World, entrypoint: str) -> Iterator[Problem]:
    """The entry point is a rule of the release."""
    path = tuple(entrypoint.split("."))
    if path not in world.rules:
        yield Problem(
            check="entrypoint",
            file="policy",
            line=0,
            message=f"the entry point {entrypoint} is defined nowhere",
        )


def _problem(module: Module, line: int, message: str) -> Problem:
    return Problem(check="composition", file=module.file, line=line, message=message)
