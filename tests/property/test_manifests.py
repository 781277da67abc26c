"""What is written as a manifest is read again as the same."""

from hypothesis import given, settings, strategies as st

from outrider.config.manifests import as_yaml, read_manifests
from outrider.core.jsonvalue import Json

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["on", "1e3", "0o7", "a\nb", "x: y", "- z", "# c", "a\n", "\n", " ", "true", "null"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(_TEXT, _JSON, max_size=4))
def test_what_is_written_is_read_again(value: Json) -> None:
    (document,) = read_manifests(as_yaml(value))
    assert document.value == value
