"""Processes are talked to in bounded time, and leave nobody behind."""

import os
import sys
from pathlib import Path

import pytest

from outrider.cli.demo.children import BrokenPartError, Child

ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"


def a_child(tmp_path: Path, code: str) -> Child:
    return Child("part", [sys.executable, "-c", code], log=tmp_path / "part.log", environ={})


def test_it_answers_what_it_is_asked(tmp_path: Path) -> None:
    with a_child(tmp_path, ECHO) as child:
        assert child.ask({"do": "call"}) == {"do": "call"}
        assert child.is_running()
    assert not child.is_running()


def test_one_that_ended_is_named_with_its_last_words(tmp_path: Path) -> None:
    with (
        a_child(tmp_path, "raise SystemExit('no such upstream')") as child,
        pytest.raises(BrokenPartError, match=r"part ended\n.*no such upstream"),
    ):
        child.line()


def test_a_silent_one_is_not_waited_for_long(tmp_path: Path) -> None:
    with (
        a_child(tmp_path, ECHO) as child,
        pytest.raises(BrokenPartError, match="said nothing for 0 s"),
    ):
        child.line(within_s=0.01)


def test_one_that_says_nonsense_is_named(tmp_path: Path) -> None:
    with (
        a_child(tmp_path, "input(); print('hello')") as child,
        pytest.raises(BrokenPartError, match="something else than an answer"),
    ):
        child.ask({})


def test_its_own_children_end_with_it(tmp_path: Path) -> None:
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    inner = f"import time; held = open({str(pipe)!r}, 'w'); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    child = a_child(tmp_path, code)
    with pipe.open() as held:  # waits for the inner one to open it
        child.close()
        assert held.read() == ""  # its end is the only end of what it holds


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    child = a_child(tmp_path, ECHO)
    child.close()
    child.close()
    with pytest.raises(BrokenPartError, match="ended"):
        child.tell("anything")


def test_one_that_is_killed_hears_nothing_of_it(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"
    with a_child(tmp_path, f"{deaf}; input()") as child:
        child.line()
        child.kill()
        assert not child.is_running()
