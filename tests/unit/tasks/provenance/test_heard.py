"""Running text: what is found in it, where, and within which bounds."""

import pytest

from outrider.tasks.provenance.forms import Form, fold, fold_many
from outrider.tasks.provenance.heard import (
    FOUND_SURELY_BYTES,
    MAX_SHINGLES,
    SHINGLE_STRIDE,
    TEXT_BYTES,
    Heard,
    Said,
    alone_in,
)


def test_each_part_has_its_place() -> None:
    heard = Heard()
    heard.add(fold_many(["one alpha", "two beta"]), "evt_1", ["/a", "/b"])
    heard.add(fold_many(["three gamma"]), "evt_2", ["/c"])
    assert [heard.find(key) for key in (b"alpha", b"beta", b"gamma", b"delta")] == [
        "evt_1#/a", "evt_1#/b", "evt_2#/c", None,
    ]  # fmt: skip


def test_nothing_is_found_across_two_parts() -> None:
    heard = Heard()
    heard.add(fold_many(["one", "two"]), "evt_1", ["/a", "/b"])
    assert heard.find(b"onetwo") is None
    assert heard.find(b"one two") is None


def test_pieces_of_one_text_are_one() -> None:
    heard = Heard()
    for piece in (b"the quick ", b" brown", b" fox"):
        heard.append(piece, "evt_1#/a")
    heard.end()
    heard.append(b"dog", "evt_1#/b")
    assert heard.find(b"quick brown fox") == "evt_1#/a"
    assert heard.find(b"foxdog") is None


def test_numbers_are_found_whatever_stands_between_their_parts() -> None:
    heard = Heard()
    heard.add(b"call +49 170-123 4567 now", "evt_1", ["/a"])
    assert heard.find_compact(b"491701234567") == "#"
    heard.add(b"or 0800/555.0199", "evt_2", ["/a"])
    assert heard.find_compact(b"08005550199") == "#"
    assert heard.find_compact(b"08005550198") is None


def test_beyond_the_text_what_is_long_enough_is_found_wherever_it_stood() -> None:
    for shift in range(SHINGLE_STRIDE):
        heard = Heard()
        heard.add(b"x" * (TEXT_BYTES - 10), "evt_1", ["/a"])
        key = bytes(range(97, 97 + FOUND_SURELY_BYTES))
        heard.add(b"-" * shift + key + b"-" * 40, "evt_2", ["/b"])
        assert heard.find(key) == "#"
        assert heard.find(key[:12] + b"!" + key[13:]) is None
        assert not heard.incomplete


def test_what_lies_on_the_border_is_found() -> None:
    heard = Heard()
    heard.add(b"x" * (TEXT_BYTES - 20), "evt_1", ["/a"])
    heard.append(b"the needle that lies across the border of the text", "evt_2#/b")
    assert heard.find(b"needle that lies across the border") == "#"


def test_beyond_the_shingles_it_says_so() -> None:
    heard = Heard()
    heard.add(b"x" * TEXT_BYTES, "evt_1", ["/a"])
    text = b"".join(b"%08d" % number for number in range(MAX_SHINGLES + 9))
    heard.add(text, "evt_2", ["/b"])
    assert heard.incomplete


def test_a_scrap_too_short_for_a_shingle_is_told() -> None:
    heard = Heard()
    heard.add(b"x" * (TEXT_BYTES - 1), "evt_1", ["/a"])
    heard.add(b"short", "evt_2", ["/b"])
    assert heard.incomplete


@pytest.mark.parametrize(
    ("text", "key", "stands"),
    [
        ("pay ann now", "ann", True),
        ("ann", "ann", True),
        ("(ann)", "ann", True),
        ("ann's", "ann", True),
        ("ann.", "ann", True),
        ("ann. Then", "ann", True),
        ("to:ann", "ann", True),
        ("joanna", "ann", False),
        ("ann_1", "ann", False),
        ("mary-ann", "ann", False),
        ("ann-marie", "ann", False),
        ("ann@a.example", "ann", False),
        ("ann.example", "ann", False),
        ("x/ann", "ann", False),
        ("ann/x", "ann", False),
        ("+ann%", "ann", True),
        ("änn", "nn", False),
        ("joanna ann", "ann", True),
        ("", "ann", False),
    ],
)
def test_a_word_stands_alone_or_not(text: str, key: str, stands: bool) -> None:
    assert (alone_in(text.encode(), key.encode()) >= 0) is stands


def test_a_word_that_stands_alone_behind_many_that_do_not_is_not_sought_for_ever() -> None:
    assert alone_in(b"xann " * 63 + b" ann", b"ann") >= 0
    assert alone_in(b"xann " * 64 + b" ann", b"ann") < 0


def test_keys_of_other_kinds_stand_nowhere() -> None:
    assert alone_in(b"a \0n10 b", b"\0n10") == -1
    assert alone_in(b"a", b"") == -1


def test_what_was_said_is_found_by_its_source() -> None:
    said = Said(64)
    assert said.find(Form(b"a", b"a")) is None
    for number, text in enumerate(("File A-1", "Host b.example/x, dir c/ too")):
        said.add(fold(text), fold(text, cased=True), f"task#/anchors/{number}")
    assert said.find(Form(b"a-1", b"A-1")) == "task#/anchors/0"
    assert said.find(Form(b"a-1", b"a-1", sensitive=True)) is None
    assert said.names_host(b"b.example") == "task#/anchors/1"
    assert said.names_host(b"example") is None
    assert said.names_directory(b"c/") == "task#/anchors/1"
    assert said.names_directory(b"dir/") is None
    assert said.looks_like(b"hoet") is False
    said.add(b"x" * 64, b"x" * 64, "task#/anchors/2")
    assert said.incomplete
