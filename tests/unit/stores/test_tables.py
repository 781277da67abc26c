"""Bounds of every store."""

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.stores.tables import check_room, decoded, encoded


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b"1"])
def test_stored_bytes_that_are_no_object_are_a_fault(data):
    with pytest.raises(StoreUnavailableError):
        decoded(data)


def test_a_value_reads_back_as_it_was():
    assert decoded(encoded({"a": [1, "x"]})) == {"a": [1, "x"]}


def test_the_last_row_has_room_and_no_more():
    check_room(8, 8)
    with pytest.raises(StoreUnavailableError):
        check_room(9, 8)
