"""What a rule names: the way that goes only where a name leads finds what the plain way finds."""

from hypothesis import given, strategies as st

from outrider.core.constraints import parse_rule
from outrider.core.jsonvalue import Json, JsonObject

NAMES = st.sampled_from(["a", "b", "0", "1", "~", "/"])
VALUES = st.recursive(
    st.none() | st.integers(0, 1),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=6,
)
POINTERS = st.lists(NAMES, min_size=1, max_size=3).map(
    lambda parts: "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
)


def _leaves(value: Json, pointer: str) -> list[str]:
    inner: list[tuple[str, Json]] = []
    if isinstance(value, dict):
        inner = [(key.replace("~", "~0").replace("/", "~1"), one) for key, one in value.items()]
    elif isinstance(value, list):
        inner = [(str(index), one) for index, one in enumerate(value)]
    found = [leaf for token, one in inner for leaf in _leaves(one, f"{pointer}/{token}")]
    return found if inner else [pointer]


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.lists(POINTERS, max_size=4))
def test_the_first_leaf_that_no_pointer_names_is_found(
    arguments: JsonObject, pointers: list[str]
) -> None:
    rule = parse_rule({pointer: {} for pointer in pointers}, "g")
    unnamed = [leaf for leaf in _leaves(arguments, "") if leaf and not rule.names(leaf)]
    gap = rule.first_gap(arguments)
    assert (None if gap is None else gap[0]) == (unnamed[0] if unnamed else None)
