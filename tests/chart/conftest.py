"""Tests of the chart need a real Helm; without one they say so."""

import pytest

from tests.support import helm


@pytest.fixture(autouse=True)
def _a_real_helm(request: pytest.FixtureRequest) -> None:
    parameters = getattr(request.node, "callspec", None)
    version = parameters.params.get("version", "4.3.1") if parameters else "4.3.1"
    try:
        helm.find(version)
    except helm.UnavailableError as fault:
        pytest.skip(str(fault))
