"""Canonical forms: which spellings are one value, and which near ones are not (GOVERNANCE §4.5)."""

import pytest

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance.forms import (
    LONGEST_SPACED,
    MAX_MARKS,
    Form,
    compact_of,
    date_of,
    fold,
    fold_many,
    number_of,
    path_of,
    texts_of,
    value_of,
    written,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("ﬁle Ⅳ", "file IV", id="nfkc"),
        pytest.param("e\u0301t\u00e9", "\u00e9te\u0301", id="composed"),
        pytest.param("a\u200bb\u200dc\ufeff", "abc", id="zero-width"),
        pytest.param("\u202eabc\u202c\u2066", "abc", id="bidi"),
        pytest.param("a\U000e0041\U000e0042bc", "abc", id="tags"),
        pytest.param("a\u00adb\ufe0fc", "abc", id="soft-hyphen-and-variation"),
        pytest.param("a\x00b\x07c\x7f", "abc", id="controls"),
        pytest.param("  a\t\n b\u00a0\u3000c ", "a b c", id="white-space"),
        pytest.param("STRASSE Ärger", "straße äRGER", id="case"),
        pytest.param("\ud800abc", "abc", id="surrogate"),
    ],
)
def test_spellings_of_one_text_fold_to_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("abc", "abd", id="letter"),
        pytest.param("ab c", "abc", id="space"),
        pytest.param("e", "é", id="accent"),
        pytest.param("a-b", "ab", id="hyphen"),
        pytest.param("\u0430", "a", id="look-alike"),
    ],
)
def test_near_ones_do_not(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_case_is_kept_where_it_counts() -> None:
    assert fold("Ab  ÇD", cased=True) == "Ab ÇD".encode()


def test_texts_folded_together_stay_apart() -> None:
    assert fold_many(["A  b", "c\x1ed", ""]) == b"a b\x1ec d\x1e"
    assert fold_many(["É\u200b", "x"]) == "é\x1ex".encode()


def test_a_mark_that_joins_the_letter_before_it_is_folded_with_it() -> None:
    assert fold_many(["caf" + "e\u0301" + " x"]) == "café x".encode()
    assert fold_many(["caf" + "e\u200b\u0301" + " x"]) == "café x".encode()
    assert fold_many(["caf" + "e\x1b\u0301" + " x"]) == "café x".encode()


@pytest.mark.parametrize(
    "marks",
    ["\u0300\u0316", "\u0f73\u0301", "\uff9e\u0316", "\u200b\u0301\u0323", "\U0001e944\u0301"],
)
def test_marks_are_compared_up_to_so_many_in_a_row(marks: str) -> None:
    few, many = "a" + marks * 5, "a" + marks * 5_000
    assert len(fold(many).decode()) <= 2 * MAX_MARKS + 1
    assert fold(many) == fold(fold(many).decode()) == fold(many + marks)
    assert fold(few) != fold("a" + marks * 4)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        pytest.param("Bob B. <BOB@Corp.example>", "bob@corp.example", "email", id="display-name"),
        pytest.param("mailto:bob@corp.example", "bob@corp.example", "email", id="mailto"),
        pytest.param("bob@bücher.example", "bob@xn--bcher-kva.example", None, id="mail-idna"),
        pytest.param("HTTPS://WWW.Corp.Example:443/", "https://corp.example", "url", id="url"),
        pytest.param("https://corp.example./a#top", "https://corp.example/a", None, id="dot"),
        pytest.param("https://corp.example/%7ea", "https://corp.example/~a", "url", id="percent"),
        pytest.param("https://bücher.example/", "https://xn--bcher-kva.example", "url", id="idna"),
        pytest.param("DE89 3704 0044 0532 0130 00", "de89370400440532013000", "iban", id="iban"),
        pytest.param("+49 (170) 123-4567", "491701234567", "phone", id="phone"),
        pytest.param("4111-1111-1111-1111", "4111111111111111", None, id="card"),
        pytest.param(10, "10.0", "number", id="number"),
        pytest.param(10.5, "10.50", "number", id="fraction"),
        pytest.param("1,234,567", 1234567, None, id="thousands"),
        pytest.param("2026-11-23T10:00:00Z", "2026-11-23 11:00+01:00", "date", id="instant"),
        pytest.param("/a//b/./c/../d/", "/a/b/d", "path", id="path"),
        pytest.param(17, "17", "id", id="id-as-number"),
    ],
)
def test_spellings_of_one_value_share_a_form(
    one: str | float, other: str | float, kind: str | None
) -> None:
    assert _compared(one, kind) & _compared(other, None if kind == "path" else kind)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        pytest.param("bob+x@corp.example", "bob@corp.example", "email", id="plus-tag"),
        pytest.param("bob@corp.example", "bob@corp.example.org", "email", id="longer-host"),
        pytest.param("https://corp.example/A", "https://corp.example/a", "url", id="path-case"),
        pytest.param("https://corp.example/a", "http://corp.example/a", "url", id="scheme"),
        pytest.param("https://corp.example:444/", "https://corp.example/", "url", id="port"),
        pytest.param("https://corp.example/a%2fb", "https://corp.example/a/b", "url", id="escape"),
        pytest.param("https://a@corp.example/", "https://corp.example/", "url", id="userinfo"),
        pytest.param("DE89 3704", "DE893704", None, id="too-short-for-an-iban"),
        pytest.param("10", "10.01", "number", id="number"),
        pytest.param("007", "7", "number", id="leading-zeros"),
        pytest.param("1,23", "123", "number", id="no-thousands"),
        pytest.param("2026-11-23", "2026-11-24", "date", id="day"),
        pytest.param("ABC", "abc", "id", id="id-case"),
        pytest.param("/a/B", "/a/b", "path", id="case-of-a-path"),
        pytest.param("/a/b", "a/b", "path", id="absolute"),
    ],
)
def test_near_values_share_none(one: str | float, other: str | float, kind: str | None) -> None:
    assert not _compared(one, kind) & _compared(other, kind)


