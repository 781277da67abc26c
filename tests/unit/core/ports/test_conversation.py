"""Ports of conversations are small; one that can do no more than most offers no more."""

from typing import Any, cast

from outrider.core.ports import (
    Conversation,
    Edits,
    conversation,
    optional_of,
    prelude_of,
    traced_of,
    waiting_of,
)
from tests.support.ports import breaches


class Plain:
    """No more than every conversation can."""


class Able:
    def optional_asks(self) -> tuple[()]:
        return ()

    def carried_trace(self) -> None: ...

    def prelude(self) -> str:
        return "first"

    def waiting(self) -> str:
        return "waits"


PLAIN = cast("Conversation", Plain())
ABLE: Any = Able()


def test_the_ports_keep_the_law():
    assert breaches(conversation) == []


def test_a_plain_conversation_offers_nothing_further():
    assert optional_of(PLAIN) is None
    assert traced_of(PLAIN) is None
    assert prelude_of(PLAIN) is None
    assert waiting_of(PLAIN) is None


def test_an_able_one_is_taken_at_its_methods():
    assert optional_of(ABLE) is ABLE
    assert traced_of(ABLE) is ABLE
    prelude = prelude_of(ABLE)
    assert prelude is not None
    assert prelude() == "first"
    assert waiting_of(ABLE) == "waits"


def test_edits_change_nothing_unless_they_say_so():
    edits = Edits()
    assert (edits.headers, edits.redactions) == ((), ())
    assert (edits.response_bytes, edits.records, edits.lifetime_s) == (None, None, None)
