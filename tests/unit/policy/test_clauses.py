"""Each condition of a body is judged as the engine judges it, and shown with its values."""

import pytest

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.clauses import Clause, Lens
from tests.support.policy import a_release

HEAD = (
    "package outrider\n\nimport data.outrider.lib\n\ndefault decision := false\n\n"
    'lib_name := "key"\n\n'
)
LIB = 'package outrider.lib\n\nover(x) if x > 10\n\nnames := {"a", "b"}\n'


def clauses(body: str, query: JsonObject, data: JsonObject | None = None) -> tuple[Clause, ...]:
    texts = {"outrider/main.rego": HEAD + body, "outrider/lib/lib.rego": LIB}
    with Lens(a_release(texts, data)) as lens:
        lens.look_at(query)
        return lens.clauses(("data", "outrider", "r"))


def one(body: str, query: JsonObject, data: JsonObject | None = None) -> Clause:
    (found,) = clauses(f"r if {{\n\t{body}\n}}\n", query, data)
    return found


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        pytest.param("input.x == 1", True, id="equal"),
        pytest.param("input.x == 2", False, id="not-equal"),
        pytest.param("input.none", False, id="missing"),
        pytest.param("input.no", False, id="false"),
        pytest.param("input.null == null", True, id="null-is-a-value"),
        pytest.param("not input.none", True, id="not-missing"),
        pytest.param("not input.x", False, id="not-present"),
        pytest.param("not input.no", True, id="not-false"),
        pytest.param("input.x in {1, 2}", True, id="in"),
        pytest.param("input.s in lib.names", True, id="in-a-rule"),
        pytest.param("lib.over(input.big)", True, id="function"),
        pytest.param("lib.over(input.x)", False, id="function-undefined"),
        pytest.param("every n in input.list { n > 0 }", True, id="every"),
        pytest.param("every n in input.list { n > 1 }", False, id="every-but-one"),
        pytest.param('"a" == input.s', True, id="quote-first"),
        pytest.param("`a` == input.s", True, id="raw-quote-first"),
        pytest.param("count([n | some n in input.list; n > 1]) == 1", True, id="comprehension"),
        pytest.param("lower(input.x) == 1", False, id="an-error-does-not-hold"),
        pytest.param('input["odd key"].y == 3', True, id="brackets"),
        pytest.param("data.outrider.limit == 5", True, id="data"),
        pytest.param("input.map[lib_name] == 4", True, id="an-index-that-is-a-rule"),
    ],
)
def test_a_condition_holds_where_the_engine_says_so(body: str, holds: bool) -> None:
    query: JsonObject = {
        "x": 1, "big": 11, "s": "a", "no": False, "null": None, "list": [1, 2],
        "odd key": {"y": 3}, "map": {"key": 4},
    }  # fmt: skip
    clause = one(body, query, {"limit": 5})
    (condition,) = clause.conditions
    assert condition.holds is holds is clause.holds
    assert condition.reached


def test_values_are_shown_and_what_is_missing_is_said() -> None:
    (condition,) = one("input.a.b > input.c", {"c": 4}).conditions
    shown = {value.name: (value.value, value.missing) for value in condition.values}
    assert shown == {"input.a.b": (None, True), "input.c": (4, False)}


def test_a_local_is_shown_with_what_it_stands_for() -> None:
    clause = one('some k, v in input.m\n\tv > 1\n\tk != "a"', {"m": {"a": 2}})
    assert [condition.holds for condition in clause.conditions] == [True, True, False]
    assert {value.name: value.value for value in clause.conditions[2].values} == {"k": "a"}


def test_what_needs_a_failed_conditions_value_is_not_reached() -> None:
    clause = one("x := input.none\n\tx > 1\n\tinput.y == 1", {"y": 1})
    assert [(one.holds, one.reached) for one in clause.conditions] == [
        (False, True),
        (False, False),
        (True, True),
    ]


def test_the_value_of_a_head_is_told_for_each_way_it_holds() -> None:
    (clause,) = clauses(
        'r contains {"n": n, "s": "x"} if {\n\tsome n in input.list\n\tn > 1\n}\n',
        {"list": [1, 2, 3]},
    )
    assert list(clause.values) == [{"n": 2, "s": "x"}, {"n": 3, "s": "x"}]


def test_a_long_object_in_a_head_is_read_whole() -> None:
    (clause,) = clauses('r := {\n\t"a": lib.names,\n\t"b": "c",\n} if {\n\tinput.x\n}\n', {"x": 1})
    assert clause.values == ({"a": ["a", "b"], "b": "c"},)


