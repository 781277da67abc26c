"""Defaults for libraries that read the environment themselves."""

import os


def quiet_grpc() -> None:
    """Let gRPC's core print errors alone, unless the environment says otherwise: it writes straight
    to stderr, beside our log, and at its default each agent's restart. Before the first channel."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # noqa: TID251 - no setting of ours
