import os
import sys
import time

import pytest

from tests.bench.machine import BenchError, Program, descendants, is_running, usage_of

PARENT = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('up', flush=True); time.sleep(60)"
)


def test_stopping_a_program_ends_what_it_started(tmp_path):
    program = Program("parent", [sys.executable, "-c", PARENT], folder=tmp_path)
    program.wait_ready(lambda: "up" in program.log.read_text(), limit_s=20)
    children = descendants(program.pid)
    program.stop()
    assert (len(children), [pid for pid in (program.pid, *children) if is_running(pid)]) == (1, [])


def test_a_program_that_ends_at_once_says_its_last_words(tmp_path):
    program = Program("liar", [sys.executable, "-c", "raise SystemExit('no key')"], folder=tmp_path)
    with pytest.raises(BenchError, match="no key"):
        program.wait_ready(lambda: False, limit_s=20)
    program.stop()


def test_cpu_spent_between_two_readings_is_seen():
    before = usage_of([os.getpid()])
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass
    after = usage_of([os.getpid()])
    assert 50_000 <= after.cpu_us - before.cpu_us <= 1_000_000
    assert after.rss_mib > 1


def test_a_process_that_is_gone_gives_no_figure(tmp_path):
    program = Program("short", [sys.executable, "-c", "pass"], folder=tmp_path)
    program.stop()
    with pytest.raises(BenchError, match="ended in the middle"):
        usage_of([program.pid])
