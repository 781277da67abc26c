"""A task in words for those who may look at it."""

from outrider.core.vocabulary import TaskEnd
from outrider.tasks.lifecycle import ended
from outrider.tasks.showing import events_of, shown
from tests.support.builders import NOW_UNIX_S
from tests.support.tasks import a_registered_task


def test_a_task_is_shown_without_its_anchors() -> None:
    said = shown(a_registered_task(anchors=("swordfish", "x")))
    assert (said["anchors"], said["deadline"]) == (2, "2026-11-23T10:30:00.000000Z")
    assert (said["root"], said["end"], said["ended"]) == (said["id"], None, None)
    assert "swordfish" not in str(said)
    brief = shown(a_registered_task(), whole=False)
    assert "grant" not in brief
    assert "anchors" not in brief


def test_an_ended_task_says_how_when_and_by_whom() -> None:
    over = ended(a_registered_task(), TaskEnd.BUDGET, by="outrider", now_unix_s=NOW_UNIX_S)
    said = shown(over)
    assert (said["end"], said["ended"]) == ("budget", "2026-11-23T09:30:00.000000Z")
    assert events_of(over) == [
        {"event": "ended", "at": "2026-11-23T09:30:00.000000Z", "by": "outrider", "detail": None}
    ]
