"""What a call carries, by its place: in an order of its own, and in steps."""

from urllib.parse import quote

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.tasks.provenance.carried import (
    MAX_IDS,
    MAX_NAMED,
    Carried,
    above,
    carried_in,
    texts_in,
)
from outrider.tasks.provenance.memory import Memory
from outrider.tasks.provenance.patterns import ALL_MARKS, Marks
from tests.support.provenance import a_desk

SECRET = "a-long-secret-value"
CARD = 4111111111111111
_NONE = Marks(run=False, card=False, iban=False)


def _carried(arguments: JsonObject, *secrets: str, marks: Marks = ALL_MARKS) -> tuple[Carried, int]:
    """What is carried, and in how many steps it was found."""
    memory = Memory(key=b"k", incomplete=False)
    for secret in secrets:
        memory.secrets.add(secret)
    steps = carried_in(arguments, marks, memory)
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            carried: Carried = done.value
            return carried, count
        count += 1


def test_the_texts_of_a_call_come_in_their_order() -> None:
    given: JsonObject = {"a": ["x", {"b/c": 5}, None, True], "d": {"e": 2.5, "f": "y"}}
    assert [(text.pointer, text.text, text.kind) for text in texts_in(given) if text] == [
        ("/a", "a", "name"), ("/a/0", "x", "value"), ("/a/1/b~1c", "b/c", "name"),
        ("/a/1/b~1c", "5", "number"), ("/d", "d", "name"), ("/d/e", "e", "name"),
        ("/d/e", "2.5", "number"), ("/d/f", "f", "name"), ("/d/f", "y", "value"),
    ]  # fmt: skip


def test_a_place_is_told_of_all_that_is_below_it() -> None:
    carried, _ = _carried({"a": {"b": [SECRET, "x"]}, "ab": "x"}, SECRET)
    assert list(carried.places) == ["/a/b/0"]
    (name,) = carried.at("/a/b/0")
    assert carried.at("/a/b") == carried.at("/a") == carried.at("") == (name,)
    assert carried.at("/a/b/1") == carried.at("/ab") == carried.at("/a/b/00") == ()


def test_nothing_is_sought_where_nothing_can_be_found() -> None:
    carried, steps = _carried({"a": ["x"] * 9_000}, marks=_NONE)
    assert (bool(carried), steps) == (False, 0)


def test_above_a_pointer() -> None:
    assert list(above("/a/b~1c/0")) == ["/a/b~1c/0", "/a/b~1c", "/a"]
    assert list(above("")) == []


@pytest.mark.parametrize("number", [123456789012345, -123456789012345, 123456789012345.0])
def test_a_secret_is_found_where_it_is_a_number(number: Json) -> None:
    desk = a_desk()
    desk.reads({"key": "123456789012345"}, {"path": "$.key", "label": "secret"})
    assert len(desk.looks(amount=number).secret_ids) == 1
    assert len(desk.looks(other={"deep": [number]}).secret_ids) == 1
    assert desk.looks(amount=123456789012344).secret_ids == ()


@pytest.mark.parametrize("card", [CARD, float(CARD), [CARD], {"n": CARD}], ids=repr)
def test_a_card_is_found_where_it_is_a_number(card: Json) -> None:
    desk = a_desk()
    (name,) = desk.looks(amount=card).secret_ids
    assert name.startswith("pii_card_")
    assert desk.looks(body=str(CARD)).secret_ids == (name,)


def test_a_number_between_the_parts_of_a_secret_does_not_hide_it() -> None:
    carried, _ = _carried({"a": SECRET[:9], "n": 5, "b": SECRET[9:]}, SECRET)
    assert list(carried.places) == ["/a", "/b"]


def test_empty_texts_within_a_secret_carry_none_of_it() -> None:
    listed: list[Json] = [SECRET[:9], *[""] * 5_000, SECRET[9:]]
    carried, _ = _carried({"a": listed}, SECRET)
    assert list(carried.places) == ["/a/0", "/a/5001"]


def test_so_many_are_told_of_a_place_and_secrets_first() -> None:
    cards = [f"4{number:014}" for number in range(900)]
    cards = [card + _check(card) for card in cards]
    secrets = [f"secret-number-{number:06}" for number in range(MAX_IDS + 9)]
    carried, _ = _carried({"a": [*cards], "b": " ".join(secrets)}, *secrets)
    assert len(carried.at("/a")) == len(carried.at("/b")) == MAX_NAMED
    assert len(carried.at("")) == MAX_IDS
    assert all(name.startswith("sec_") for name in carried.at(""))


def _check(number: str) -> str:
    doubled = [int(char) * (1 + index % 2) for index, char in enumerate("0" + number)]
    return str(-sum(sum(divmod(digit, 10)) for digit in doubled) % 10)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"body": SECRET * 800, "x": ["a"] * 4_000}, id="many-hits-many-texts"),
        pytest.param({"to": [SECRET + "@b.example"] * 2_000}, id="one-in-each-item"),
        pytest.param({"x": [*SECRET * 400]}, id="one-letter-in-each-item"),
        pytest.param({"x": {f"{SECRET}{n}": 5 for n in range(2_000)}}, id="names"),
    ],
)
def test_the_loop_has_its_turn_however_much_is_carried(given: JsonObject) -> None:
    carried, steps = _carried(given, SECRET)
    assert carried
    assert steps >= 30


@pytest.mark.parametrize("before", [*range((16 << 10) - 12, (16 << 10) + 3), 90_000])
def test_an_escaped_secret_is_found_where_a_long_text_is_cut(before: int) -> None:
    secret = "gr\u00fc\u00dfe-aus-k\u00f6ln"
    text = "-" * before + quote(secret, safe="") + "%"
    carried, steps = _carried({"x": text, "y": "-" * before + secret}, secret, marks=_NONE)
    assert list(carried.places) == ["/y", "/x"]
    assert steps >= 4


def test_a_secret_that_meets_itself_is_met_once_each() -> None:
    carried, _ = _carried({"x": "ab" * 5_000}, "ab" * 100)
    memory = Memory(key=b"k", incomplete=False)
    memory.secrets.add("ab" * 100)
    hits = [hit for hit in memory.secrets.find(b"ab" * 5_000) if hit is not None]
    assert len(hits) <= 3 * 5_000 * 2 // 200
    assert list(carried.places) == ["/x"]
