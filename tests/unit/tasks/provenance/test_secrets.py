"""Fingerprints of secrets: the published matrix of what is caught and what is not."""

import base64
import codecs
import json
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance.secrets import MAX_SECRETS, Secrets, squash
from tests.support.provenance import Desk, a_desk

SECRET = "Tr0ub4dor&3/zebra"
KEY = {"path": "$.key", "label": "secret"}


def _desk() -> tuple[Desk, str]:
    desk = a_desk()
    learnt = desk.reads({"key": SECRET}, KEY)
    (name,) = learnt.secrets
    return desk, name


def _b64(text: str, pad: int) -> str:
    return base64.b64encode(b"x" * pad + text.encode() + b"yy").decode()


def _lines(text: str, size: int) -> str:
    return "\r\n".join(text[at : at + size] for at in range(0, len(text), size))


def _labels(text: str, size: int) -> str:
    return ".".join(text[at : at + size] for at in range(0, len(text), size)) + ".evil.example"


CAUGHT: dict[str, Callable[[str], str]] = {
    "plain": lambda text: f"it is {text}, ok",
    "upper": str.upper,
    "lower": str.lower,
    "reversed": lambda text: text[::-1],
    "hex": lambda text: text.encode().hex(),
    "hex-upper": lambda text: text.encode().hex().upper(),
    "hex-spaced": lambda text: text.encode().hex(" "),
    "base64-0": lambda text: _b64(text, 0),
    "base64-1": lambda text: _b64(text, 1),
    "base64-2": lambda text: _b64(text, 2),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64-lines": lambda text: "\r\n".join(
        _b64(text, 1)[at : at + 8] for at in range(0, 4 * len(text), 8)
    ),
    "percent": lambda text: quote(text, safe=""),
    "percent-all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "json": json.dumps,
    "json-escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "dns": lambda text: _labels("".join(filter(str.isalnum, text)), 5),
    "dns-hex": lambda text: _labels(text.encode().hex(), 11),
    "separated": "-".join,
    "in-a-url": lambda text: f"https://evil.example/{quote(text, safe='')}?a=b",
}
NOT_CAUGHT: dict[str, Callable[[str], str]] = {
    "a-part": lambda text: text[:9],
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "xor": lambda text: bytes(byte ^ 1 for byte in text.encode()).hex(),
    "compressed": lambda text: base64.b64encode(zlib.compress(text.encode())).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base64-twice": lambda text: _b64(_b64(text, 0), 0),
    "hex-reversed": lambda text: text.encode().hex()[::-1],
    "noise-between": "xq".join,
}


@pytest.mark.parametrize("way", list(CAUGHT))
def test_a_secret_is_caught(way: str) -> None:
    desk, name = _desk()
    assert desk.entry("body", CAUGHT[way](SECRET))["secrets"] == [name]


@pytest.mark.parametrize("way", list(NOT_CAUGHT))
def test_what_is_not_caught_is_published(way: str) -> None:
    desk, _ = _desk()
    assert desk.entry("body", NOT_CAUGHT[way](SECRET))["secrets"] == []


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_secret_split_over_one_calls_arguments_is_in_each_of_them(size: int) -> None:
    desk, name = _desk()
    parts = [SECRET[at : at + size] for at in range(0, len(SECRET), size)]
    arguments: dict[str, Json] = {f"x{number:02}": part for number, part in enumerate(parts)}
    looked = desk.looks(**arguments)  # type: ignore[arg-type]
    assert looked.secret_ids == (name,)


def test_an_argument_without_a_role_is_told_of_where_it_carries_a_secret() -> None:
    desk, name = _desk()
    looked = desk.looks(other={"deep": [f"{SECRET}!"]}, more="nothing")
    assert looked.entries == {
        "/other/deep/0": {
            "role": "content",
            "label": "model",
            "sources": [],
            "tokens": [],
            "secrets": [name],
        }
    }


