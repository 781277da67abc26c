"""What the stores of a task say of one value."""

from outrider.core.vocabulary import Label, Role
from outrider.tasks.provenance.forms import Form, Value, value_of
from outrider.tasks.provenance.memory import MADE_UP, MAX_ENDORSED, Memory
from outrider.tasks.provenance.seen import Place

CRM = "crm"


def _memory() -> Memory:
    return Memory(key=b"k" * 32, incomplete=False)


def _value(text: str | float, kind: str | None = None) -> Value:
    found = value_of(text, kind)
    assert found is not None
    return found


def _place(label: Label, upstream: str = CRM) -> Place:
    return Place(label, "evt_1#/a", b"", upstream, exact=False)


def test_what_is_nowhere_is_made_up() -> None:
    assert _memory().sight(_value("x-100"), None, Role.TARGET, CRM) == MADE_UP


def test_a_value_is_known_in_another_of_its_spellings() -> None:
    memory = _memory()
    memory.keep("+49 170 1234567", _place(Label.RECORD))
    found = memory.sight(
        _value("0049 170 1234567".replace("00", "+", 1), "phone"), "phone", Role.TARGET, CRM
    )
    assert found.label is Label.RECORD


def test_what_cannot_be_seen_is_not_kept() -> None:
    memory = _memory()
    assert memory.keep("\u200b", _place(Label.RECORD)) is None
    memory.keep_short("", "evt_1", "/a", CRM)
    assert memory.seen.at(Form(b"", b"")) == ()


def test_a_hidden_value_is_known_by_its_digest_only() -> None:
    memory = _memory()
    memory.keep("correct horse battery", _place(Label.RECORD), hidden=True)
    assert memory.sight(_value("correct horse battery"), None, Role.CREDENTIAL, CRM).label is (
        Label.RECORD
    )
    assert memory.sight(_value("correct horse"), None, Role.CREDENTIAL, CRM) == MADE_UP


def test_an_origin_with_user_information_is_not_learnt() -> None:
    memory = _memory()
    memory.keep("https://ann@docs.example/x", _place(Label.RECORD))
    url = _value("https://docs.example/y", "url")
    assert memory.sight(url, "url", Role.DESTINATION, CRM) == MADE_UP


def test_digests_are_of_values_not_of_spellings() -> None:
    memory = _memory()
    assert memory.digest_of(_value("10.0")) == memory.digest_of(_value(10))
    assert memory.digest_of(_value("10.0")) != memory.digest_of(_value(11))
    assert memory.digest(b"a") != Memory(key=b"x" * 32, incomplete=False).digest(b"a")


def test_endorsements_are_bounded() -> None:
    memory = _memory()
    for number in range(MAX_ENDORSED + 5):
        memory.endorse(_value(f"name-{number}", "id"), Role.TARGET, "id", "apr_1")
    assert len(memory.endorsed) == MAX_ENDORSED


def test_every_store_can_say_that_something_is_missing() -> None:
    for name in ("seen", "heard", "said", "records", "secrets"):
        memory = _memory()
        assert not memory.is_incomplete
        getattr(memory, name).incomplete = True
        assert memory.is_incomplete
