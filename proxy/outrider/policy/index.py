"""The generated indexes `controls.rego` and `rules.rego`: each package named by one rule.

`settings.rego`, one line a code, is made with them (`outrider.policy.codes`).

Laws: composition is static (POLICY §7): a wildcard would make regorus evaluate every rule of every
package below, and would silently skip packages at another depth. What the rules of a package ask in
plain words, its entry asks before (`outrider.policy.gates`): a package that can find nothing is
then not entered. What many entries ask alike is asked once, before all of them. Neither changes an
answer; together they save most of the time of a call.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.policy.bundle import Tree
from outrider.policy.codes import FILE as SETTINGS, settings_text
from outrider.policy.composition import FINDINGS, INDEXED
from outrider.policy.gates import Gate, gates_of
from outrider.policy.syntax import Path, Rule, parse

FILES: Final = {index: f"outrider/{index[-1]}.rego" for index in INDEXED}
_START: Final = "findings contains f if "
# To enter a group costs regorus about as much as to ask four entries one thing more each.
_MANY: Final = 4
_LINE: Final = 120
_WORDS: Final = re.compile(r"[a-z0-9]+")
_UNTOLD: Final = frozenset({"input", "data", "outrider", "lib", "action", "context", "properties"})


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
class _Entry:
    """One gate of one package: what is asked, and what holds besides where all of it does."""

    package: str
    asked: tuple[str, ...]
    implied: frozenset[str]

    def after(self, condition: str) -> "_Entry":
        """The entry where `condition` is known to hold."""
        asked = tuple(one for one in self.asked if one != condition)
        return _Entry(self.package, asked, self.implied - {condition})


def _entries(packages: Mapping[Path, Sequence[Gate]]) -> list[str]:
    """An index's rules."""
    entries = [
        _Entry(".".join(package), gate.lines, gate.implied)
        for package, gates in packages.items()
        for gate in gates
    ]
    return list(_rules(FINDINGS, (), entries))


def _rules(rule: str, asked: tuple[str, ...], entries: Sequence[_Entry]) -> Iterator[str]:
    """The rules that make up `rule`, then those of its groups. `asked` has been asked before it."""
    left = list(entries)
    groups: list[tuple[str, tuple[str, ...], list[_Entry]]] = []
    while (shared := _most_shared(left)) is not None:
        inside = [entry for entry in left if shared in entry.asked or shared in entry.implied]
        left = [entry for entry in left if entry not in inside]
        path = (*asked, shared)
        groups.append((_name(path), path, [entry.after(shared) for entry in inside]))
    for name, path, _ in groups:
        yield _rule(rule, path[-1:], name)
    for entry in left:
        yield _rule(rule, entry.asked, f"{entry.package}.{FINDINGS}")
    for name, path, inside in groups:
        yield from _rules(name, path, inside)


def _most_shared(entries: Sequence[_Entry]) -> str | None:
    """What most of the entries ask, if that is many; of two, the one that comes first as text."""
    counted = Counter(one for entry in entries for one in {*entry.asked, *entry.implied})
    many = [(-count, condition) for condition, count in counted.items() if count >= _MANY]
    return min(many)[1] if many else None


def _rule(rule: str, conditions: Sequence[str], found: str) -> str:
    some = f"some f in {found}"
    short = f"{rule} contains f if {some}\n"
    if not conditions and len(short) <= _LINE:
        return short
    body = "".join(f"\t{line}\n" for line in [*conditions, some])
    return f"{rule} contains f if {{\n{body}}}\n"


def _name(asked: Sequence[str]) -> str:
    """A group's name: what was asked before it, in its last words."""
    said = ("_".join(w for w in _WORDS.findall(one) if w not in _UNTOLD) for one in asked)
    return "_" + "_and_".join(said)


def _packages(modules: Mapping[str, str]) -> dict[Path, list[Gate]]:
    """Packages that find something, each with its gates: where none is open, it finds nothing."""
    rules: dict[Path, list[Rule]] = {}
    for module in parse(modules):
        for rule in module.rules:
            if rule.name == FINDINGS:
                rules.setdefault(module.package, []).append(rule)
    return {package: gates_of(found) for package, found in sorted(rules.items())}


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
