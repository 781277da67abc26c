"""Laws of every test: no blocking call in a running loop, hypothesis profiles, no real network."""

from collections.abc import Iterator
from typing import Final

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from outrider.config.quiet import quiet_grpc

quiet_grpc()  # tests start children on uvloop beside an agent of gRPC

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", parent=settings.get_profile("local"), max_examples=300, derandomize=True
)
settings.register_profile("nightly", parent=settings.get_profile("local"), max_examples=100_000)
settings.load_profile("local")


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    with blockbuster_ctx("outrider") as guard:
        # `make coverage`: the tracer's own lock is no wait of ours.
        guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
        yield


ASKED_FOR: Final = frozenset({"image", "apiserver", "cluster", "k8s", "prometheus", "capture"})
"""Markers of what takes minutes or the whole machine; each has a make target of its name."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They run where `-m` names them; plain runs say why not."""
    asked = config.getoption("markexpr", "")
    for item in items:
        for marker in ASKED_FOR & {mark.name for mark in item.iter_markers()}:
            if marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"run by `make test-{marker}`"))
