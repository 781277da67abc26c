"""Ports of watchers are small; what a step leaves unsaid is the cautious reading."""

from typing import Any

from outrider.core.ports import Learn, Note, news_of, opening_of, watcher
from tests.support.ports import breaches


class Silent:
    """A watcher that has nothing to say of its own."""


class Talking:
    def news(self) -> list[str]:
        return ["news"]

    def opening(self) -> list[str]:
        return ["opening"]


def test_the_ports_keep_the_law():
    assert breaches(watcher) == []


def test_a_watcher_speaks_of_its_own_only_where_it_can():
    silent: Any = Silent()
    assert news_of(silent) is None
    assert opening_of(silent) is None
    talking: Any = Talking()
    news, opening = news_of(talking), opening_of(talking)
    assert news is not None
    assert opening is not None
    assert (news(), opening()) == (["news"], ["opening"])


def test_a_note_is_recorded_unless_it_says_otherwise():
    assert Note(event="e", facts={}).recorded


def test_what_is_learnt_is_whole_unless_it_says_otherwise():
    learn = Learn()
    assert (learn.value, learn.texts, learn.whole) == (None, (), True)
    assert (learn.failed, learn.spelt) == (False, False)