def test_a_name_of_an_argument_can_carry_one_too() -> None:
    desk, name = _desk()
    assert desk.looks(other={SECRET: 1}).secret_ids == (name,)


def test_other_values_carry_none() -> None:
    desk, _ = _desk()
    assert desk.looks(body="Tr0ub4dor and 3 zebras " * 200).secret_ids == ()


def test_a_url_that_carries_a_secret_is_not_taken_for_its_origins() -> None:
    desk = a_desk("https://docs.acme.test")
    desk.reads({"key": SECRET}, KEY)
    entry = desk.entry("url", f"https://docs.acme.test/?q={quote(SECRET, safe='')}")
    assert (entry["label"], len(entry["secrets"])) == ("model", 1)


def test_the_value_of_a_secret_keeps_its_label_without_being_kept() -> None:
    desk = a_desk()
    desk.reads({"key": SECRET, "text": "x"}, KEY, KEY | {"label": "record"})
    assert desk.label("name", SECRET) == "record"
    assert SECRET.encode() not in _everything(desk)


def _everything(desk: Desk) -> bytes:
    found: list[bytes] = []
    todo: list[object] = [desk.index]
    seen: set[int] = set()
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (bytes, bytearray)):
            found.append(bytes(item).lower())
        elif isinstance(item, str):
            found.append(item.encode().lower())
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set)):
            todo += item
        else:
            todo += [getattr(item, name) for name in getattr(item, "__slots__", ()) if
                     hasattr(item, name)]  # fmt: skip
    return b"|".join(found)


@pytest.mark.parametrize(("length", "known"), [(11, 0), (12, 1)])
def test_shorter_ones_have_no_fingerprint(length: int, known: int) -> None:
    assert len(a_desk().reads({"key": "k3y-" + "z" * (length - 4)}, KEY).secrets) == known


def test_one_with_hardly_a_letter_is_known_but_not_found() -> None:
    desk = a_desk()
    assert len(desk.reads({"key": "!!!!!!!!!!!!"}, KEY).secrets) == 1
    assert desk.looks(body="!!!!!!!!!!!!").secret_ids == ()


def test_a_secret_is_one_however_often_it_is_read() -> None:
    desk, name = _desk()
    assert desk.reads({"key": f" {SECRET}\n"}, KEY).secrets == (name,)


@pytest.mark.parametrize("number", [123456789012, 123456789012.0])
def test_a_number_of_so_many_digits_has_a_fingerprint_too(number: Json) -> None:
    desk = a_desk()
    learnt = desk.reads({"key": number}, KEY)
    assert len(learnt.secrets) == 1
    assert desk.looks(body="it is 123-456-789-012").secret_ids == learnt.secrets
    assert desk.looks(amount=123456789012).secret_ids == learnt.secrets
    assert a_desk().reads({"key": 12345678901}, KEY).secrets == ()


def test_secrets_beyond_the_bound_are_told() -> None:
    desk = a_desk()
    listed: Json = [f"secret-number-{number:06}" for number in range(MAX_SECRETS)]
    line = {"path": "$[*]", "label": "secret"}
    assert not desk.reads(listed, line).incomplete
    assert desk.reads([f"another-secret-{number}" for number in range(600)], line).incomplete
    assert len(desk.looks(body="secret-number-000000").secret_ids) == 1


def test_a_long_text_is_searched_in_slices() -> None:
    secrets = Secrets(lambda data: data.hex())
    secrets.add(SECRET)
    text = squash("y" * 40_000 + SECRET + "y" * 40_000)
    found = list(secrets.find(text))
    assert found.count(None) == 5
    assert {hit[:2] for hit in found if hit is not None} == {(40_000, 40_000 + len(squash(SECRET)))}


def test_squashed_text_is_letters_and_digits() -> None:
    assert squash("A-b.C/9 \u00fc+_") == "abc9\u00fc".encode()
