"""What one task writes to an agent's memory under untrusted words stays untrusted in the next."""

import pytest
from hypothesis import given, strategies as st

from outrider.core.vocabulary import ActionEffect, Role
from outrider.tasks.memory import (
    KEYS,
    LIFE_S,
    Key,
    MemoryCodec,
    MemoryDocument,
    keys_of,
    taint_of,
    wrote,
)
from tests.support.builders import an_action, an_ask

NOW = 1_000_000


def a_write(key: str = "iban", **changes: object) -> tuple[Key, ...]:
    ask = an_ask(arguments={"key": key, "value": "x", **changes})
    return keys_of(an_action(ask=ask, effect=ActionEffect.WRITE, roles=(("/key", Role.TARGET),)))


def test_a_tainted_key_is_tainted_for_whoever_reads_it() -> None:
    document = MemoryDocument()
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    assert taint_of(document, a_write(), NOW + 1) == "tsk_1"
    assert taint_of(document, (), NOW + 1) == "tsk_1", "a search may find it"
    assert taint_of(document, a_write("other"), NOW + 1) == "tsk_1", "nobody saw it written"
    wrote(document, a_write("other"), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write("other"), NOW + 1) is None
    assert taint_of(document, (*a_write("other"), *a_write("third")), NOW + 1) == "tsk_1"


@pytest.mark.parametrize("variant", ["Iban ", "IBAN", "ib\u200ban", "\uff49ban"])
def test_a_taint_holds_for_every_spelling_and_only_its_own_cleans_it(variant: str) -> None:
    document = MemoryDocument()
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    assert taint_of(document, a_write(variant), NOW) == "tsk_1"
    wrote(document, a_write(variant), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(), NOW) == "tsk_1"
    wrote(document, a_write(), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(variant), NOW) is None


def test_a_key_tainted_under_two_spellings_is_cleaned_under_neither() -> None:
    document = MemoryDocument()
    for key in ("iban", "IBAN"):
        wrote(document, a_write(key), tainted=True, task="tsk_1", now_s=NOW)
        wrote(document, a_write(key), tainted=True, task="tsk_1", now_s=NOW)
    for key in ("iban", "IBAN"):
        wrote(document, a_write(key), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(), NOW) == "tsk_1"


def test_clean_keys_are_bounded_and_what_is_forgotten_is_doubtful() -> None:
    document = MemoryDocument()
    for number in range(KEYS + 1):
        wrote(document, a_write(f"k{number}"), tainted=False, task="", now_s=NOW)
    assert len(document.clean) == KEYS
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    told = [taint_of(document, a_write(key), NOW) for key in ("k0", "k1")]
    assert told == ["tsk_1", None]


def test_a_clean_write_of_the_key_makes_it_clean() -> None:
    document = MemoryDocument()
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    wrote(document, a_write("other"), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(), NOW) == "tsk_1"
    wrote(document, a_write(), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, (), NOW) is None


def test_without_a_key_all_of_it_is_tainted_and_nothing_is_cleaned() -> None:
    document = MemoryDocument()
    wrote(document, (), tainted=True, task="tsk_1", now_s=NOW)
    wrote(document, (), tainted=False, task="tsk_2", now_s=NOW)
    wrote(document, a_write(), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(), NOW) == "tsk_1"


@pytest.mark.parametrize(("age_s", "told"), [(LIFE_S - 1, "tsk_1"), (LIFE_S, None)])
def test_a_taint_ends(age_s: int, told: str | None) -> None:
    document = MemoryDocument()
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    assert taint_of(document, a_write(), NOW + age_s) == told


def test_more_keys_than_are_kept_make_all_of_it_tainted() -> None:
    document = MemoryDocument()
    for number in range(KEYS + 1):
        wrote(document, a_write(f"k{number}"), tainted=True, task="tsk_1", now_s=NOW)
    assert len(document.tainted) <= KEYS
    assert taint_of(document, a_write("never-written"), NOW) == "tsk_1"


def test_old_taints_make_room_first() -> None:
    document = MemoryDocument()
    for number in range(KEYS):
        wrote(document, a_write(f"k{number}"), tainted=True, task="tsk_1", now_s=NOW)
    later = NOW + LIFE_S
    wrote(document, a_write("other"), tainted=False, task="", now_s=NOW)
    wrote(document, a_write("fresh"), tainted=True, task="tsk_2", now_s=later)
    assert taint_of(document, a_write("other"), later) is None


@given(st.binary(max_size=64))
def test_what_cannot_be_read_is_tainted(data: bytes) -> None:
    document = MemoryCodec().decode(data, float(NOW))
    again = MemoryCodec().decode(MemoryCodec().encode(document), float(NOW))
    assert again == document


BROKEN = (
    b"{",
    b"[]",
    b"{}",
    b'{"tainted":[1]}',
    b'{"tainted":{"a":1}}',
    b'{"tainted":{"a":[1]}}',
    b'{"tainted":{},"clean":[]}',
    b'{"tainted":{},"clean":{"a":"b"}}',
)


def test_a_broken_document_is_tainted_as_a_whole() -> None:
    for data in BROKEN:
        assert taint_of(MemoryCodec().decode(data, float(NOW)), a_write(), NOW) == "unknown"


def test_a_document_survives_being_kept() -> None:
    document = MemoryDocument()
    wrote(document, a_write(), tainted=True, task="tsk_1", now_s=NOW)
    wrote(document, a_write("other"), tainted=False, task="", now_s=NOW)
    codec = MemoryCodec()
    assert codec.decode(codec.encode(document), float(NOW)) == document


def test_a_taint_of_an_earlier_version_is_cleaned_under_no_spelling() -> None:
    (key,) = a_write()
    document = MemoryCodec().decode(
        b'{"tainted":{"%s":[%d,"tsk_1"]}}' % (key.form.encode(), NOW), 0
    )
    wrote(document, a_write(), tainted=False, task="tsk_2", now_s=NOW)
    assert taint_of(document, a_write(), NOW) == "tsk_1"


def test_values_of_every_kind_name_a_key() -> None:
    assert a_write("1") != ()
    ask = an_ask(arguments={"key": {"deep": [1]}, "value": "x"})
    assert len(keys_of(an_action(ask=ask, roles=(("/key", Role.TARGET),)))) == 1
    ask = an_ask(arguments={"value": "x"})
    assert keys_of(an_action(ask=ask, roles=(("/key", Role.TARGET),))) == ()
