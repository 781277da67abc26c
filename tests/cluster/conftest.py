"""One cluster for the folder: a real node with our image, the chart, SPIRE and an upstream."""

from collections.abc import Iterator

import pytest

from tests.support import helm
from tests.support.cluster import Cluster, a_cluster
from tests.support.debian import UnavailableError


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    try:
        helm.find(helm.VERSIONS[-1])
        with a_cluster() as found:
            yield found
    except (UnavailableError, helm.UnavailableError) as fault:
        pytest.skip(str(fault))
