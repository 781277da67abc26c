"""gRPC's core is quiet by default, and loud where somebody asks for it."""

import os

import pytest

from outrider.config.quiet import quiet_grpc


@pytest.mark.parametrize(
    ("said", "stands"),
    [pytest.param(None, "ERROR", id="nothing-said"), pytest.param("DEBUG", "DEBUG", id="said")],
)
def test_the_environment_has_the_last_word(monkeypatch, said, stands):
    # Set first in any case, so that what the call leaves behind is taken back.
    monkeypatch.setenv("GRPC_VERBOSITY", said or "")
    if said is None:
        monkeypatch.delenv("GRPC_VERBOSITY")
    quiet_grpc()
    assert os.environ["GRPC_VERBOSITY"] == stands
