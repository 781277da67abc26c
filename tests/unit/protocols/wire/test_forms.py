import pytest
from hypothesis import given, strategies as st

from outrider.core.errors import MalformedError
from outrider.protocols.wire.forms import gathered, parse_form, parse_pairs, write_pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("a=1&b=2", (("a", "1"), ("b", "2"))),
        ("a=1&a=2", (("a", "1"), ("a", "2"))),
        ("flag", (("flag", None),)),
        ("a=", (("a", ""),)),
        ("a=b=c", (("a", "b=c"),)),
        ("a=x+y%20z%2B", (("a", "x y z+"),)),
        ("a%5B%5D=%C3%A9", (("a[]", "é"),)),
        ("a=1;b=2", (("a", "1;b=2"),)),
        ("a=%2526", (("a", "%26"),)),
    ],
)
def test_pairs_are_decoded_once(text: str, pairs: tuple[tuple[str, str | None], ...]) -> None:
    assert parse_pairs(text) == pairs
    assert parse_pairs(write_pairs(pairs)) == pairs
    assert parse_form(text.encode()) == pairs


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "&",
        "a=1&&b=2",
        "a=1&",
        "a=%",
        "a=%zz",
        "a=%ff",
        "a=%00",
        "a=%C0%AF",
        "&".join(["a"] * 1001),
    ],
)
def test_what_has_two_readings_is_refused(text: str) -> None:
    with pytest.raises(MalformedError) as refused:
        parse_pairs(text)
    assert refused.value.cause == "form"


def test_a_form_is_ascii() -> None:
    with pytest.raises(MalformedError, match="not encoded"):
        parse_form("a=é".encode())


def test_repeated_names_are_lists_or_refused() -> None:
    pairs = parse_pairs("a=1&b=2&a=3&c")
    assert gathered(pairs, frozenset(), repeats=True) == {"a": ["1", "3"], "b": "2", "c": ""}
    assert gathered(pairs, frozenset("ab"), repeats=False) == {
        "a": ["1", "3"],
        "b": ["2"],
        "c": "",
    }
    with pytest.raises(MalformedError) as refused:
        gathered(pairs, frozenset("b"), repeats=False)
    assert refused.value.cause == "repeated_parameter"


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=5),
            st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5),
        ),
        min_size=1,
        max_size=5,
    ).map(tuple)
)
def test_what_is_written_reads_back(pairs: tuple[tuple[str, str | None], ...]) -> None:
    assert parse_pairs(write_pairs(pairs)) == pairs
