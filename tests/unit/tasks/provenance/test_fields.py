"""The leaves of an answer and what lines of the manifest say of them."""

import pytest

from outrider.core.catalogue import ResultField, ToolEntry
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import ActionEffect, FieldLabel, Impact, Label, Sensitivity
from outrider.tasks.provenance.fields import PLAIN, STEP_CHARS, STEP_LEAVES, Leaf, Leaves, plan_of

P, R, U = FieldLabel.PLATFORM, FieldLabel.RECORD, FieldLabel.UNTRUSTED


def _line(
    *path: str, label: FieldLabel | None = None, exact: bool = False, creates: bool = False
) -> ResultField:
    return ResultField(path=path, label=label, exact=exact, creates=creates)


def _entry(*lines: ResultField, records: tuple[str, ...] | None = None) -> ToolEntry:
    return ToolEntry(
        effect=ActionEffect.READ,
        reversible=True,
        impact=Impact.LOW,
        sensitivity=Sensitivity.INTERNAL,
        result=lines,
        records=records,
    )


def _read(value: Json, *lines: ResultField, records: tuple[str, ...] | None = None) -> Leaves:
    entry = _entry(*lines, records=records)
    return Leaves(entry, plan_of(entry, None))


def _leaves(value: Json, *lines: ResultField) -> list[Leaf]:
    """All leaves, those of which nothing is said too."""
    leaves = _read(value, *lines)
    found = [leaf for leaf in leaves.of(value, PLAIN) if leaf is not None]
    plain = zip(*leaves.taken(), strict=True)
    return [*found, *(Leaf(text, pointer, PLAIN, 0) for text, pointer in plain)]


def _labels(value: Json, *lines: ResultField) -> dict[str, str]:
    return {str(leaf.value): leaf.mark.label.value for leaf in _leaves(value, *lines)}


def test_what_nothing_is_said_of_is_untrusted_names_too() -> None:
    value: Json = {"a": "x", "b": [1, True, None, ""], "c": {}}
    found = {(leaf.value, leaf.pointer) for leaf in _leaves(value)}
    assert found == {("a", ""), ("x", "/a"), ("b", ""), ("1", "/b/0"), ("c", "")}


def test_a_line_holds_for_all_below_it_and_a_deeper_one_for_its_own() -> None:
    value: Json = {"a": {"b": "1", "c": {"d": "2"}}, "e": "3"}
    lines = (_line("a", label=P), _line("a", "c", label=U), _line("a", "c", "d", label=R))
    labels = _labels(value, *lines)
    assert {key: labels[key] for key in "123"} == {
        "1": "platform", "2": "record", "3": "untrusted",
    }  # fmt: skip


def test_of_two_lines_at_one_place_the_less_trusted_holds() -> None:
    assert _labels({"a": "1"}, _line("a", label=R), _line("a", label=U)) == {"1": "untrusted"}
    assert _labels({"a": "1"}, _line("*", label=P), _line("a", label=R)) == {"1": "platform"}


def test_exact_needs_every_line_of_that_label_to_say_so() -> None:
    both = _leaves({"a": "1"}, _line("a", label=P, exact=True), _line("*", label=P))
    one = _leaves({"a": "1"}, _line("a", label=P, exact=True), _line("a", label=R, exact=False))
    assert (both[0].mark.exact, one[0].mark.exact) == (False, True)


def test_each_stands_for_items_and_for_values_of_a_map() -> None:
    lines = (_line("*", "id", label=P),)
    assert _labels([{"id": "1"}, {"id": "2"}], *lines) == {"1": "platform", "2": "platform"}
    labels = _labels({"x y": {"id": "1"}}, *lines)
    assert labels == {"x y": "untrusted", "1": "platform"}


def test_names_are_values_unless_lines_name_some_beside_them() -> None:
    value: Json = {"id": "1", "note": "2", "two words": "3"}
    assert set(_labels(value, _line("id", label=P))) == {"1", "2", "3", "two words"}
    assert set(_labels({"note": "2"}, _line("*", label=P))) == {"note", "2"}
    assert _labels({"n": {"note": "2"}}, _line("n", label=P)) == {
        "note": "platform",
        "2": "platform",
    }


def test_secret_and_personal_are_said_besides() -> None:
    lines = (
        _line("a", label=P),
        _line("a", label=FieldLabel.SECRET),
        _line("a", "b", label=FieldLabel.PII),
    )
    (leaf,) = [leaf for leaf in _leaves({"a": {"b": "1"}}, *lines) if leaf.value == "1"]
    assert leaf.mark[:4] == (Label.PLATFORM, False, True, True)


