"""The generated indexes `controls.rego` and `rules.rego`: each package named by one line.

Law: composition is static (POLICY §7): a wildcard would make regorus evaluate every rule of every
package below, and would silently skip packages at another depth.
"""

from collections.abc import Mapping
from typing import Final

from outrider.policy.bundle import Tree
from outrider.policy.composition import FINDINGS, INDEXED
from outrider.policy.syntax import parse

FILES: Final = {index: f"outrider/{index[-1]}.rego" for index in INDEXED}
_START: Final = "findings contains f if some f in "
_LINE: Final = _START + "{package}.findings"


def indexes(tree: Tree) -> dict[str, str]:
    """The text of each index file, as it should be. Raises `ConfigError`.

    What stands above the generated lines (METADATA, package, comments) is kept.
    """
    packages = _packages(tree.modules)
    found: dict[str, str] = {}
    for index, file in FILES.items():
        lines = [
            _LINE.format(package=".".join(package))
            for package in packages
            if package[: len(index)] == index and package != index
        ]
        head = _head(tree.modules.get(file), ".".join(index[1:]))
        found[file] = head + "".join(f"{line}\n" for line in lines)
    return found


def outdated(tree: Tree) -> list[str]:
    """Index files that are not what `indexes` makes of the tree."""
    wanted = indexes(tree)
    return sorted(
        file
        for file, text in wanted.items()
        if tree.modules.get(file, "") != text and (file in tree.modules or "contains" in text)
    )


def _packages(modules: Mapping[str, str]) -> list[tuple[str, ...]]:
    return sorted(
        {
            module.package
            for module in parse(modules)
            if any(rule.name == FINDINGS for rule in module.rules)
        }
    )


def _head(text: str | None, package: str) -> str:
    """What stands above an index's first generated line."""
    if text is None:
        return f"package {package}\n\n"
    kept: list[str] = []
    for line in text.splitlines():
        if line.startswith(_START):
            return "".join(f"{one}\n" for one in kept)
        kept.append(line)
    return "".join(f"{one}\n" for one in kept).rstrip("\n") + "\n\n"
