"""The memory of a process that holds keys."""

import json
import subprocess
import sys

LOOK = """
import ctypes, json, os, resource
if {private}:
    from outrider.cli.memory import keep_memory_private
    keep_memory_private()
print(json.dumps([
    ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    list(resource.getrlimit(resource.RLIMIT_CORE)),
    os.stat("/proc/self/mem").st_uid,
    len(os.listdir("/proc/self/fd")) > 2,
]))
"""


def looked(*, private: bool) -> list[object]:
    """Whether it may be dumped, its limits, who owns its memory, whether it sees its own files."""
    told = subprocess.run(
        [sys.executable, "-c", LOOK.format(private=private)],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    found: list[object] = json.loads(told.stdout)
    return found


def test_a_process_may_be_dumped_until_it_says_otherwise() -> None:
    assert looked(private=False)[0] == 1


def test_it_cannot_be_dumped_and_still_sees_its_own_files() -> None:
    assert looked(private=True) == [0, [0, 0], 0, True]
