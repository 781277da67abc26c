"""What an agent sends of its own does not travel on."""

import pytest

from outrider.core.vocabulary import Direction
from outrider.pipeline.hygiene import CREDENTIAL_HEADERS, may_set, merged, strip
from tests.support.builders import a_head


@pytest.mark.control("JT-01")
@pytest.mark.parametrize(
    ("name", "counted"),
    [
        pytest.param("authorization", 1, id="authorization"),
        pytest.param("cookie", 1, id="cookie"),
        pytest.param("x-api-key", 1, id="api-key"),
        pytest.param("x-amz-security-token", 1, id="aws"),
        pytest.param("proxy-authorization", 0, id="its-token-for-us"),
        pytest.param("outrider-delegation", 0, id="ours"),
    ],
)
def test_credentials_and_our_own_headers_are_taken_out(name: str, counted: int) -> None:
    clean = strip(a_head(headers=(("accept", "x"), (name, "secret"))))
    assert clean.head.headers == (("accept", "x"),)
    assert clean.credentials == counted


def test_configured_names_are_taken_out_and_counted_too() -> None:
    fields = (("accept", "x"), ("x-vault-token", "s.1"), ("cookie", "a=b"), ("x-vault-tokens", "1"))
    clean = strip(a_head(headers=fields), CREDENTIAL_HEADERS | {"x-vault-token"})
    assert clean.head.headers == (("accept", "x"), ("x-vault-tokens", "1"))
    assert clean.credentials == 2


def test_a_head_without_any_is_the_same_head() -> None:
    head = a_head(headers=(("accept", "x"), ("authorization-hint", "y")))
    assert strip(head).head is head


def test_the_task_header_is_read_and_taken_out() -> None:
    clean = strip(a_head(headers=(("outrider-task", "tsk_1"),)))
    assert (clean.task, clean.head.headers) == ("tsk_1", ())


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("x-tenant", True),
        ("x-request-source", True),
        ("authorization", False),
        ("host", False),
        ("content-length", False),
        ("content-type", False),
        ("transfer-encoding", False),
        ("mcp-name", False),
        ("outrider-subject", False),
        ("x-forwarded-for", False),
        ("x-amz-date", False),
        ("traceparent", False),
    ],
)
def test_policy_sets_no_header_that_frames_identifies_or_routes(name: str, allowed: bool) -> None:
    assert may_set(name) is allowed


def test_policys_headers_replace_the_agents() -> None:
    assert merged((("a", "1"), ("b", "2")), (("a", "3"),)) == (("b", "2"), ("a", "3"))
    assert merged((("a", "1"),), ()) == (("a", "1"),)


@pytest.mark.parametrize(
    ("direction", "credentials"),
    [
        pytest.param(Direction.EGRESS, 1, id="egress"),
        pytest.param(Direction.INGRESS, 1, id="ingress"),
        pytest.param(Direction.AUTHZ, 2, id="elsewhere"),
    ],
)
def test_a_token_for_us_goes_nowhere_and_is_no_credential_of_an_upstream(direction, credentials):
    """Each direction has its own place for it; in the other's place it is one like any other."""
    fields = (("proxy-authorization", "Bearer a"), ("authorization", "Bearer b"))
    clean = strip(a_head(headers=fields), direction=direction)
    assert (clean.head.headers, clean.credentials) == ((), credentials)


def test_what_a_caller_says_of_its_instance_does_not_go_on():
    clean = strip(a_head(headers=(("outrider-instance", "pod:7"),)), direction=Direction.INGRESS)
    assert (clean.head.headers, clean.task, clean.credentials) == ((), None, 0)
