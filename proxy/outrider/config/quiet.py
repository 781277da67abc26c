"""Defaults for libraries that read the environment themselves."""

import os


def quiet_grpc() -> None:
    """What gRPC's core is told, by the environment alone; before `grpc` or `spiffe` is imported.

    No handlers around a fork: under uvloop, which forks to start a child, they abort some of the
    children before these run (measured with grpcio 1.85.1: 3 of 100); ours only ever exec. And
    errors alone in its log, unless somebody asks for more: it goes straight to stderr, beside ours.
    """
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # noqa: TID251 - no setting of ours
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # noqa: TID251 - likewise
