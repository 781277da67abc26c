"""Counting in buckets."""

from outrider.tasks.behaviour.windows import a_window, add, take_back, total


def test_an_instant_counts_for_its_span_and_no_longer() -> None:
    window = a_window()
    assert [add(window, second, 60) for second in (100, 100, 130)] == [1, 2, 3]
    assert [total(window, second, 60) for second in (159, 160, 189, 190)] == [3, 1, 1, 0]


def test_looking_alters_nothing() -> None:
    window = a_window()
    add(window, 100, 60)
    total(window, 1000, 60)
    assert window == [1, 100, 1]


def test_time_that_goes_back_counts_as_the_latest() -> None:
    window = a_window()
    add(window, 100, 60)
    assert add(window, 90, 60) == 2
    assert window == [2, 100, 2]


def test_what_is_taken_back_is_of_its_own_instant() -> None:
    window = a_window()
    add(window, 100, 60, 3)
    add(window, 110, 60)
    take_back(window, 100, 2)
    assert (total(window, 110, 60), total(window, 160, 60)) == (2, 1)


def test_no_more_is_taken_back_than_is_there() -> None:
    window = a_window()
    add(window, 100, 60)
    take_back(window, 100, 5)
    take_back(window, 50)
    assert total(window, 100, 60) == 0
