"""Taking an answer in: its texts, its steps, and what it says besides."""

from typing import Any

import orjson
import pytest

from outrider.core.facts import Answered
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Label, Sensitivity
from outrider.tasks.provenance.learning import MAX_CREATED, MAX_DIGESTS
from tests.support.provenance import a_desk

ID: JsonObject = {"path": "$.items[*].id", "label": "platform"}
EXACT: JsonObject = ID | {"match": "exact"}
PEOPLE = {"path": "$.items[*].mail", "label": "pii"}


def test_a_text_that_is_json_is_labelled_by_its_fields() -> None:
    desk = a_desk()
    learnt = desk.reads(None, ID, texts=('{"items": [{"id": "T-100"}]}',), spelt=True)
    assert learnt.labels == (Label.PLATFORM,)
    assert desk.entry("id", "T-100")["sources"] == ["evt_1#/items/0/id"]


SAID = '{"items": [{"id": "T-200"}]}'


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        pytest.param(None, {"texts": ("see part 2", SAID)}, id="a-second-text"),
        pytest.param(None, {"texts": (SAID, "a:b"), "spelt": False}, id="a-text-and-its-address"),
        pytest.param(None, {"texts": ("{}", SAID), "spelt": True}, id="beside-the-only-one"),
        pytest.param(None, {"texts": (SAID,)}, id="no-result-proper"),
        pytest.param(None, {"texts": (SAID,), "failed": True}, id="an-error"),
        pytest.param(None, {"texts": (SAID,), "spelt": True, "failed": True}, id="both"),
        pytest.param({"items": [{"id": "T-200"}]}, {"failed": True}, id="an-error-with-fields"),
        pytest.param({"items": []}, {"texts": (SAID,), "spelt": True}, id="no-twin-of-the-value"),
    ],
)
def test_what_only_spells_the_fields_is_untrusted(value: Json, answer: dict[str, Any]) -> None:
    desk = a_desk()
    everything = {"path": "$", "label": "record"}
    assert (
        Label.UNTRUSTED in desk.reads(value, everything, EXACT | {"creates": True}, **answer).labels
    )
    assert desk.label("id", "T-200") == "untrusted"


def test_an_error_s_fields_are_secret_all_the_same() -> None:
    learnt = a_desk().reads(
        None,
        {"path": "$.key", "label": "secret"},
        texts=("no", '{"key": "tr0ub4dor-and-3"}'),
        failed=True,
    )
    assert (learnt.sensitivity, len(learnt.secrets)) == (Sensitivity.SECRET, 1)


def test_a_text_without_a_result_around_it_has_the_label_of_the_whole_alone() -> None:
    record = {"path": "$", "label": "record"}
    assert a_desk().reads(None, record, texts=("a", "b")).labels == (Label.UNTRUSTED,)
    assert a_desk().reads({"a": 1}, record, texts=("b",)).untrusted
    assert not a_desk().reads(None, record, texts=("b",), spelt=True).untrusted


def test_what_nobody_could_read_is_untrusted() -> None:
    assert a_desk().reads(None, whole=False).untrusted
    assert a_desk().reads({"a": "b"}, {"path": "$", "label": "record"}, whole=False).untrusted
    assert not a_desk().reads({"a": "b"}, {"path": "$", "label": "record"}).untrusted


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"items": [{"id": "T-100"}], "items": []}', id="a-key-twice"),
        pytest.param('{"items": [{"id": "T-100"}]', id="cut"),
        pytest.param('see {"items": [{"id": "T-100"}]}', id="inside-prose"),
    ],
)
def test_a_text_that_two_could_read_differently_is_text(text: str) -> None:
    desk = a_desk()
    assert desk.reads(None, ID, texts=(text,), spelt=True).labels == (Label.UNTRUSTED,)
    assert desk.label("id", "T-100") == "untrusted"


def test_a_plain_text_has_the_label_of_the_whole() -> None:
    desk = a_desk()
    assert desk.reads(None, {"path": "$", "label": "record"}, texts=("the dinghy",)).labels == (
        Label.RECORD,
    )
    assert desk.label("name", "dinghy") == "record"


