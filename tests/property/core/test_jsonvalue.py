"""The short way to canonical bytes is the long way's."""

import rfc8785
from hypothesis import given, strategies as st

from outrider.core.jsonvalue import canonical
from outrider.core.strict_json import read

LIMIT = 2**53 - 1
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LIMIT, LIMIT)
    | st.floats(-LIMIT, LIMIT)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(VALUES)
def test_canonical_is_rfc8785_and_reads_back(value):
    assert canonical(value) == rfc8785.dumps(value)
    assert canonical(read(canonical(value))) == canonical(value)
