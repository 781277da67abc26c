"""How the agent reads what comes back."""

import orjson
import pytest

from tests.scorecard.agent import DECISION, PAUSES, BrokenAnswerError, PausedError, fate_of, request
from tests.scorecard.data import Call
from tests.scorecard.replay import Fate, Stepped
from tests.scorecard.runner import with_added


def refused(reason, *codes, **more):
    decision = {"id": "d", "reason": reason, "reasons": list(codes), **more}
    return {"result": {"isError": True, "content": [], "_meta": {DECISION: decision}}}


@pytest.mark.parametrize(
    ("said", "fate", "codes"),
    [
        pytest.param({"result": {"isError": False}}, Fate.DONE, (), id="done"),
        pytest.param({"result": {"isError": True}}, Fate.FAILED, (), id="the-tool-says-no"),
        pytest.param(refused("held", "PV-01", "held"), Fate.HELD, ("PV-01",), id="held"),
        pytest.param(refused("obligation", "PV-01"), Fate.HELD, ("PV-01",), id="none-to-ask"),
        pytest.param(refused("policy", "PV-04"), Fate.DENIED, ("PV-04",), id="denied"),
        pytest.param(refused("grant", "grant"), Fate.DENIED, ("grant",), id="not-granted"),
        pytest.param(refused("budget"), Fate.DENIED, ("budget",), id="no-codes"),
    ],
)
def test_a_hold_is_neither_done_nor_denied(said, fate, codes):
    assert fate_of(said)[:2] == (fate, codes)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"error": {"code": -32603}}, id="a-protocol-error"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_broken_exchange_is_no_fate_of_a_call(said):
    with pytest.raises(BrokenAnswerError):
        fate_of(said)


@pytest.mark.parametrize("reason", sorted(PAUSES))
def test_a_busy_machine_is_no_fate_of_a_call(reason):
    with pytest.raises(PausedError):
        fate_of(refused(reason))


def test_the_decision_that_refused_a_call_is_named():
    assert fate_of(refused("held", "PV-01"))[2] == "d"
    assert fate_of({"result": {}})[2] is None


def test_a_call_names_its_task():
    body, headers = request(Call(tool="t", arguments={"a": 1}), "tsk_1")
    assert headers["Outrider-Task"] == "tsk_1"
    assert orjson.loads(body)["params"]["arguments"] == {"a": 1}
    assert "Outrider-Task" not in request(Call(tool="t", arguments={}), None)[1]


def a_step(tool, fate):
    return Stepped(tool=tool, injected=False, fate=fate, took_s=0.010)


def test_what_a_call_took_beyond_the_tools_own_work_is_told_of_those_that_passed():
    steps = [a_step("a", Fate.DONE), a_step("b", Fate.HELD), a_step("c", Fate.FAILED)]
    added = [step.added_s for step in with_added(steps, ["a", "c"], [0.004, 0.001])]
    assert added == [pytest.approx(0.006), None, pytest.approx(0.009)]


@pytest.mark.parametrize("reached", [["a"], ["a", "b", "c"], ["b"], []])
def test_a_refused_call_that_reached_its_tool_breaks_the_run(reached):
    steps = [a_step("a", Fate.DONE), a_step("b", Fate.HELD), a_step("c", Fate.DONE)]
    with pytest.raises(ValueError, match="were called"):
        with_added(steps, reached, [0.0] * len(reached))
