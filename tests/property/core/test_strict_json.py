"""The counting proof of the strict reader against the plain way: a hook that sees every pair."""

import json

import orjson
from hypothesis import given, strategies as st

from outrider.core.errors import MalformedError
from outrider.core.strict_json import JsonLimits, read, read_steps

TEXT = st.text(alphabet=st.sampled_from('ab:"\\,{}[]é\n 1e.\u0001'), max_size=6)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    TEXT,
    st.integers(-(2**54), 2**54),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**53 - 1, 2**53, 1e15, 1e16, 0.5]),
)
# An object is a list of pairs here, so that names can stand twice.
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "", '"', "\\", "é:"]), inner), max_size=4
        ).map(lambda pairs: ("object", pairs)),
    ),
    max_leaves=12,
)


def written(tree, gap: str, ascii_only: bool) -> str:
    match tree:
        case ("object", pairs):
            inner = [
                json.dumps(key, ensure_ascii=ascii_only) + gap + ":" + gap
                + written(value, gap, ascii_only)
                for key, value in pairs
            ]  # fmt: skip
            return "{" + (gap + "," + gap).join(inner) + "}"
        case list():
            return "[" + ("," + gap).join(written(item, gap, ascii_only) for item in tree) + "]"
        case _:
            return json.dumps(tree, ensure_ascii=ascii_only)


class RefusedError(Exception):
    pass


def plainly_read(data: bytes):
    """The page's own way: the standard decoder, every pair seen, every number checked."""

    def pairs_hook(pairs):
        if len({key for key, _ in pairs}) != len(pairs):
            raise RefusedError
        return dict(pairs)

    def check(value):
        match value:
            case dict():
                for inner in value.values():
                    check(inner)
            case list():
                for inner in value:
                    check(inner)
            case int() | float() if not abs(value) <= 2**53 - 1:
                raise RefusedError
        return value

    return check(json.loads(data, object_pairs_hook=pairs_hook))


@given(TREES, st.sampled_from(["", " ", "\n\t"]), st.booleans())
def test_the_reader_takes_exactly_what_the_plain_way_takes(tree, gap, ascii_only):
    data = written(tree, gap, ascii_only).encode()
    try:
        expected = plainly_read(data)
    except RefusedError:
        expected = RefusedError
    try:
        found = read(data)
    except MalformedError:
        found = RefusedError
    assert found == expected
    if found is not RefusedError:
        assert read(orjson.dumps(found)) == found


@given(st.binary(max_size=60) | st.text(alphabet='{}[]:,"\\au0d8e1.- tf', max_size=40))
def test_nothing_but_its_own_error_comes_out(data):
    raw = data if isinstance(data, bytes) else data.encode()
    for limits in (JsonLimits(), JsonLimits(depth=1, nodes=3, key_bytes=1)):
        outcomes = []
        for reader in (read, lambda *given: list(read_steps(*given)) and None):
            try:
                reader(raw, limits)
                outcomes.append("read")
            except MalformedError as refused:
                outcomes.append(refused.cause)
        assert outcomes[0] == outcomes[1]


def outcome(reading):
    try:
        return "read", reading()
    except MalformedError as fault:
        return "refused", fault.code


def stepped(data: bytes, limits: JsonLimits):
    steps = read_steps(data, limits)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@given(
    TREES,
    st.sampled_from(["", " ", "\n\t"]),
    st.booleans(),
    st.builds(
        JsonLimits, depth=st.integers(1, 5), nodes=st.integers(1, 20), key_bytes=st.integers(0, 5)
    ),
)
def test_within_any_bounds_the_short_way_takes_what_the_long_way_takes(
    tree, gap, ascii_only, limits
):
    data = written(tree, gap, ascii_only).encode()
    assert outcome(lambda: read(data, limits)) == outcome(lambda: stepped(data, limits))
