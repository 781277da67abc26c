"""gRPC's core is quiet by default, loud where somebody asks for it, and never acts on a fork."""

import os

import pytest

from outrider.config.quiet import quiet_grpc


@pytest.mark.parametrize(
    ("said", "stands"),
    [pytest.param(None, "ERROR", id="nothing-said"), pytest.param("DEBUG", "DEBUG", id="said")],
)
def test_the_environment_has_the_last_word_on_the_log(monkeypatch, said, stands):
    # Set first in any case, so that what the call leaves behind is taken back.
    monkeypatch.setenv("GRPC_VERBOSITY", said or "")
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    if said is None:
        monkeypatch.delenv("GRPC_VERBOSITY")
    quiet_grpc()
    assert os.environ["GRPC_VERBOSITY"] == stands


@pytest.mark.parametrize("said", ["1", "true", ""])
def test_nobody_has_it_act_on_a_fork(monkeypatch, said):
    monkeypatch.setenv("GRPC_VERBOSITY", "ERROR")
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", said)
    quiet_grpc()
    assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"
