"""The engine under test, one run of the suite for each entry of `ENGINES`."""

from collections.abc import AsyncIterator

import pytest

from outrider.policy.keeper import ReleaseEngine
from tests.support.policy_engines import ENGINES


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.opa] if name.startswith("opa") else [])
        for name in ENGINES
    ]
)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[ReleaseEngine]:
    async with ENGINES[request.param]() as made:
        yield made
