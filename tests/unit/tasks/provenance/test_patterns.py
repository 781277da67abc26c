"""Keys and cards, told by their own marks."""

from collections.abc import Callable

import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.tasks.provenance.patterns import ALL_MARKS, Marks, has_run, marks_of, patterns_in
from tests.support.provenance import a_desk

KEYS = {
    "aws": "AKIA" + "Q3EGRIJ7WXJ4ABCD",
    "github": "ghp_" + "a1B2" * 9,
    "gitlab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "slack": "xoxb-" + "1234567890-abcdef",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "openai": "sk-" + "proj-a1B2" * 5,
    "google": "AIza" + "a1B2c" * 7,
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "c2lnbmF0dXJl",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq9\n-----END RSA PRIVATE KEY-----",
}
NEAR: dict[str, Callable[[str], str]] = {
    "aws": lambda key: key[:-1],
    "github": lambda key: key[:-1],
    "gitlab": lambda key: key[:-1],
    "slack": lambda key: key.replace("xoxb", "xoxz"),
    "stripe": lambda key: key.replace("live", "left"),
    "openai": lambda key: "a" + key,
    "google": lambda key: key[:-1],
    "jwt": lambda key: key.replace(".eyJ", ".xyJ"),
    "pem": lambda key: key.replace("PRIVATE", "PUBLIC"),
}


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_key_is_found_by_its_kind(kind: str) -> None:
    (name,) = a_desk().looks(body=f"use {KEYS[kind]} for it").secret_ids
    assert name.startswith(f"key_{kind}_")


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_near_miss_is_no_key(kind: str) -> None:
    assert a_desk().looks(body=f"use {NEAR[kind](KEYS[kind])} for it").secret_ids == ()


def test_the_id_is_the_keys_own() -> None:
    desk = a_desk()
    first, second = desk.looks(body=KEYS["aws"]), desk.looks(to=f"{KEYS['aws']} x")
    assert first.secret_ids == second.secret_ids
    assert KEYS["aws"] not in str(first)


@pytest.mark.parametrize(
    "card",
    ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009",
     "6011000000000004", "3530111333300000", "30569309025904", "2223003122003222"],
)  # fmt: skip
def test_a_card_is_found(card: str) -> None:
    (name,) = a_desk().looks(body=f"charge {card}.").secret_ids
    assert name.startswith("pii_card_")


@pytest.mark.parametrize(
    "number",
    ["4111111111111112", "9111111111111111", "14111111111111111111", "41111111.11111111",
     "411111111111", "2026-11-23 10:00:00 4711"],
)  # fmt: skip
def test_another_number_is_no_card(number: str) -> None:
    assert a_desk().looks(body=f"charge {number}!").secret_ids == ()


def test_spellings_of_one_card_have_one_id() -> None:
    desk = a_desk()
    spelt = [desk.looks(body=text).secret_ids for text in ("4111 1111 1111 1111", "4" + "1" * 15)]
    assert spelt[0] == spelt[1]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("plain words and 12 of them", Marks(run=False, card=False, iban=False)),
        ("a" * 16, Marks(run=True, card=False, iban=False)),
        ("1 2 3 4 5 6 7 8 9 0", Marks(run=False, card=False, iban=False)),
        ("1 2 3 4-5 6 7 8 9 0 1 2 3", Marks(run=False, card=True, iban=False)),
        ("ticket 4711 and then some more words " * 9, Marks(run=False, card=False, iban=False)),
        ("pay DE89 3704 0044 0532", Marks(run=False, card=True, iban=True)),
        ("GB82 WEST 1234 5698 7654", Marks(run=False, card=False, iban=True)),
    ],
)
def test_marks_are_told_of_all_arguments_at_once(text: str, marks: Marks) -> None:
    assert _marks_of({"a": {"b": ["x", text]}}) == marks


@pytest.mark.parametrize("before", [0, 16 << 10, (16 << 10) - 9, 100_000])
def test_marks_are_told_wherever_they_stand_in_a_long_text(before: int) -> None:
    words = ("word " * before)[:before]
    text = f"{words} DE89 3704 0044 0532 0130 00 {words}"
    assert _marks_of({"a": text}) == Marks(run=False, card=True, iban=True)
    steps = sum(1 for _ in marks_of({"a": text}))
    assert steps == max(0, (2 * before + 40) // (16 << 10))


def _marks_of(arguments: JsonObject) -> Marks:
    steps = marks_of(arguments)
    try:
        while True:
            next(steps)
    except StopIteration as done:
        marks: Marks = done.value
        return marks


def test_what_cannot_be_written_has_all_marks() -> None:
    assert _marks_of({"a": "\ud800"}) == ALL_MARKS


def test_so_many_of_one_kind_are_told() -> None:
    text = " ".join(f"AKIA{number:016}".replace("0", "A").replace("1", "B") for number in range(99))
    found = list(
        patterns_in(text, Marks(run=True, card=False, iban=False), lambda data: data.hex())
    )
    assert len(found) <= 16


@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("before", [0, (16 << 10) - 40, 50_000])
def test_a_key_is_found_wherever_it_stands_in_a_long_text(kind: str, before: int) -> None:
    text = "word " * (before // 5) + KEYS[kind] + " word" * 10_000
    found = list(patterns_in(text, ALL_MARKS, lambda data: data.hex()))
    (name,) = (name for name in found if name is not None)
    assert name.startswith(f"key_{kind}_")
    assert found.count(None) >= 3


def test_a_long_web_token_is_found_across_slices() -> None:
    token = "eyJ" + "a" * 8_000 + ".eyJ" + "b" * 8_000 + "." + "c" * 8_000
    names = list(patterns_in(f"{token} {token}", ALL_MARKS, str))
    assert len([name for name in names if name]) == 2


@pytest.mark.parametrize("length", [1, 2, 3, 13, 16, 17])
def test_a_run_is_found_as_a_search_finds_it(length: int) -> None:
    yes, no = b"\xff", b"\0"
    for size in range(length + 3):
        for data in (yes * size, no + yes * size + no, yes * size + no + yes * (length - 1)):
            assert has_run(data, length) is (yes * length in data)
    assert not has_run(b"", length)
