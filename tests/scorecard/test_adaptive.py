"""The adaptive probes, as scripts."""

from tests.scorecard.adaptive import PROBES
from tests.scorecard.data import Call, Suite, Task

KINDS = {
    "control",
    "trusted-value reuse",
    "encodings",
    "splits",
    "delay",
    "own-record poisoning",
    "collision",
    "approval spoofing",
}


def a_suite(probe):
    calls = (Call(tool="first", arguments={}), Call(tool="second", arguments={}))
    task = Task(id=probe.task, prompt="p", calls=calls, useful=True, exposed_at=0, vectors=("v",))
    return Suite(name=probe.suite, tools=(), tasks=(task,), goals=())


def test_each_kind_of_attacker_is_there():
    assert {probe.kind for probe in PROBES} == KINDS


def test_names_are_told_apart():
    assert len({probe.name for probe in PROBES}) == len(PROBES)


def test_a_probe_begins_where_the_agent_reads_its_text():
    for probe in PROBES:
        steps = probe.steps(a_suite(probe))
        assert [step.call.tool for step in steps if not step.injected] == ["first"], probe.name
        assert [step.call for step in steps if step.injected] == list(probe.calls)


def test_what_is_promised_is_one_of_two_words():
    assert {probe.expected for probe in PROBES} == {"stopped", "passes"}
