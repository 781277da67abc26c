"""What a condition reads is followed through rules and functions, each once."""

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.clauses import Lens
from outrider.policy.readings import Reading, Readings
from tests.support.policy import a_release

POLICY = """package outrider

import data.outrider.lib

decision if {
	input.a.b == "first"
	lib.near(input.c)
	_helper
	data.outrider.limits[input.kind] > 7
}

_helper if {
	x := input.status
	x in {"on", "off"}
	_helper_again
}

_helper_again if not input.list[_] == 3

unused if input.never == "never"
"""
LIB = """package outrider.lib

near(value) if value < data.outrider.bound

loop if loop_too

loop_too if input.deep == "end"
"""
DATA: JsonObject = {"bound": 9, "limits": {"x": 1}}


def readings() -> tuple[list[Reading], Readings]:
    texts = {"outrider/main.rego": POLICY, "outrider/lib/lib.rego": LIB}
    with Lens(a_release(texts, DATA)) as lens:
        lens.look_at({})
        found = Readings(lens)
        return found.of(lens.clauses(("data", "outrider", "decision"), depth=0)), found


def test_the_last_condition_comes_first() -> None:
    found, _ = readings()
    assert [list(one.inputs)[:1] for one in found] == [
        [("kind",)],
        [("status",)],
        [("c",)],
        [("a", "b")],
    ]


def test_names_are_followed_into_rules_and_functions() -> None:
    found, _ = readings()
    limits, helper, near, first = found
    assert set(helper.inputs) == {("status",), ("list",)}
    assert {"on", "off", 3} <= set(helper.constants)
    assert ("outrider", "bound") in near.datas
    assert near.data_values == [9]
    assert first.constants == ["first"]
    assert ("outrider", "limits") in limits.datas
    assert limits.constants == [7]


def test_what_is_not_reached_is_not_read() -> None:
    found, _ = readings()
    assert not any(("never",) in one.inputs for one in found)


def test_constants_are_known_by_the_place_beside_them_or_its_local_name() -> None:
    _, known = readings()
    assert known.constants_at("/a/b") == ["first"]
    assert known.constants_at("/status") == ["on", "off"]
    assert known.constants_at("/never") == ["never"]
    assert known.constants_at("/nowhere") == []


def data_values(value: Json) -> list[Json]:
    policy = "package outrider\n\ndecision if input.x == data.outrider.given\n"
    with Lens(a_release(policy, {"given": value})) as lens:
        (reading,) = Readings(lens).of(lens.clauses(("data", "outrider", "decision")))
        return reading.data_values


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param("text", ["text"], id="a-text"),
        pytest.param(["a", 1, [2]], ["a", 1], id="plain-items-of-a-list"),
        pytest.param({"a": 1, "b": 2}, ["a", "b"], id="names-of-an-object"),
        pytest.param(list(range(32)), list(range(32)), id="as-many-as-are-tried"),
        pytest.param(list(range(33)), [], id="too-many-to-try"),
        pytest.param(None, [], id="null"),
        pytest.param("x" * 257, [], id="a-long-text"),
    ],
)
def test_policys_data_is_read_as_values_to_try(value: Json, read: list[Json]) -> None:
    assert data_values(value) == read


def test_a_long_constant_is_no_value_to_try() -> None:
    policy = f'package outrider\n\ndecision if input.x in {{"{"x" * 257}", "y"}}\n'
    with Lens(a_release(policy)) as lens:
        assert Readings(lens).constants_at("/x") == ["y"]
