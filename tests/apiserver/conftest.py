"""One API server for the folder; each file has namespaces and a release of its own."""

from collections.abc import Iterator

import pytest

from tests.support import helm
from tests.support.control_plane import ControlPlane, a_control_plane
from tests.support.debian import UnavailableError


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    try:
        for version in helm.VERSIONS:
            helm.find(version)
        with a_control_plane() as found:
            yield found
    except (UnavailableError, helm.UnavailableError) as fault:
        pytest.skip(str(fault))
