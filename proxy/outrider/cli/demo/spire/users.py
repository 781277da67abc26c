"""Workloads of one machine differ by uid: how a command is run under another one."""

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

_READ = "dac_read_search"
"""Kept, and nothing else: the interpreter may lie in root's home, where no one else may look."""


def why_no_other_user(environ: Mapping[str, str], home: Path) -> str | None:
    """Why a command cannot be run under another uid, with its files below `home`; None where it
    can."""
    if os.geteuid() != 0:
        return "only root starts processes under several uids"
    if shutil.which("setpriv", path=environ.get("PATH", "")) is None:
        return "there is no `setpriv` (util-linux) on the path"
    for folder in home.resolve().parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return f"{folder} is closed to other users; set TMPDIR to another folder"
    return None


def as_user(uid: int, command: Sequence[str]) -> list[str]:
    """`command` under `uid` and the gid of that number, in no other group; it may read, as root
    may, and do no more than that uid else."""
    return [
        "setpriv",
        *("--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"),
        *(f"--{kind}=-all,+{_READ}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
        *("--", *command),
    ]
