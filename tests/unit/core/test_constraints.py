from typing import Any

import pytest

from outrider.core.constraints import ArgumentRule, is_pointer, parse_rule, resolve
from outrider.core.errors import ConfigError


def rule(**by_name: Any) -> ArgumentRule:
    return parse_rule({"/" + name: one for name, one in by_name.items()}, "g")


ADMITTED = [
    pytest.param({"max": 100}, 100, True, id="at-the-bound"),
    pytest.param({"max": 100}, 100.0, True, id="100.0-is-100"),
    pytest.param({"max": 100}, 100.01, False, id="above"),
    pytest.param({"max": 100}, "100", False, id="text-is-no-number"),
    pytest.param({"max": 100}, True, False, id="true-is-no-number"),
    pytest.param({"max": 100}, -(2**53), False, id="beyond-2-53"),
    pytest.param({"min": 1}, 0.5, False, id="below"),
    pytest.param({"min": 1}, 1, True, id="at-the-lower-bound"),
    pytest.param({"max_length": 3}, "abc", True, id="length"),
    pytest.param({"max_length": 3}, "abcd", False, id="longer"),
    pytest.param({"max_length": 3}, [1], False, id="a-list-has-no-length"),
    pytest.param({"max_items": 1}, [1], True, id="items"),
    pytest.param({"max_items": 1}, [1, 2], False, id="more-items"),
    pytest.param({"max_items": 1}, "a", False, id="text-has-no-items"),
    pytest.param({"in": ["a", 1]}, "a", True, id="in"),
    pytest.param({"in": ["a", 1]}, 1.0, True, id="in-1.0"),
    pytest.param({"in": ["a", 1]}, True, False, id="in-true"),
    pytest.param({"in": ["a", 1]}, "1", False, id="in-text"),
    pytest.param({"in": []}, "a", False, id="in-nothing"),
    pytest.param({"in": ["a"]}, 2**60, False, id="no-canonical-form"),
    pytest.param({"equals": {"b": 1, "a": [2]}}, {"a": [2], "b": 1.0}, True, id="equals"),
    pytest.param({"equals": {"a": 1}}, {"a": 1, "b": 2}, False, id="equals-more"),
    pytest.param({"equals": "a", "in": ["a", "b"]}, "a", True, id="equals-and-in"),
    pytest.param({"equals": "a", "in": ["a", "b"]}, "b", False, id="in-not-equal"),
    pytest.param({"prefix": "ab"}, "abc", True, id="prefix"),
    pytest.param({"prefix": "ab"}, "a", False, id="no-prefix"),
    pytest.param({"glob": "/home/u/*"}, "/home/u/x", True, id="glob"),
    pytest.param({"glob": ["/a", "/home/*"]}, "/home/../etc", False, id="glob-dots"),
    pytest.param({"glob": ["/a", "/home/*"]}, "/a", True, id="glob-list"),
    pytest.param({"forbidden": True}, None, False, id="forbidden-null"),
    pytest.param({}, {"any": ["thing"]}, True, id="anything"),
]


@pytest.mark.parametrize(("constraint", "value", "admitted"), ADMITTED)
def test_a_constraint_admits(constraint: Any, value: Any, admitted: bool) -> None:
    gap = rule(a=constraint).first_gap({"a": value})
    assert (gap is None) is admitted
    if gap is not None:
        assert gap == ("/a", "an argument is outside what the grant allows")


def test_a_required_argument_must_be_there() -> None:
    required = rule(a={"required": True})
    assert required.first_gap({"a": None}) is None
    assert required.first_gap({}) == ("/a", "an argument the grant requires is missing")


