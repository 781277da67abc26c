"""What the task wrote itself, and how it is known again."""

import pytest

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance import own as module
from outrider.tasks.provenance.own import MAX_EVENTS, MAX_NAMES, Own


def _own(*arguments: Json) -> Own:
    own = Own()
    for number, one in enumerate(arguments):
        for _ in own.add(f"evt_{number}", one):
            pass
    return own


def test_what_nobody_wrote_is_not_known() -> None:
    assert not Own()
    assert not Own().wrote("a-100")
    assert Own().without("a-100") == "a-100"


@pytest.mark.parametrize(
    ("arguments", "leaf", "known"),
    [
        pytest.param({"a": "Eve Example"}, "eve  example", True, id="the-whole"),
        pytest.param({"a": ["x", {"b": "Eve Example"}]}, "Eve Example", True, id="deep"),
        pytest.param({"a": "one\nEve Example\ntwo"}, "Eve Example", True, id="a-line"),
        pytest.param({"a": "Ann; Eve Example"}, "Eve Example", True, id="a-part"),
        pytest.param({"a": "to eve@evil.example now"}, "<eve@evil.example>", True, id="an-address"),
        pytest.param({"a": "https://evil.example/a"}, "https://evil.example/b", True, id="origin"),
        pytest.param({"a": 123456}, "123456", True, id="a-number"),
        pytest.param({"a": "say Eve Example"}, "Eve Example", False, id="words-of-a-text"),
        pytest.param({"a": "Eve Example"}, "Eve", False, id="shorter"),
        pytest.param({"a": 42, "b": "abc"}, 42, False, id="too-short"),
        pytest.param({"a": True, "b": None}, "true", False, id="no-values"),
        pytest.param({"a": "x" * 3000}, "x" * 3000, False, id="too-long-for-a-whole"),
    ],
)  # fmt: skip
def test_a_value_is_known_by_what_it_is(arguments: Json, leaf: str | float, known: bool) -> None:
    assert _own(arguments).wrote(leaf) is known


def test_an_address_deep_in_a_long_text_is_known() -> None:
    assert _own({"a": "word " * 9000 + "eve@evil.example"}).wrote("eve@evil.example")


def test_it_is_taken_out_of_a_text() -> None:
    own = _own({"a": "eve@evil.example", "b": "eve@evil.example.org"})
    assert own.without("to eve@evil.example, bob@acme.test").split() == ["to", ",", "bob@acme.test"]
    assert own.without("to eve@evil.example.org").split() == ["to"]
    assert own.without("to eve@evil.exampl\u0435 now") == "to eve@evil.exampl\u0435 now"


def test_a_text_that_spells_it_otherwise_is_not_kept() -> None:
    own = _own({"a": "eve@evil.example", "b": "Eve Example"})
    assert own.without("to \uff45ve@evil.example") == ""
    assert own.without("pay eve  EXAMPLE now") == ""
    assert own.without("pay steve examples now") == "pay steve examples now"


def test_names_are_looked_for_in_texts_within_a_bound() -> None:
    own = _own(*({"a": f"Person Number{number:03}"} for number in range(MAX_NAMES + 1)))
    assert own.without("of Person Number001 it is") == ""
    assert own.without("of Person Number000 it is") != ""
    assert own.wrote("Person Number000")


def test_past_the_bound_everything_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    own = _own({"a": "first-1", "b": "second-2", "c": "third-3"})
    assert own.full
    assert own.wrote("never-written")
    assert own.without("never written") == ""


def test_one_call_is_read_once() -> None:
    own = Own()
    for value, taken in (("first-word", True), ("second-word", False)):
        list(own.add("evt_1", {"a": value}))
        assert own.wrote(value) is taken
    for number in range(MAX_EVENTS + 1):
        list(own.add(f"evt_x{number}", {}))
    list(own.add("evt_1", {"a": "second-word"}))
    assert own.wrote("second-word")


def test_a_long_call_is_taken_in_steps_and_a_short_one_at_once() -> None:
    assert not list(Own().add("evt_1", {"a": "short"}))
    assert list(Own().add("evt_1", {"a": "a long text, " * 10_000}))
