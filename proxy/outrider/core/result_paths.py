"""Paths into a result, as the manifest spells them: `$.items[*].id`.

`.name` and `["any name"]` are one step each; `[*]` and `.*` are each item of a list or each value
of a map. There is no index and no search: a path says which field it means in every result.
"""

import re
from typing import Final

EACH: Final = "*"
MAX_STEPS: Final = 32
EXAMPLE: Final = 'give a path such as $.items[*].id or $["a name"].id'
_STEP: Final = re.compile(r"\.(\*|[^.\[\]\"'*\s]+)|\[(\*)\]|\[\"([^\"\\]*)\"\]")


def parse_path(text: str) -> tuple[str, ...]:
    """The steps below `$`. Raises `ValueError` saying what is wrong with `text`."""
    if not text.startswith("$"):
        raise ValueError(EXAMPLE)
    steps: list[str] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or match[3] in ("", EACH):
            raise ValueError(EXAMPLE)
        steps.append(match[1] or match[2] or match[3])
        at = match.end()
    if len(steps) > MAX_STEPS:
        raise ValueError(f"give at most {MAX_STEPS} steps")
    return tuple(steps)
