"""What differs between two releases is told whole, and nothing that is only written otherwise."""

from outrider.policy.comparison import differences
from tests.support.policy import ALLOW_ALL, DENY_ALL, a_release

MORE = {"outrider/main.rego": ALLOW_ALL, "outrider/rules/a/a.rego": "package outrider.rules.a\n"}


def told(before, after):
    return [
        (one.part.value, one.name, one.change.value, one.before, one.after)
        for one in differences(before, after)
    ]


def test_a_release_does_not_differ_from_itself():
    assert told(a_release(data={"a": {"b": [1]}}), a_release(data={"a": {"b": [1]}})) == []


def test_tells_what_the_manifest_says_otherwise():
    before = a_release(declared={"metadata": {"sequence": 1, "library": "0.1"}})
    after = a_release(revision="rev-2", declared={"metadata": {"sequence": 2}})
    assert told(before, after) == [
        ("manifest", "/metadata/library", "removed", "0.1", None),
        ("manifest", "/metadata/sequence", "changed", 1, 2),
        ("manifest", "/revision", "changed", "rev-1", "rev-2"),
    ]


def test_tells_modules_by_the_lines_that_went_and_came():
    assert told(a_release(ALLOW_ALL), a_release(DENY_ALL)) == [
        ("rule", "outrider/main.rego", "changed", 1, 1)
    ]
    assert told(a_release(ALLOW_ALL), a_release(MORE)) == [
        ("rule", "outrider/rules/a/a.rego", "added", None, 1)
    ]
    assert told(a_release(MORE), a_release(ALLOW_ALL)) == [
        ("rule", "outrider/rules/a/a.rego", "removed", 1, None)
    ]


def test_tells_data_by_key_and_keeps_apart_what_json_does():
    before = a_release(data={"rules": {"A/1": {"mode": "enforce", "n": 1}}, "x": {"y": [1, True]}})
    after = a_release(data={"rules": {"A/1": {"mode": "off", "n": True}}, "x": {"y": [1, 1]}})
    assert told(before, after) == [
        ("data", "/outrider/rules/A~11/mode", "changed", "enforce", "off"),
        ("data", "/outrider/rules/A~11/n", "changed", 1, True),
        ("data", "/outrider/x/y", "changed", [1, True], [1, 1]),
    ]
    assert (
        told(a_release(data={"n": 1, "o": [{"p": 1}]}), a_release(data={"n": 1.0, "o": [{"p": 1}]}))
        == []
    )


def test_tells_sample_inputs():
    assert told(a_release(), a_release(fixtures={"fixtures/a.yaml": {"version": "1"}})) == [
        ("fixture", "/fixtures~1a.yaml", "added", None, {"version": "1"})
    ]


def test_a_module_of_many_lines_is_not_compared_line_by_line():
    lines = "\n".join(f"x{n} := 1" for n in range(6000))
    long = f"package outrider\n{lines}\n"
    found = told(a_release(long), a_release(long + "y := 1\n"))
    assert found == [("rule", "outrider/main.rego", "changed", 6001, 6002)]
