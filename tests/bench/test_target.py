import pytest

from tests.bench import target as target_module
from tests.bench.calls import Reply, allowed_call, hot_answer
from tests.bench.figures import Case, Leg
from tests.bench.machine import BenchError
from tests.bench.target import Target

REFUSED = Reply(status=200, body=b'{"jsonrpc":"2.0","id":7,"result":{"isError":true}}')


def a_target(**changes):
    return Target(**{"leg": Leg.OPA, "port": 1, "checked": "all", "governed": True, **changes})


def replies(monkeypatch, *, allowed: Reply, others: Reply, case: Case) -> None:
    wanted = allowed_call(case)
    monkeypatch.setattr(
        target_module,
        "send",
        lambda call, *, port, extra: allowed if call == wanted else others,
    )


def upstreams(case: Case) -> Reply:
    return Reply(status=200, body=hot_answer(case))


@pytest.mark.parametrize("case", list(Case))
def test_a_leg_that_judges_is_accepted(monkeypatch, case):
    replies(monkeypatch, allowed=upstreams(case), others=REFUSED, case=case)
    a_target().check(case)


@pytest.mark.parametrize("case", list(Case))
def test_a_governed_leg_that_lets_everything_through_is_refused(monkeypatch, case):
    replies(monkeypatch, allowed=upstreams(case), others=upstreams(case), case=case)
    with pytest.raises(BenchError, match="must be refused"):
        a_target().check(case)


@pytest.mark.parametrize("case", list(Case))
def test_a_refusal_with_status_200_is_no_success(monkeypatch, case):
    replies(monkeypatch, allowed=REFUSED, others=REFUSED, case=case)
    with pytest.raises(BenchError, match="does not pass"):
        a_target().check(case)


def test_the_direct_leg_is_not_asked_to_refuse(monkeypatch):
    case = Case.MCP_READ
    replies(monkeypatch, allowed=upstreams(case), others=upstreams(case), case=case)
    a_target(governed=False).check(case)


@pytest.mark.parametrize("case", list(Case))
def test_every_body_is_about_a_kilobyte(case):
    assert 950 <= len(allowed_call(case).body) <= 1200
