"""Laws of provenance: forms are stable, and nothing becomes trusted by being read."""

import unicodedata
from typing import Any

from hypothesis import given, strategies as st

from outrider.core.jsonvalue import Json
from outrider.core.vocabulary import Role
from outrider.tasks.provenance.addresses import email_of, url_of
from outrider.tasks.provenance.forms import fold, fold_many, path_of, value_of
from outrider.tasks.provenance.secrets import SHORTEST
from tests.support.provenance import ROLES, a_desk
from tests.unit.tasks.provenance.test_secrets import CAUGHT

NAMES = sorted(ROLES)
SECRET_CHARS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789+/=_-!$&"
ODD = st.sampled_from(
    ["\u200b", "\u0301", "\u0345", "\u1e9e", "\u0130", "\ufb01", "\u2126", "\uff21", "\u3000",
     "\x1b", "\x1e", "\x00", "\t", " ", "\U000e0041", "\u202e", "\u0390", "\u00a8", "\ud800",
     "\u1100\u1161", "A", "ß"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(ODD, st.characters(), st.sampled_from("aZ0./:@-,")), max_size=24).map(
    "".join
)
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(
        ["https://Corp.example/a?b=c#d", "www.corp.example", "http://ü.example:80/%7e",
         "a@B.example", "DE89 3704 0044 0532 0130 00", "+49 170 1234567", "10.50", "1,000",
         "2026-11-23T10:00:00Z", "/srv/a/../b", "notes/x.txt", "T-100"]
    ),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@given(TEXTS)
def test_a_fold_of_a_fold_is_that_fold(text: str) -> None:
    for cased in (True, False):
        once = fold(text, cased=cased)
        assert fold(once.decode(), cased=cased) == once
        assert b"\x1e" not in once
        assert b"\0" not in once


@given(TEXTS)
def test_a_fold_is_nfkc_whatever_runs_it_was_made_of(text: str) -> None:
    shown = fold(text, cased=True).decode()
    assert unicodedata.is_normalized("NFKC", shown)
    assert fold(shown) == fold(text)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_texts_fold_together_as_they_do_apart(texts: list[str]) -> None:
    parts = fold_many(texts).split(b"\x1e")
    assert [part.strip() for part in parts] == [fold(text) for text in texts]


@given(VALUES)
def test_forms_of_forms_are_those_forms(text: str | float) -> None:
    found = value_of(text)
    for form in found.forms if found is not None else ():
        if form.key[:1] != b"\0":
            again = value_of(form.cased.decode())
            assert again is not None
            assert form.key in {one.key for one in again.forms}


@given(TEXTS)
def test_addresses_and_paths_are_stable(text: str) -> None:
    text = fold(text, cased=True).decode()
    url = url_of(f"https://h.example/{text}")
    if url is not None:
        again = url_of(url.key.decode())
        assert again is not None
        assert again.key == url.key
    assert path_of(path_of(text)) == path_of(text)
    address = email_of(f"{text}@h.example")
    assert address is None or email_of(address.decode()) == address


@given(
    value=VALUES, wrap=st.sampled_from(["{}", "see {} now", "x {}, y"]), name=st.sampled_from(NAMES)
)
def test_what_was_only_seen_in_untrusted_places_is_never_trusted(
    value: str | float, wrap: str, name: str
) -> None:
    desk = a_desk("an anchor that says something else entirely")
    said: Json = {"items": [{"body": wrap.format(value), "value": value}], "note": [value]}
    desk.reads(said, texts=(wrap.format(value),))
    desk.wrote(to=value, command=value, body=value)
    arguments: dict[str, Any] = {name: value}
    for entry in desk.looks(**arguments).entries.values():
        assert isinstance(entry, dict)
        assert entry["label"] in {"untrusted", "model"}


@given(value=VALUES, name=st.sampled_from(NAMES))
def test_a_person_goes_before_all_and_a_record_before_the_platform(
    value: str | float, name: str
) -> None:
    found = value_of(value, ROLES[name].get("type"))
    if found is None or (found.url is not None and found.url.userinfo):
        return
    arguments: dict[str, Any] = {name: value}
    desk = a_desk()
    desk.reads({"v": value}, {"path": "$.v", "label": "platform", "match": "exact"})
    desk.reads({"v": value}, {"path": "$.v", "label": "record"})
    desk.reads({"v": value, "text": f"say {value}"})
    labels = {entry["label"] for entry in desk.looks(**arguments).entries.values()}  # type: ignore[index,call-overload]
    assert labels <= {"record", "platform"}
    desk.index.endorse(value, role=_role(name), kind=ROLES[name].get("type"), source="apr_1")
    labels = {entry["label"] for entry in desk.looks(**arguments).entries.values()}  # type: ignore[index,call-overload]
    assert labels <= {"user"}


def _role(name: str) -> Role:
    return Role(ROLES[name]["role"])


@given(
    secret=st.text(SECRET_CHARS, min_size=SHORTEST, max_size=80)
    .filter(lambda text: sum(map(str.isalnum, text)) >= SHORTEST),
    way=st.sampled_from(sorted(CAUGHT)),
    before=st.text("xyz ", max_size=9),
)  # fmt: skip
def test_every_secret_is_caught_in_every_way_that_is_promised(
    secret: str, way: str, before: str
) -> None:
    desk = a_desk()
    learnt = desk.reads({"key": secret}, {"path": "$.key", "label": "secret"})
    assert desk.looks(body=before + CAUGHT[way](secret)).secret_ids[:1] == learnt.secrets