def test_only_the_field_itself_creates() -> None:
    leaves = _leaves(
        {"a": {"id": "1"}, "b": "2"}, _line("a", creates=True), _line("b", creates=True)
    )
    assert {leaf.value: leaf.mark.creates for leaf in leaves} == {
        "id": False,
        "1": False,
        "2": True,
    }


@pytest.mark.parametrize(
    ("arguments", "label"),
    [
        pytest.param({"path": "/home/a/x"}, "record", id="below"),
        pytest.param({"path": "/home/x"}, "untrusted", id="elsewhere"),
        pytest.param({"path": "/home/a/../b"}, "untrusted", id="climbs"),
        pytest.param({"path": 1}, "untrusted", id="no-text"),
        pytest.param({}, "untrusted", id="absent"),
        pytest.param(None, "untrusted", id="no-arguments"),
    ],
)
def test_a_condition_is_asked_of_the_call(arguments: JsonObject | None, label: str) -> None:
    line = ResultField(path=("a",), label=R, when=("/path", "/home/a/"))
    entry = _entry(line)
    leaves = Leaves(entry, plan_of(entry, arguments))
    found = [leaf for leaf in leaves.of({"a": "1"}, PLAIN) if leaf is not None]
    texts, _ = leaves.taken()
    assert (len(found), texts) == ((1, []) if label == "record" else (0, ["a", "1"]))


@pytest.mark.parametrize(
    ("value", "path", "count"),
    [
        pytest.param({"items": [1, 2, 3]}, ("items",), 3, id="items"),
        pytest.param({"items": []}, ("items",), 0, id="none"),
        pytest.param({"items": {"a": 1}}, ("items",), 1, id="one"),
        pytest.param({"items": None}, ("items",), 0, id="null"),
        pytest.param({"other": [1]}, ("items",), 0, id="absent"),
        pytest.param({"a": {}, "b": {}}, ("*",), 2, id="values-of-a-map"),
        pytest.param([{"r": [1, 2]}, {"r": [3]}], ("*", "r"), 3, id="of-each"),
        pytest.param([[1, 2], [3]], None, 2, id="unsaid-outermost-list"),
        pytest.param({"a": [1], "b": {"c": [2, 3]}}, None, 3, id="unsaid-lists-side-by-side"),
        pytest.param({"a": 1}, None, 0, id="unsaid-no-list"),
    ],
)
def test_records_are_counted(value: Json, path: tuple[str, ...] | None, count: int) -> None:
    leaves = _read(value, records=path)
    assert [leaf for leaf in leaves.of(value, PLAIN) if leaf is not None] == []
    assert leaves.records == count


def test_what_gathers_is_handed_over_in_bounded_steps() -> None:
    value: Json = [f"text {number}" for number in range(STEP_LEAVES * 3)]
    leaves = _read(value)
    sizes = []
    for leaf in leaves.of(value, PLAIN):
        assert leaf is None
        sizes.append(len(leaves.taken()[0]))
    assert sizes == [STEP_LEAVES] * 3


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({f"k{number}": "v" for number in range(5000)}, id="texts"),
        pytest.param({f"k{number}": [] for number in range(5000)}, id="containers"),
        pytest.param([[] for _ in range(5000)], id="a-list"),
    ],
)
def test_a_wide_container_takes_many_steps(value: Json) -> None:
    leaves = _read(value)
    most = steps = 0
    for _ in leaves.of(value, PLAIN):
        most = max(most, len(leaves.taken()[0]))
        steps += 1
    assert most <= STEP_LEAVES
    assert steps >= 4


def test_a_name_that_comes_again_is_taken_once_but_where_something_is_said_of_it() -> None:
    value: Json = [{"n": "1"}, {"n": "2"}]
    assert [leaf.value for leaf in _leaves(value)] == ["n", "1", "2"]
    said = _leaves(value, _line(label=P))
    assert [leaf.value for leaf in said] == ["n", "1", "n", "2"]


def test_a_long_text_comes_by_itself() -> None:
    (leaf,) = _leaves("x" * (STEP_CHARS + 1))
    assert leaf.pointer == ""
    assert len(str(leaf.value)) == STEP_CHARS + 1


def test_pointers_are_escaped() -> None:
    assert {leaf.pointer for leaf in _leaves({"a/b": "1"})} == {"", "/a~1b"}


def test_an_empty_text_is_no_leaf() -> None:
    assert [leaf.value for leaf in _leaves({"a": ""})] == ["a"]