@pytest.mark.control("TS-03")
@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        pytest.param({"to": "x"}, None, id="named"),
        pytest.param({}, None, id="absent"),
        pytest.param({"to": "x", "bcc": "y"}, "/bcc", id="extra-bcc"),
        pytest.param({"to": "x", "bcc": []}, "/bcc", id="extra-empty-list"),
        pytest.param({"to": {"deep": [1]}}, None, id="below-a-named-one"),
        pytest.param({"user": {"id": 1}}, None, id="nested"),
        pytest.param({"user": {"id": 1, "admin": True}}, "/user/admin", id="nested-extra"),
        pytest.param({"user": {}}, "/user", id="empty-container"),
        pytest.param({"user": "id"}, "/user", id="another-shape"),
        pytest.param({"rows": [{"a": 1}]}, None, id="by-index"),
        pytest.param({"rows": [{"a": 1}, 2]}, "/rows/1", id="another-row"),
        pytest.param({"a/b~c": 1}, None, id="escaped"),
    ],
)
def test_what_no_pointer_names_is_refused(arguments: Any, pointer: str | None) -> None:
    names = parse_rule({"/to": {}, "/user/id": {}, "/rows/0/a": {}, "/a~1b~0c": {}}, "g")
    gap = names.first_gap(arguments)
    assert (None if gap is None else gap[0]) == pointer
    if gap is not None:
        assert "name this pointer" in gap[1]


WITHIN = [
    pytest.param({"/a": {"max": 50}}, {"/a": {"max": 100}}, True, id="tighter"),
    pytest.param({"/a": {"max": 100.0}}, {"/a": {"max": 100}}, True, id="100.0"),
    pytest.param({"/a": {"max": 101}}, {"/a": {"max": 100}}, False, id="wider"),
    pytest.param({"/a": {}}, {"/a": {"max": 100}}, False, id="constraint-removed"),
    pytest.param({"/a": {"max": 1}}, {"/a": {}}, True, id="constraint-added"),
    pytest.param({"/a": {"min": 5}}, {"/a": {"min": 4}}, True, id="min"),
    pytest.param({"/a": {"min": 3}}, {"/a": {"min": 4}}, False, id="min-wider"),
    pytest.param({"/a": {"max_length": 3}}, {"/a": {"max_length": 4}}, True, id="length"),
    pytest.param({"/a": {"max_items": 5}}, {"/a": {"max_items": 4}}, False, id="items"),
    pytest.param({"/a": {"in": ["x"]}}, {"/a": {"in": ["x", "y"]}}, True, id="subset"),
    pytest.param({"/a": {"in": ["x", "z"]}}, {"/a": {"in": ["x", "y"]}}, False, id="not-subset"),
    pytest.param({"/a": {"in": [1, 50]}}, {"/a": {"max": 100}}, True, id="values-in-interval"),
    pytest.param({"/a": {"in": [1, 500], "max": 9}}, {"/a": {"max": 100}}, True, id="own-bound"),
    pytest.param({"/a": {"max": 1}}, {"/a": {"in": [1]}}, False, id="interval-in-set"),
    pytest.param({"/a": {"prefix": "abc"}}, {"/a": {"prefix": "ab"}}, True, id="prefix"),
    pytest.param({"/a": {"prefix": "a"}}, {"/a": {"prefix": "ab"}}, False, id="prefix-wider"),
    pytest.param({"/a": {"glob": "/h/u/*"}}, {"/a": {"glob": "/h/*"}}, True, id="glob"),
    pytest.param({"/a": {"glob": "/*"}}, {"/a": {"glob": "/h/*"}}, False, id="glob-wider"),
    pytest.param({"/a": {"prefix": "/h/"}}, {"/a": {"glob": "/h/*"}}, False, id="unprovable"),
    pytest.param({"/a": {"required": True}}, {"/a": {}}, True, id="required-added"),
    pytest.param({"/a": {}}, {"/a": {"required": True}}, False, id="required-removed"),
    pytest.param({"/a": {"forbidden": True}}, {"/a": {"max": 1}}, True, id="forbidden"),
    pytest.param({"/a": {}}, {"/a": {"forbidden": True}}, False, id="forbidden-removed"),
    pytest.param({"/a": {}}, {"/a": {}, "/b": {}}, True, id="one-name-fewer"),
    pytest.param({"/a": {}, "/b": {}}, {"/a": {}}, False, id="one-name-more"),
    pytest.param({"/a": {}, "/b": {"forbidden": True}}, {"/a": {}}, True, id="forbidden-name"),
    pytest.param({"/a": {}}, {"/a": {}, "/b": {"required": True}}, False, id="never-there"),
    pytest.param({"/a": {}}, {"/a": {}, "/b": {"forbidden": True}}, True, id="unnamed-anyway"),
    pytest.param({"/a/x": {}}, {"/a": {}}, True, id="below"),
    pytest.param({"/a/x": {}}, {"/a": {"max_items": 1}}, False, id="below-a-constrained"),
    pytest.param({"/a": {}}, {"/a/x": {}}, False, id="above"),
    pytest.param({"/ab": {}}, {"/a": {}}, False, id="not-below-a"),
]


