"""What the labels are, and that they are the ones frozen before any attack was looked at."""

import hashlib
from pathlib import Path
from typing import Final

POLICY: Final = Path(__file__).with_name("policy")
FROZEN: Final = Path(__file__).with_name("manifest.sha256")
"""The digest at the commit that came before any injection task was opened."""


def digest(root: Path = POLICY) -> str:
    """One SHA-256 over the labels and what they are based on: each file's path and content."""
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            name = path.relative_to(root).as_posix().encode()
            content = path.read_bytes()
            whole.update(b"%d %s %d " % (len(name), name, len(content)))
            whole.update(content)
    return whole.hexdigest()


def is_frozen(root: Path = POLICY) -> bool:
    """Whether the labels are still those of the first commit; else results are post-hoc."""
    return digest(root) == FROZEN.read_text("ascii").strip()
