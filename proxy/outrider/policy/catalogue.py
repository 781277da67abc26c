"""The catalogue as a page: what each control enforces, in which mode, where, and by which refs.

The page is made from `controls.yaml` and `data.outrider.rules`; lint holds it to them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.bundle import Tree
from outrider.policy.release import catalogue_rows

FILE: Final = "CATALOGUE.md"
_HEAD: Final = """\
# The controls

Made by `outrider policy index` from `controls.yaml` and `outrider/rules/data.yaml`; not edited by
hand. P prevents, D detects, E evidences. A mode stands for what policy decides; what the sidecar
enforces by itself has none. What waits for something else to be built says so.
"""
_COLUMNS: Final = ("Id", "", "Enforces", "Mode", "Severity", "Where", "Exceptions", "Refs")
_FAMILIES: Final = {
    "AP": "Approvals",
    "AU": "Audit",
    "CE": "Execution",
    "DL": "Delegation",
    "EF": "What each effect asks by itself",
    "GV": "Governance",
    "IA": "Between agents",
    "ID": "Identity",
    "IR": "Response",
    "JT": "Credentials",
    "MM": "Memory",
    "PV": "Provenance",
    "RL": "Rates and limits",
    "SC": "Supply chain",
    "SQ": "What was done before",
    "TS": "Tasks and grants",
}


def catalogue_page(tree: Tree) -> str | None:
    """The page of the tree's catalogue; None where it has none. Raises `ConfigError`."""
    rows = catalogue_rows(tree.catalogue)
    if not rows:
        return None
    rules = as_object(as_object(tree.data.get("outrider")).get("rules"))
    families: dict[str, list[str]] = {}
    for code in sorted(rows):
        line = _line(code, as_object(rows[code]), as_object(rules.get(code)))
        families.setdefault(code.partition("-")[0], []).append(line)
    return _HEAD + "".join(_family(name, lines) for name, lines in families.items())


def is_outdated(folder: Path, tree: Tree) -> bool:
    """Whether the page in `folder` is not what the tree makes; one without a page needs none."""
    file = folder / FILE
    return file.is_file() and file.read_text(encoding="utf-8") != catalogue_page(tree)


def _family(name: str, lines: list[str]) -> str:
    head = f"\n## {_FAMILIES.get(name, name)}\n\n| {' | '.join(_COLUMNS)} |\n"
    return head + "|" + " --- |" * len(_COLUMNS) + "\n" + "".join(lines)


def _line(code: str, row: JsonObject, rule: JsonObject) -> str:
    cells = (
        f"{code} {row.get('control', '')}",
        row.get("title"),
        row.get("enforces"),
        rule.get("mode"),
        rule.get("severity", row.get("severity")),
        ", ".join(_where(row)),
        "may be made" if row.get("exemptible") is True else None,
        " · ".join(str(ref) for ref in as_list(row.get("refs"))),
    )
    return f"| {' | '.join(_plain(cell) for cell in cells)} |\n"


def _where(row: JsonObject) -> Iterator[str]:
    package, waits_for = row.get("package"), row.get("waits_for")
    if not isinstance(package, str):
        yield "the sidecar"
    elif package == "outrider":
        yield "`outrider/`"
    else:
        yield f"[`{package.rpartition('.')[2]}`]({package.replace('.', '/')})"
    if isinstance(waits_for, str):
        yield f"waits for {waits_for}"


def _plain(value: Json) -> str:
    return "-" if value in (None, "") else str(value).replace("|", "\\|").replace("\n", " ")