@pytest.mark.parametrize(("inner", "outer", "narrower"), WITHIN)
def test_narrower_is_proved_or_not_given(inner: Any, outer: Any, narrower: bool) -> None:
    assert parse_rule(inner, "g").within(parse_rule(outer, "g")) is narrower


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (1, "g: give a map"),
        ({"/a": {}} | {f"/{i}": {} for i in range(300)}, "at most 256"),
        ({"a": {}}, "'a' is no JSON pointer"),
        ({"/a": 1}, "g./a: give a map"),
        ({"/a": {"regex": "x"}}, "g./a.regex is unknown"),
        ({"/a": {"max": "1"}}, "g./a.max is '1'"),
        ({"/a": {"max": True}}, "g./a.max is True"),
        ({"/a": {"min": 2**53}}, "g./a.min"),
        ({"/a": {"min": None}}, "g./a.min is None"),
        ({"/a": {"max_length": 1.5}}, "whole number"),
        ({"/a": {"max_items": -1}}, "whole number"),
        ({"/a": {"in": "x"}}, "g./a.in"),
        ({"/a": {"in": [2**60]}}, "beyond 2"),
        ({"/a": {"prefix": 1}}, "g./a.prefix is 1"),
        ({"/a": {"glob": "a*b"}}, "g./a.glob is 'a*b'"),
        ({"/a": {"glob": [1]}}, "give a string"),
        ({"/a": {"required": 1}}, "true or false"),
        ({"/a": {"required": True, "forbidden": True}}, "exclude one another"),
    ],
)
def test_a_rule_that_cannot_be_used_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_rule(document, "g")
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", (True, {"a": [{"b/c": 1}], "~": 2})),
        ("/a/0/b~1c", (True, 1)),
        ("/~0", (True, 2)),
        ("/a/1", (False, None)),
        ("/a/00", (False, None)),
        ("/a/-", (False, None)),
        ("/a/0/x", (False, None)),
        ("/~0/x", (False, None)),
    ],
)
def test_a_pointer_is_resolved(pointer: str, expected: tuple[bool, Any]) -> None:
    assert resolve({"a": [{"b/c": 1}], "~": 2}, pointer) == expected


@pytest.mark.parametrize(
    ("text", "is_one"), [("/a", True), ("/~2", False), ("a", False), ("", False)]
)
def test_a_pointer_is_spelled_as_rfc_6901_says(text: str, is_one: bool) -> None:
    assert is_pointer(text) is is_one


class Counted(dict[str, Any]):
    """An object that says how often somebody went through it."""

    looks = 0

    def items(self) -> Any:
        self.looks += 1
        return super().items()


def test_what_is_named_is_not_gone_through() -> None:
    named = Counted({str(number): number for number in range(10)})
    other = Counted({"x": named})
    assert parse_rule({"/a/b": {}}, "g").first_gap({"a": {"b": named}}) is None
    assert parse_rule({"/a/b": {}}, "g").first_gap({"a": other}) is not None
    assert named.looks == 1  # to say which leaf is the first that nobody named


@pytest.mark.parametrize("value", ["x" * 2000, ["x"] * 2000, {str(n): 0 for n in range(2000)}])
def test_what_is_longer_than_any_value_of_a_set_is_not_in_it(value: Any) -> None:
    assert rule(a={"in": ["a", [1], {"b": 1}]}).first_gap({"a": value}) is not None
    assert rule(a={"in": ["a", value]}).first_gap({"a": value}) is None
