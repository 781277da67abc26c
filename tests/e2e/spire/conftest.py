"""One SPIRE server and agent for all tests of this folder, and a second trust domain on demand."""

from collections.abc import Iterator

import pytest

from outrider.cli.demo.spire.nodes import Ground
from tests.support.spire import Realm, a_ground, a_realm


@pytest.fixture(scope="package")
def ground() -> Iterator[Ground]:
    with a_ground() as made:
        yield made


@pytest.fixture(scope="package")
def _a_test(ground: Ground) -> Iterator[Realm]:
    with a_realm(ground, "a.test") as made:
        yield made


@pytest.fixture(scope="package")
def _b_test(ground: Ground) -> Iterator[Realm]:
    with a_realm(ground, "b.test") as made:
        yield made


@pytest.fixture
def realm(_a_test: Realm) -> Iterator[Realm]:
    """a.test; what a test registered there ends with it."""
    yield _a_test
    _a_test.clear()


@pytest.fixture
def other(_b_test: Realm) -> Iterator[Realm]:
    """b.test, a server and agent of their own."""
    yield _b_test
    _b_test.clear()
