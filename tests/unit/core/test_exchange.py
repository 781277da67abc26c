import pytest

from tests.support.builders import (
    a_head,
    a_response_head,
    a_trace,
)


def test_heads_give_the_first_value_of_a_name() -> None:
    head = a_head(headers=(("a", "1"), ("b", "2"), ("a", "3")))
    assert (head.header("a"), head.header("c"), head.headers_named("a")) == ("1", None, ("1", "3"))
    answer = a_response_head(headers=(("a", "1"), ("a", "2")))
    assert (answer.header("a"), answer.header("b")) == ("1", None)


@pytest.mark.parametrize(("sampled", "flags"), [(True, "01"), (False, "00")])
def test_a_trace_context_is_written_as_w3c_says(sampled: bool, flags: str) -> None:
    assert a_trace(sampled=sampled).traceparent == (
        f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"
    )