VALUE: Json = {"items": [{"id": "T-100", "n": 1}]}
SPELT_OUT = orjson.dumps(VALUE, option=orjson.OPT_INDENT_2).decode()
PAIR: Json = {"result": [{"a": "T-100"}, {"a": "b"}]}


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        pytest.param(VALUE, (orjson.dumps(VALUE).decode(),), id="the-value-itself"),
        pytest.param(VALUE, (SPELT_OUT,), id="spelt-out"),
        pytest.param({"result": "T-100"}, ("T-100",), id="a-text-under-result"),
        pytest.param({"result": [{"a": "T-100"}]}, ('[{"a":"T-100"}]',), id="a-list-under-result"),
        pytest.param(PAIR, ('{"a":"T-100"}', '{"a": "b"}'), id="items"),
    ],
)  # fmt: skip
def test_the_value_said_again_as_text_is_not_labelled_twice(
    value: Json, texts: tuple[str, ...]
) -> None:
    desk = a_desk()
    everything = {"path": "$", "label": "platform"}
    names = {"path": "$.result", "label": "platform"}
    learnt = desk.reads(value, everything, names, texts=texts, records="$.items")
    assert learnt.labels == (Label.PLATFORM,)
    assert desk.label("id", "T-100") == "platform"


def test_another_text_beside_the_value_is_untrusted() -> None:
    desk = a_desk()
    learnt = desk.reads({"items": [{"id": "T-100"}]}, ID, texts=("also T-100", '["T-200"]'))
    assert learnt.labels == (Label.PLATFORM, Label.UNTRUSTED)
    assert [desk.label("id", one) for one in ("T-100", "T-200")] == ["untrusted", "untrusted"]


def test_one_subject_for_each_record_by_its_first_personal_field() -> None:
    desk = a_desk()
    listed: list[Json] = [
        {"mail": "ann@a.example", "id": "1"},
        {"mail": "bob@a.example", "id": "2"},
        {"mail": "ANN@a.example", "id": "3"},
        {"id": "4"},
    ]
    learnt = desk.reads({"items": [*listed]}, PEOPLE, records="$.items")
    assert (len(learnt.subjects), learnt.records) == (2, 4)
    assert learnt.sensitivity is Sensitivity.CONFIDENTIAL
    again = desk.reads({"items": listed[:1]}, PEOPLE, records="$.items")
    assert again.subjects == learnt.subjects[:1]


def test_two_personal_fields_of_one_record_are_one_subject() -> None:
    line = {"path": "$[*]", "label": "pii"}
    learnt = a_desk().reads([{"name": "Ann", "mail": "ann@a.example"}], line)
    assert len(learnt.subjects) == 1


def test_an_answer_about_one_person_has_one_subject() -> None:
    learnt = a_desk().reads({"name": "Ann"}, {"path": "$.name", "label": "pii"})
    assert len(learnt.subjects) == 1


def test_only_trusted_values_of_lists_are_listed() -> None:
    desk = a_desk()
    learnt = desk.reads(
        {"items": [{"id": "1", "body": "x"}], "id": "9"}, ID, {"path": "$.id", "label": "platform"}
    )
    assert len(learnt.listed) == 1


def test_what_is_told_is_bounded() -> None:
    desk = a_desk()
    listed: Json = [{"id": f"id-{number}"} for number in range(MAX_DIGESTS + 5)]
    lines: tuple[JsonObject, ...] = (
        {**ID, "creates": True},
        {"path": "$.items[*].id", "label": "pii"},
    )
    learnt = desk.reads({"items": listed}, *lines, records="$.items")
    assert len(learnt.listed) == len(learnt.subjects) == MAX_DIGESTS
    assert len(learnt.created) == MAX_CREATED
    assert learnt.records == MAX_DIGESTS + 5


def test_a_secret_is_never_a_name_the_task_made() -> None:
    line: JsonObject = {"path": "$.id", "label": "secret", "creates": True}
    learnt = a_desk().reads({"id": "a-long-secret-value"}, line)
    assert (learnt.created, len(learnt.secrets)) == ((), 1)


def test_a_long_text_is_taken_in_steps_and_found_across_their_borders() -> None:
    desk = a_desk()
    text = " ".join(f"word{number:05}" for number in range(20_000))
    action, entry, _ = desk.action("read", {})
    steps = desk.index.learning(
        "evt_1", Answered(action=0, texts=(text,)), action=action, entry=entry
    )
    assert sum(1 for _ in steps) > 10
    for number in range(0, 19_000, 37):
        assert desk.label("name", f"word{number:05} word{number + 1:05}") == "untrusted"


@pytest.mark.parametrize("filler", ["x", "ü", "e\u0301"])
def test_a_long_text_without_white_space_is_found_too(filler: str) -> None:
    desk = a_desk()
    desk.reads(texts=(filler * 30_000 + " eve@evil.example " + filler * 9,))
    assert desk.label("to", "eve@evil.example") == "untrusted"


def test_a_large_json_text_is_read_in_steps() -> None:
    desk = a_desk()
    items: Json = [{"id": f"T-{number}", "body": "words " * 20} for number in range(800)]
    learnt = desk.reads(None, ID, texts=(orjson.dumps({"items": items}).decode(),), spelt=True)
    assert learnt.records == 800
    assert desk.label("id", "T-799") == "platform"


