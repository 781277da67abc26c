"""A workload's uid is what the kernel says of it, with nothing of root but its eyes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.cli.demo.spire.users import as_user, why_no_other_user

HOME = Path("/any")
ASKS = """
import os, sys
print(os.getresuid(), os.getresgid(), os.getgroups(), len(open(sys.argv[1]).read()))
try:
    open(sys.argv[1], "a")
except PermissionError:
    print("may not write")
"""


def test_root_with_setpriv_may_and_without_it_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert why_no_other_user({"PATH": str(tmp_path)}, HOME) == (
        "there is no `setpriv` (util-linux) on the path"
    )
    program = tmp_path / "setpriv"
    program.touch(mode=0o755)
    assert why_no_other_user({"PATH": str(tmp_path)}, HOME) is None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert why_no_other_user({"PATH": str(tmp_path)}, closed / "home") is not None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert why_no_other_user({"PATH": str(tmp_path)}, HOME) == (
        "only root starts processes under several uids"
    )


def test_it_runs_under_the_uid_in_no_other_group_reads_all_and_writes_nothing_of_others(
    tmp_path: Path,
) -> None:
    if (why := why_no_other_user(os.environ, HOME)) is not None:
        pytest.skip(why)
    secret = tmp_path / "of-root"
    secret.write_text("abc", "utf-8")
    secret.chmod(0o600)
    command = as_user(70001, [sys.executable, "-S", "-c", ASKS, str(secret)])
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said == "(70001, 70001, 70001) (70001, 70001, 70001) [] 3\nmay not write\n"
