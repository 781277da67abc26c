"""What patterns weigh: those that people write are light, those that would stall us are not."""

import pytest

from outrider.protocols.adapters.mcp.patterns import PATTERN_BYTES, weigh

LIGHT = [
    r"^[A-Za-z0-9_-]{1,64}$",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?Z$",
    r"^[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}$",
    r"\S+@\S+\.\S+",
    r"^https?://[^\s/$.?#].[^\s]*$",
    r"^(?!-)[a-z0-9-]{1,63}$",
    r"[\w\s.,-]{1,100}",
]


@pytest.mark.parametrize("pattern", LIGHT)
def test_patterns_that_people_write_are_light(pattern: str) -> None:
    weight = weigh(pattern)
    assert weight.states <= 100
    assert weight.build <= 1000


SAME = [
    pytest.param("a{5}", "aaaaa", id="copies"),
    pytest.param("a{2,5}", "aaaaa", id="most-copies"),
    pytest.param("(?:a{3}b){4}", "aaab" * 4, id="nested"),
    pytest.param("(a{3})?{2}", "aaa" * 2, id="quantified-twice"),
    pytest.param("a{3}{3}", "a" * 9, id="twice"),
    pytest.param("[ab]{3}", "[ab][ab][ab]", id="class"),
    pytest.param(r"\.{3}", r"\.\.\.", id="escape"),
    pytest.param(r"\x41{3}", "AAA", id="hexadecimal"),
    pytest.param(".{3}", "...", id="any"),
    pytest.param("(a|b){3}", "ababab", id="either"),
    pytest.param("x{", "x{", id="no-count"),
    pytest.param("a{0}", "a", id="none"),
]


@pytest.mark.parametrize(("short", "long"), SAME)
def test_a_repetition_weighs_as_much_as_its_copies(short: str, long: str) -> None:
    assert weigh(short) == weigh(long)


HEAVY = [
    pytest.param("a" * (PATTERN_BYTES + 1), id="long"),
    pytest.param("(?:a{100}){100}", id="product"),
    pytest.param("(((a{30}){30}){30}){30}", id="tower"),
    pytest.param("a{9999999999}", id="many-digits"),
    pytest.param("((((((((((a{99}){99}){99}){99}){99}", id="unclosed"),
    pytest.param(r"\p{L}{4000}", id="property"),
    pytest.param("(?i)" + "a{3000}", id="both-cases"),
]


@pytest.mark.parametrize("pattern", HEAVY)
def test_a_pattern_that_would_stall_us_is_heavy(pattern: str) -> None:
    assert weigh(pattern).states > 5000
