"""Laws of the ClientHello's reader: it raises its own error alone, and pieces do not matter."""

import itertools

from hypothesis import given, strategies as st

from outrider.protocols.wire.client_hello import RAW_BYTES, HelloError, HelloReader
from tests.support.hellos import GREASE, a_message, records, server_name

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda text: not text.startswith("xn--")
)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
EXTRAS = st.dictionaries(
    st.integers(0x1000, 0xF000).map(lambda kind: kind | GREASE & 0x0101), st.binary(max_size=40)
)


def outcome(pieces: list[bytes]) -> object:
    reader = HelloReader()
    try:
        for piece in pieces:
            found = reader.feed(piece)
            if found is not None:
                return found.server_name
    except HelloError as error:
        return error.fault
    assert len(reader.raw) <= RAW_BYTES + 5
    return None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends) if start < end]


@given(NAMES, EXTRAS, st.lists(st.integers(0, 500)), st.lists(st.integers(0, 500)))
def test_a_good_one_gives_its_name_however_it_is_cut(name, extras, fragments, places):
    message = a_message(*extras.items(), server_name(name))
    edges = {place % (len(message) - 1) + 1 for place in fragments if len(message) > 1}
    data = records(message, edges - {len(message)})
    assert outcome(cut(data, places)) == name


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_any_bytes_give_an_answer_or_its_own_error(data, places):
    assert outcome([data] if data else []) == outcome(cut(data, places))


@given(NAMES, st.integers(0, 400), st.integers(1, 255), st.lists(st.integers(0, 400)))
def test_one_wrong_byte_gives_a_name_or_its_own_error(name, place, mask, places):
    data = bytearray(records(a_message((GREASE, b"xy"), server_name(name)), [30]))
    data[place % len(data)] ^= mask
    assert outcome([bytes(data)]) == outcome(cut(bytes(data), places))
