import pytest

from outrider.core.trace_context import rejoined, trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_valid_parent_is_continued():
    trace = trace_of(f"00-{TRACE}-{SPAN}-01", "k=v,a@b=c")
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE, SPAN, True)
    assert trace.state == "k=v,a@b=c"
    assert trace.span_id != SPAN
    assert len(trace.span_id) == 16


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        f"01-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-x",
        f"00-{TRACE}-{SPAN}",
        f" 00-{TRACE}-{SPAN}-01",
    ],
)
def test_anything_else_begins_a_new_trace(parent):
    trace = trace_of(parent, "k=v")
    assert trace.trace_id != TRACE
    assert (trace.parent_id, trace.state, trace.sampled) == (None, None, False)


@pytest.mark.parametrize("state", ["", "K=v", "k", "k=", "k=v," * 40 + "k=v", "k=" + "v" * 600])
def test_a_state_that_is_none_is_dropped(state):
    assert trace_of(f"00-{TRACE}-{SPAN}-00", state).state is None


# --- what the message itself says ---


def test_the_messages_own_context_takes_the_headers_place() -> None:
    trace = trace_of(f"00-{'a' * 32}-{'b' * 16}-00", "old=1")
    joined = rejoined(trace, f"00-{'c' * 32}-{'d' * 16}-01", "new=2")
    assert (joined.trace_id, joined.parent_id, joined.sampled) == ("c" * 32, "d" * 16, True)
    assert (joined.span_id, joined.state) == (trace.span_id, "new=2")


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(f"00-{'0' * 32}-{'d' * 16}-01", id="no-trace"),
        pytest.param(f"00-{'a' * 32}-{'b' * 16}-01", id="the-same"),
    ],
)
def test_a_message_that_names_no_other_changes_nothing(parent: str | None) -> None:
    trace = trace_of(f"00-{'a' * 32}-{'b' * 16}-00", None)
    assert rejoined(trace, parent, None) is trace
