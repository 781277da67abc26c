"""Whole values: places by label, spelling and upstream, within bounds."""

from outrider.core.vocabulary import Label
from outrider.tasks.provenance.forms import Form
from outrider.tasks.provenance.seen import MAX_SHORT, MAX_VALUES, Place, Seen


def _place(label: Label = Label.PLATFORM, *, cased: bytes = b"a", exact: bool = False) -> Place:
    return Place(label, "evt_1#/a", cased, "crm", exact)


def _is_incomplete(seen: Seen) -> bool:
    return seen.incomplete


def test_a_place_is_kept_once() -> None:
    seen = Seen()
    for _ in range(MAX_VALUES + 1):
        seen.add(Form(b"a", b"a"), _place())
    assert (len(seen.at(Form(b"a", b"a"))), seen.incomplete) == (1, False)


def test_labels_and_spellings_have_places_of_their_own_and_exact_ones_stay() -> None:
    seen = Seen()
    seen.add(Form(b"a", b"a"), _place())
    seen.add(Form(b"a", b"A"), _place(cased=b"A"))
    seen.add(Form(b"a", b"a"), _place(Label.RECORD))
    seen.add(Form(b"a", b"a"), _place(exact=True))
    seen.add(Form(b"a", b"a"), _place())
    assert len(seen.at(Form(b"a", b"x"))) == 4
    assert [place.cased for place in seen.at(Form(b"a", b"A", sensitive=True))] == [b"A"]
    assert seen.at(Form(b"b", b"b")) == ()


def test_untrusted_ones_leave_room_for_the_others() -> None:
    seen = Seen()
    for number in range(MAX_SHORT):
        assert seen.has_room_for_short
        seen.add(Form(b"%d" % number, b""), _place(Label.UNTRUSTED))
    assert not seen.has_room_for_short
    assert not _is_incomplete(seen)
    seen.add(Form(b"x", b""), _place(Label.UNTRUSTED))
    assert _is_incomplete(seen)
    seen.add(Form(b"y", b""), _place())
    assert seen.at(Form(b"x", b"")) == ()
    assert len(seen.at(Form(b"y", b""))) == 1


def test_the_bound_is_told() -> None:
    seen = Seen()
    for number in range(MAX_VALUES):
        seen.add(Form(b"%d" % number, b""), _place())
    assert not _is_incomplete(seen)
    seen.add(Form(b"x", b""), _place())
    assert _is_incomplete(seen)
    assert seen.at(Form(b"x", b"")) == ()
