"""The constructor's signature, which the composition root relies on."""

import inspect

from outrider.tasks.books import TaskBooks


def test_books_are_made_of_named_collaborators() -> None:
    assert list(inspect.signature(TaskBooks).parameters) == [
        "states",
        "clock",
        "manifest",
        "events",
        "watch",
        "on_loss_read",
    ]
