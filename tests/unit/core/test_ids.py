import uuid

from outrider.core.ids import uuid7


def test_ids_are_version_7_and_sort_by_time() -> None:
    first, later = uuid7(1000.0), uuid7(1000.001)
    parsed = uuid.UUID(first)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_000_000
    assert first < later
    assert len({uuid7(5.0) for _ in range(100)}) == 100
