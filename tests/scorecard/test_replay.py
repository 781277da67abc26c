"""What the scripted agent does, in which order."""

from tests.scorecard.data import Call, Goal, Task
from tests.scorecard.replay import script, with_schemes


def a_call(tool, **arguments):
    return Call(tool=tool, arguments=arguments)


def a_task(*tools, exposed_at=0):
    return Task(
        id="t",
        prompt="p",
        calls=tuple(map(a_call, tools)),
        useful=True,
        exposed_at=exposed_at,
        vectors=("v",),
    )


GOAL = Goal(id="g", text="t", calls=(a_call("x"), a_call("y")))


def tools_of(steps):
    return [(step.call.tool, step.injected) for step in steps]


def test_alone_a_task_is_its_own_calls():
    assert tools_of(script(a_task("a", "b"), None)) == [("a", False), ("b", False)]


def test_the_attackers_calls_come_all_at_once_behind_the_first_result_that_asks_for_them():
    assert tools_of(script(a_task("a", "b", "c", exposed_at=1), GOAL)) == [
        ("a", False),
        ("b", False),
        ("x", True),
        ("y", True),
        ("c", False),
    ]


def test_a_task_that_shows_no_vector_is_not_attacked():
    assert tools_of(script(a_task("a", exposed_at=None), GOAL)) == [("a", False)]


def test_a_url_without_a_scheme_gets_one_and_nothing_else_changes():
    assert with_schemes({"url": "www.a.example/x", "body": "www.b.example"}) == {
        "url": "https://www.a.example/x",
        "body": "www.b.example",
    }
    assert with_schemes({"url": "http://a.example"}) == {"url": "http://a.example"}
