"""One podman and one image for the whole folder."""

import os
from collections.abc import Iterator

import pytest

from tests.support.containers import Podman, podman
from tests.support.debian import UnavailableError
from tests.support.image import built


@pytest.fixture(scope="session")
def engine() -> Iterator[Podman]:
    try:
        found = podman()
    except UnavailableError as fault:
        pytest.skip(str(fault))
    yield found
    found.close()


@pytest.fixture(scope="session")
def image(engine: Podman) -> str:
    """Ours, as this working copy makes it, or the one that OUTRIDER_TEST_IMAGE names."""
    named = os.environ.get("OUTRIDER_TEST_IMAGE")
    if named:
        return named
    try:
        return built(engine)
    except UnavailableError as fault:
        pytest.skip(str(fault))
