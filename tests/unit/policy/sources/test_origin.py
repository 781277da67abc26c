"""What could not be fetched is a fault like any other of policy: the last good one stays."""

from outrider.core.errors import ConfigError
from outrider.policy.sources.origin import FetchError


def test_a_fetch_that_failed_is_a_fault_of_configuration_to_whoever_does_not_ask():
    assert isinstance(FetchError("the server answered 500"), ConfigError)
