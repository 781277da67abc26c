"""What the chain says of refused calls."""

import orjson
import pytest

from tests.scorecard.chain import BrokenRunError, read, settled
from tests.scorecard.replay import Fate, Ran, Stepped


def a_reason(code, mode="enforce", **more):
    return {"code": code, "mode": mode, **more}


def a_record(id_, effect, reason, *reasons):
    decision = {"id": id_, "effect": effect, "reason": reason, "reasons": list(reasons)}
    return orjson.dumps({"kind": "decision", "decision": decision}) + b"\n"


def a_chain(folder, *lines):
    (folder / "00000001.jsonl").write_bytes(b"".join(lines))
    return read(folder)


def a_run(**changes):
    step = {"tool": "t", "injected": True, "fate": Fate.DENIED, "decision": "d"} | changes
    return Ran(suite="s", task="t", goal="g", steps=(Stepped(**step),))


def settled_by(folder, *lines, **changes):
    return settled(a_run(**changes), a_chain(folder, *lines)).steps[0]


def test_a_hold_that_nobody_can_answer_is_a_hold(tmp_path):
    line = a_record("d", "hold", "obligation", a_reason("PV-01", pointer="/to"))
    step = settled_by(tmp_path, line)
    assert (step.fate, step.codes, step.pointer) == (Fate.HELD, ("PV-01",), "/to")


def test_an_obligation_that_could_not_be_kept_is_a_denial(tmp_path):
    step = settled_by(tmp_path, a_record("d", "allow", "obligation"), fate=Fate.HELD)
    assert (step.fate, step.codes) == (Fate.DENIED, ("obligation",))


def test_what_the_agent_is_not_offered_was_refused_by_the_grant(tmp_path):
    step = settled_by(tmp_path, a_record("d", "deny", "grant"), codes=("unrecognised",))
    assert (step.fate, step.codes) == (Fate.DENIED, ("grant",))


def test_what_is_only_said_stopped_nothing(tmp_path):
    reasons = (a_reason("SQ-03", "shadow"), a_reason("PV-04"), a_reason("PV-04"))
    assert settled_by(tmp_path, a_record("d", "deny", "policy", *reasons)).codes == ("PV-04",)


def a_repeat(first, last, resource="s/t"):
    decision = {"id": first, "effect": "deny", "reason": "grant", "reasons": []}
    record = {"kind": "repeat", "decision": decision, "action": {"resource": resource}}
    return orjson.dumps(record | {"repeat": {"count": 2, "last_decision": last}}) + b"\n"


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        pytest.param(a_repeat("c", "e"), ("grant",), id="within"),
        pytest.param(a_repeat("d", "d"), ("grant",), id="the-only-one"),
        pytest.param(a_repeat("a", "c"), ("unrecognised",), id="before"),
        pytest.param(a_repeat("c", "e", "s/other"), ("unrecognised",), id="of-another-tool"),
    ],
)
def test_a_refusal_that_was_folded_is_the_one_it_was_folded_into(tmp_path, line, codes):
    assert settled_by(tmp_path, line, codes=("unrecognised",)).codes == codes


def test_a_call_that_passed_is_left_alone(tmp_path):
    line = a_record("d", "deny", "grant")
    assert settled_by(tmp_path, line, fate=Fate.DONE, decision=None).fate is Fate.DONE


@pytest.mark.parametrize("reason", ["policy_error", "internal", "no_task", "unrecognised", None])
def test_a_fault_of_the_sidecar_breaks_the_run(tmp_path, reason):
    with pytest.raises(BrokenRunError, match="was refused for"):
        settled_by(tmp_path, a_record("d", "deny", reason))


def test_half_a_line_and_other_files_are_passed_over(tmp_path):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "lock").write_bytes(b"{")
    line = a_record("d", "deny", "grant")
    other = orjson.dumps([1]) + b"\n" + orjson.dumps({"kind": "ended"}) + b"\n"
    assert set(a_chain(tmp_path, other, line, line[:20]).single) == {"d"}
