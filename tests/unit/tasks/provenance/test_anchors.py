"""Values in what a person wrote."""

import pytest

from outrider.tasks.provenance.anchors import MAX_VALUES, addresses_in, values_in
from tests.support.provenance import a_desk


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pay 1,000.50 to them", "1,000.50"),
        ("on 2026-11-23, please", "2026-11-23"),
        ("at 2026-11-23T10:00Z", "2026-11-23T10:00Z"),
        ("call +49 (170) 1234567", "+49 (170) 1234567"),
        ("see https://a.example/x", "https://a.example/x"),
        ("pay DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
    ],
)
def test_values_are_taken_as_what_they_are(text: str, value: str) -> None:
    assert value in list(values_in(text))


def test_there_is_a_bound() -> None:
    assert len(list(values_in(" ".join(map(str, range(5000)))))) == MAX_VALUES


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("amount", 1000.5, "user"),
        ("amount", "1000.50", "user"),
        ("amount", 1000.51, "model"),
        ("amount", 50, "model"),
        ("day", "2026-11-23", "user"),
        ("day", "2026-11-24", "model"),
        ("iban", "DE89370400440532013000", "user"),
        ("iban", "DE89370400440532013001", "model"),
        ("url", "https://A.example:443/x#y", "user"),
        ("name", "sunday", "model"),
        ("name", "Monday", "user"),
    ],
)
def test_a_persons_values_are_known_however_they_are_spelt(
    name: str, value: str | float, label: str
) -> None:
    desk = a_desk(
        "Pay 1,000.50 to DE89 3704 0044 0532 0130 00 by 2026-11-23 (monday), see https://a.example/x"
    )
    assert desk.label(name, value) == label


@pytest.mark.parametrize(
    ("anchor", "name", "value", "label"),
    [
        ("see www.docs.example.They know", "url", "https://www.docs.example/a", "user"),
        ("see https://docs.example!Then go", "url", "https://docs.example/a", "user"),
        ("see docs at www.docs.example.I wait", "url", "https://docs.example", "user"),
        ("write to bob@docs.example.Please do", "to", "bob@docs.example", "user"),
        ("write to first.Last@docs.example now", "to", "Last@docs.example", "model"),
        ("see https://docs.co.Uk now", "url", "https://docs.co/a", "model"),
        ("see https://docs.Example now", "url", "https://docs/a", "model"),
        ("see www.docs.Example now", "url", "https://docs/a", "model"),
        ("see https://docs.example.Corp/x now", "url", "https://docs.example/a", "model"),
        ("see https://docs.example.Then:8 now", "url", "https://docs.example/a", "model"),
        ("see https://docs.example.Then@evil.example", "url", "https://docs.example/a", "model"),
    ],
)
def test_an_address_is_known_though_the_next_sentence_is_glued_to_it(
    anchor: str, name: str, value: str, label: str
) -> None:
    assert a_desk(anchor).label(name, value) == label


def test_of_any_text_addresses_and_long_numbers_are_taken() -> None:
    text = (
        "pay 1,000 on 2026-11-23 to DE89 3704 0044 0532 0130 00, see https://a.example/x, 12345678"
    )
    assert list(addresses_in(text)) == [
        "https://a.example/x",
        "DE89 3704 0044 0532 0130 00",
        "2026-11-23",
        "3704 0044 0532 0130 00",
        "12345678",
    ]
