"""The generated `settings.rego`: one line a code, so that what data says of it is found.

Law: every code that policy can give has its line; a code without one is enforced for ever, whatever
its settings say. Keys are written out: a variable key would reach into the teams' packages. It is a
function, for an object would be made whole in regorus, which costs a millisecond.
"""

import re
from typing import Final

from outrider.core.jsonvalue import as_object
from outrider.policy.bundle import Tree
from outrider.policy.release import catalogue_rows

FILE: Final = "outrider/settings.rego"
CODE: Final = re.compile(r"[A-Z]{2,8}-[0-9]{2,3}")
_START: Final = "settings("


def settings_text(tree: Tree) -> str | None:
    """The text of `settings.rego` as it should be; None in a tree without one. Raises
    `ConfigError`.

    What stands above the generated lines is kept.
    """
    present = tree.modules.get(FILE)
    if present is None:
        return None
    head = present.partition(f"\n{_START}")[0].rstrip("\n") + "\n"
    lines = (f'{_START}"{code}") := data.outrider.rules["{code}"]\n' for code in _codes(tree))
    return head + "\n".join(lines)


def _codes(tree: Tree) -> list[str]:
    """Codes of the catalogue that Rego gives, and those that the settings name besides."""
    given = {
        code
        for code, row in catalogue_rows(tree.catalogue).items()
        if as_object(row).get("package") is not None
    }
    rules = as_object(as_object(tree.data.get("outrider")).get("rules"))
    return sorted(code for code in given | rules.keys() if CODE.fullmatch(code))
