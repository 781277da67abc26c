"""Writes the image's two small locks out of the project's one that holds everything.

    .venv/bin/python deploy/image/locks.py [--check]

`build.lock`: what builds our wheel. `otel.lock`: what traces need beyond `requirements.lock`.
Versions and hashes are the ones of requirements-dev.lock; which packages belong is read off the
metadata of what is installed from it, so it runs in the project's own environment.
"""  # noqa: INP001 - run by path

import re
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
HEAD: Final = (
    "# Written by deploy/image/locks.py from requirements-dev.lock; run it after `make lock`.\n"
)
_LINUX: Final = {"sys_platform": "linux", "platform_system": "Linux", "extra": ""}


def blocks(name: str) -> dict[str, str]:
    """Each locked package's lines, by its name."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text()):
        match = re.match(r"([a-z0-9][a-z0-9._-]*)==", block)
        if match:
            found[match[1]] = block.rstrip("\n")
    return found


def closure(wanted: list[Requirement]) -> set[str]:
    """The packages that `wanted` come to, with all that they require on Linux."""
    seen: set[str] = set()
    rest = list(wanted)
    while rest:
        one = rest.pop()
        name = canonicalize_name(one.name)
        if name in seen:
            continue
        seen.add(name)
        for line in requires(one.name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate(_LINUX):
                rest.append(needed)
    return seen


def texts() -> dict[Path, str]:
    """Each lock's path and what it is to hold."""
    whole, run = blocks("requirements-dev.lock"), blocks("requirements.lock")
    traces = [
        Requirement(line)
        for line in requires("outrider") or ()
        if 'extra == "otel"' in line.replace("'", '"')
    ]
    wanted = {
        "build.lock": closure([Requirement("hatchling")]),
        "otel.lock": closure(traces) - run.keys(),
    }
    return {
        HERE / name: HEAD + "".join(f"{whole[one]}\n" for one in sorted(names))
        for name, names in wanted.items()
    }


def main(arguments: list[str]) -> int:
    stale = [
        path for path, text in texts().items() if not path.is_file() or path.read_text() != text
    ]
    if arguments == ["--check"]:
        for path in stale:
            sys.stderr.write(f"{path} is not what requirements-dev.lock says\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(texts()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