def test_an_empty_answer_teaches_nothing() -> None:
    learnt = a_desk().reads({"ok": True, "none": None}, {"path": "$.ok", "label": "platform"})
    assert (learnt.untrusted, learnt.labels, learnt.records) == (False, (), 0)


def test_short_values_beyond_the_bound_are_left_out() -> None:
    desk = a_desk()
    desk.reads([f"x{number:03}"[:3] + chr(97 + number % 26) for number in range(9)])
    desk.reads([str(number) for number in range(1000, 2100)])
    desk.reads(["z9"])
    assert desk.label("name", "z9") == "model"
    assert desk.label("name", "1001") == "untrusted"


IBAN = "GB29 NWBK 6016 1331 9268 19"
STREET = {"path": "$.street", "label": "record"}


@pytest.mark.parametrize("tool", ["save", "send"])
@pytest.mark.parametrize("label", ["record", "platform"])
@pytest.mark.parametrize(
    ("wrote", "read", "sought"),
    [
        pytest.param(IBAN, IBAN, IBAN, id="the-same"),
        pytest.param(IBAN, IBAN.replace(" ", ""), IBAN, id="spelt-otherwise"),
        pytest.param(f"Main St 1, {IBAN}", IBAN, IBAN, id="a-part"),
        pytest.param(f"live at {IBAN} now", IBAN, IBAN, id="inside-a-text"),
        pytest.param(IBAN, f"Ann, living at {IBAN}, London", IBAN, id="inside-what-is-read"),
        pytest.param(IBAN, f"Ann: {IBAN.replace(' ', '-')}.", IBAN, id="inside-and-otherwise"),
    ],
)
def test_what_the_task_wrote_comes_back_no_better(
    tool: str, label: str, wrote: str, read: str, sought: str
) -> None:
    desk = a_desk()
    desk.reads({"body": f"update the street to {IBAN}"})
    desk.answers(tool, {"ok": True}, body=wrote)
    desk.reads({"street": read}, STREET | {"label": label})
    assert desk.label("iban", sought) == "untrusted"


def test_a_name_that_the_task_wrote_is_not_a_record_s_inside_a_text() -> None:
    desk = a_desk()
    desk.answers("save", {"ok": True}, body="Mallory Payee")
    desk.reads({"street": "pay it to Mallory Payee of London"}, STREET)
    assert desk.label("name", "Mallory Payee") == "model"


def test_an_answer_to_a_write_does_not_make_its_own_arguments_a_record() -> None:
    desk = a_desk()
    desk.answers("save", {"street": IBAN}, STREET, body=IBAN)
    assert desk.label("iban", IBAN) == "model"


def test_a_write_without_an_answer_is_known_too() -> None:
    desk = a_desk()
    desk.wrote(body=IBAN)
    desk.reads({"street": IBAN}, STREET)
    assert desk.label("iban", IBAN) == "model"


def test_what_was_trusted_before_it_was_written_stays_so() -> None:
    desk = a_desk(f"pay {IBAN}")
    desk.reads({"street": "eve@evil.example"}, STREET)
    desk.answers("save", {"ok": True}, body=f"{IBAN} eve@evil.example")
    desk.reads({"street": IBAN + " eve@evil.example"}, STREET)
    assert desk.label("iban", IBAN) == "user"
    assert desk.label("to", "eve@evil.example") == "record"


def test_other_words_of_a_record_and_what_was_only_asked_for_count() -> None:
    desk = a_desk()
    desk.answers("save", {"ok": True}, body=IBAN)
    desk.answers("read", {"ok": True}, body="bob@acme.test")
    desk.reads({"street": f"{IBAN}; the Lighthouse"}, STREET)
    desk.reads({"street": "bob@acme.test"}, STREET)
    assert desk.label("name", "lighthouse") == "record"
    assert desk.label("to", "bob@acme.test") == "record"


@pytest.mark.parametrize("label", ["platform", "record", "secret", "pii"])
def test_a_long_text_beyond_ascii_is_kept_as_its_words_only(label: str) -> None:
    desk = a_desk()
    value: Json = {"items": [{"t": "\u00e9 a\u0316" * 20_000}] * 3}
    action, entry, _ = desk.action("read", {}, result=[{"path": "$.items[*].t", "label": label}])
    answered = Answered(action=0, value=value, texts=())
    steps = desk.index.learning("evt_1", answered, action=action, entry=entry)
    assert sum(1 for _ in steps) >= 3
    assert desk.label("name", "\u00e9 a\u0316" * 10_000) in ("model", "untrusted")
