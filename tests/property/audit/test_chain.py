"""Laws of the chain: any edit of any byte is named at its record; canonical is canonical."""

import re

import rfc8785
from hypothesis import event, given, strategies as st

from outrider.audit.chain import read_record, seal, verify
from outrider.core.jsonvalue import canonical
from tests.support.audit import CHAIN, a_chain, a_record, pairs

LINES = a_chain(*pairs(3))
DATA = b"".join(LINES)
INTEGERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def _record_at(offset: int) -> int:
    return DATA[:offset].count(b"\n")


@given(offset=st.integers(0, len(DATA) - 1), bits=st.integers(1, 255))
def test_any_changed_byte_is_named_at_its_record(offset, bits):
    changed = bytearray(DATA)
    changed[offset] ^= bits
    lines = bytes(changed).split(b"\n")
    report = verify([line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else []))
    assert report.broken is not None
    assert report.broken.index == _record_at(offset)


@given(cut=st.integers(1, len(DATA) - 1))
def test_a_cut_that_is_not_between_records_is_named(cut):
    kept = DATA[:cut]
    lines = [line + b"\n" for line in kept.split(b"\n")[:-1]]
    rest = kept[kept.rfind(b"\n") + 1 :]
    report = verify([*lines, rest] if rest else lines)
    assert (report.broken is None) is (not rest)


@given(value=JSON)
def test_the_short_way_gives_the_canonical_bytes(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(value=st.dictionaries(TEXT, JSON, max_size=4))
def test_every_sealed_record_reads_back(value):
    try:
        sealed = seal(a_record(behaviour=value), 3, "sha256:0", CHAIN)
    except ValueError:
        event("refused")
        assert re.search(rb"[0-9]{16}", canonical(value))  # a float that reads as an integer
        return
    record = read_record(sealed.line)
    assert record is not None
    assert canonical(record["behaviour"]) == canonical(value)
