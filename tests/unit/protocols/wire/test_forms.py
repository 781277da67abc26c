from urllib.parse import unquote_to_bytes

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
    assert "array_fields" in refused.value.detail


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


@given(st.text(max_size=200), st.integers(0, 3))
def test_long_text_is_written_as_short_text_is(text: str, tail: int) -> None:
    plain = text.replace("\0", "") + "é%=+ "[:tail]
    long = plain * (4096 // max(1, len(plain)) + 1)
    (written,) = {write_pairs((("a", long),)).removeprefix("a=")}
    assert written == write_pairs((("a", plain),)).removeprefix("a=") * (
        4096 // max(1, len(plain)) + 1
    )
    assert parse_pairs("a=" + written) == (("a", long),)


@given(st.binary(max_size=60), st.booleans())
def test_what_is_escaped_is_read_as_the_standard_reads_it(data: bytes, upper: bool) -> None:
    spelled = "".join(f"%{byte:02X}" if upper else f"%{byte:02x}" for byte in data)
    text = f"x={spelled}=y_==\t{spelled}"
    try:
        wanted = unquote_to_bytes(text[2:]).decode()
    except UnicodeDecodeError:
        wanted = "\0"
    if "\0" in wanted:
        with pytest.raises(MalformedError):
            parse_pairs(text)
    else:
        assert parse_pairs(text) == (("x", wanted),)