def _compared(value: str | float, kind: str | None) -> set[tuple[bytes, bytes | None]]:
    found = value_of(value, kind)
    assert found is not None
    return {(form.key, form.cased if form.sensitive else None) for form in found.forms}


@pytest.mark.parametrize("value", ["", " ", "\u200b", "\x00"])
def test_what_cannot_be_seen_is_no_value(value: str) -> None:
    assert value_of(value) is None


@pytest.mark.parametrize(
    ("value", "short"),
    [("abc", True), ("abcd", False), ("äöü", True), ("äöüß", False), (9999, True), (10000, False),
     ("-9999", True), ("+999", True), ("--99", False), ("+-99", False), ("99.5", False),
     ("1e3x", False)],
)  # fmt: skip
def test_what_is_too_short_to_say_where_it_is_from(value: str | float, short: bool) -> None:
    found = value_of(value)
    assert found is not None
    assert found.short is short


def test_prose_has_no_shapes() -> None:
    prose = "https://corp.example/ " + "words " * LONGEST_SPACED
    found = value_of(prose)
    assert found is not None
    assert (len(found.forms), found.url) == (1, None)


def test_a_url_is_told_as_one() -> None:
    found = value_of("www.Corp.example/X", "url")
    assert found is not None
    assert found.url is not None
    assert found.url.host == "corp.example"
    assert value_of("not a url", "url") == ((Form(b"not a url", b"not a url", True),), False, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", b"\0n0"), ("-0", b"\0n0"), ("-0.0", b"\0n0"), ("+5", b"\0n5"), ("0.10", b"\0n0.1"),
     ("1,000.5", b"\0n1000.5"), ("", None), (".5", None), ("1.", None), ("1e5", None),
     ("0x10", None), ("\u0661", None)],
)  # fmt: skip
def test_numbers(text: str, number: bytes | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-11-23", b"\0d2026-11-23"),
        ("2026-11-23T10:00", b"\0d2026-11-23T10:00:00"),
        ("2026-11-23T23:30:00-01:00", b"\0d2026-11-24T00:30:00+00:00"),
        ("2026-13-45T10:00", None),
        ("0001-01-01T00:00+14:00", None),
        ("23.11.2026", None),
    ],
)
def test_dates(text: str, date: bytes | None) -> None:
    assert date_of(text) == date


@pytest.mark.parametrize(
    ("text", "path"),
    [("/a/b", "/a/b"), ("./a", "a"), ("a/..", "."), ("../a", "../a"), ("../../a", "../../a"),
     ("/../a", "/a"), ("/", "/"), ("a\\b\\..\\c", "a/c"), ("", ".")],
)  # fmt: skip
def test_paths(text: str, path: str) -> None:
    assert path_of(text) == path


def test_joints_are_taken_out_of_numbers_of_some_length_only() -> None:
    assert compact_of("12 34 56 7") == b"1234567"
    assert compact_of("12 34 56") is None
    assert compact_of("1 " * 40) is None
    assert compact_of("\uff11" * 7) is None


def test_numbers_are_written_as_json_writes_them() -> None:
    assert [written(one) for one in (5, 5.0, 5.25, 2**60, 1e300)] == [
        "5", "5", "5.25", str(2**60), "1e+300",
    ]  # fmt: skip


def test_the_leaves_of_an_argument_come_in_their_order() -> None:
    value: Json = {"a": ["b", 1, None, True, ["c"]], "d": {"e": 2.5}, "f": " "}
    assert list(texts_of(value)) == ["a", "b", 1, "c", "d", "e", 2.5, "f"]