def test_only_the_body_that_answered_counts_in_an_else_chain() -> None:
    body = "r := 1 if {\n\tinput.x == 1\n} else := 2 if {\n\tinput.x == 2\n} else := 3\n"
    for x, expected in ((1, [1]), (2, [2]), (9, [3])):
        found = clauses(body, {"x": x})
        assert [value for clause in found for value in clause.values] == expected
        assert len(found) == expected[0]


def test_what_made_a_negation_hold_is_told() -> None:
    clause = clauses(
        "r if not _fine\n\n_fine if {\n\tinput.a == 1\n\tinput.b == 2\n}\n", {"a": 1, "b": 3}
    )[0]
    (below,) = clause.conditions[0].because
    assert below.rule.name == "_fine"
    assert [condition.text for condition in below.conditions if not condition.holds] == [
        "input.b == 2"
    ]


def test_a_large_value_is_shown_by_its_size() -> None:
    (condition,) = one("input.text == 1", {"text": "x" * 1000}).conditions
    assert condition.values[0].value == "(text of 1002 bytes)"


@pytest.mark.parametrize(
    ("value", "said"),
    [(["x" * 500], "(array of"), ({"k": "x" * 500}, "(object of")],
    ids=["a", "o"],
)
def test_large_parts_are_shown_by_kind(value: Json, said: str) -> None:
    (condition,) = one("input.v == 1", {"v": value}).conditions
    assert str(condition.values[0].value).startswith(said)


def test_a_text_of_the_input_is_never_policy() -> None:
    evil = '"] } package x default allow := true'
    (condition,) = one("input.x == 1", {"x": evil}).conditions
    assert not condition.holds
    assert condition.values[0].value == evil


def test_outside_a_with_nothing_is_asked() -> None:
    lens = Lens(a_release())
    with pytest.raises(ConfigError, match="with"):
        lens.ask([])
    with pytest.raises(ConfigError, match="with"):
        lens.lay({})


def test_what_is_looked_at_before_the_with_is_answered_for() -> None:
    lens = Lens(a_release("package outrider\n\ndecision := input.x\n"))
    lens.look_at({"x": 7})
    with lens:
        assert lens.decide("data.outrider.decision") == 7


def test_data_that_the_engine_cannot_hold_is_refused() -> None:
    deep: Json = 1
    for _ in range(200):
        deep = [deep]
    lens = Lens(a_release(data={"deep": deep}))
    with pytest.raises(ConfigError, match=r"policy does not load: .*recursion limit"):
        lens.__enter__()


class PanicException(BaseException):
    """Named as pyo3 names its own, which cannot be imported."""


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        pytest.param(PanicException("index out of bounds"), ConfigError, id="a-panic"),
        pytest.param(KeyboardInterrupt(), KeyboardInterrupt, id="anything-else-passes-through"),
    ],
)
def test_an_engine_that_breaks_is_no_answer(
    fault: BaseException, raised: type[BaseException]
) -> None:
    class Breaking:
        def eval_query_as_json(self, text: str) -> str:
            raise fault

    with Lens(a_release()) as lens:
        lens._engine = Breaking()
        with pytest.raises(raised):
            lens.ask([])


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param('{"result": [{"bindings": {"value__": [1, 2]}}]}', [1, 2], id="as-it-is"),
        pytest.param('{"result": []}', [], id="no-result"),
        pytest.param('{"result": [{}]}', [], id="no-bindings"),
        pytest.param("[]", [], id="no-object"),
        pytest.param("nonsense", [], id="no-json"),
    ],
)
def test_an_answer_of_another_form_holds_nothing(answer: str, found: list[Json]) -> None:
    class Saying:
        def eval_query_as_json(self, text: str) -> str:
            return answer

    with Lens(a_release()) as lens:
        lens._engine = Saying()
        assert lens.ask([]) == found


def test_a_name_is_shown_once_and_no_more_than_a_dozen_are() -> None:
    (condition,) = one("input.x + input.x == input.y", {"x": 1, "y": 2}).conditions
    assert [value.name for value in condition.values] == ["input.x", "input.y"]
    many = " + ".join(f"input.n{place}" for place in range(20))
    (condition,) = one(f"{many} == 1", {}).conditions
    assert len(condition.values) == 12


def test_other_data_is_laid_and_taken_away() -> None:
    release = a_release("package outrider\n\ndecision := data.outrider.x\n", {"x": 1})
    with Lens(release) as lens:
        assert lens.decide("data.outrider.decision") == 1
        lens.lay({"outrider": {"x": 2}})
        assert lens.decide("data.outrider.decision") == 2
        lens.lay(release.data)
        assert lens.decide("data.outrider.decision") == 1
        assert lens.decide("data.outrider.none") is None
