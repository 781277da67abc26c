"""Bounds on Rego text, kept before any parser sees it.

Law: nothing that stands in a policy file may cost a reload more than moments. Regorus tries a
literal in brackets more than one way, so every level doubles what lies within; it holds the
interpreter all the while, and no deadline of ours runs.
"""

import re
from collections.abc import Mapping
from typing import Final

from outrider.core.errors import ConfigError

MODULE_BYTES: Final = 256 << 10
MAX_DEPTH: Final = 12  # the library and its tests need seven
# Brackets, and what stands between them by its length, each counted twice for every level it
# lies in. Measured: about two seconds at most.
_WORK: Final = 1 << 16
_CHARS: Final = 64  # as dear as one bracket
# Strings end on their line, as in Rego; a quote that begins no whole string matches alone.
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`|#[^\n]*|[\[\]{}()"`]|\Z')
_OPENED: Final = frozenset("[{(")
_CLOSED: Final = frozenset(")}]")


def check_bounds(modules: Mapping[str, str]) -> None:
    """Raises `ConfigError` with file and line for a module too large or nested too deeply."""
    work = 0
    for name, text in modules.items():
        if len(text.encode()) > MODULE_BYTES:
            raise ConfigError(f"{name}: a module holds at most {MODULE_BYTES} bytes")
        work = _weigh(name, text, work)


def _weigh(name: str, text: str, work: int) -> int:
    """`work` and what parsing `text` adds to it."""
    depth = end = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        work += ((match.start() - end) << depth) // _CHARS
        end = match.end()
        if mark in _CLOSED:
            depth = max(0, depth - 1)
        elif mark in _OPENED:
            depth += 1
            work += 1 << depth
        fault = _fault(mark, depth, work)
        if fault is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise ConfigError(f"{name}:{line}: {fault}")
    return work


def _fault(mark: str, depth: int, work: int) -> str | None:
    if mark in ('"', "`"):
        return "a string without an end"
    if depth > MAX_DEPTH:
        return f"brackets are nested more than {MAX_DEPTH} deep"
    if work > _WORK:
        return "too much is nested too deeply; put literals into data files"
    return None
