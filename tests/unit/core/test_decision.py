import pytest

from outrider.core.decision import Permit, grant_permit, strictest
from outrider.core.vocabulary import (
    Effect,
    Reason,
)
from tests.support.builders import (
    a_decision,
    a_permit,
    an_action,
    an_ask,
)


def test_a_decision_has_no_truth_value_and_its_reason_fits_its_effect() -> None:
    with pytest.raises(TypeError, match="three effects"):
        bool(a_decision())
    with pytest.raises(ValueError, match="an allow has no reason"):
        a_decision(Effect.ALLOW, Reason.POLICY)


@pytest.mark.parametrize(
    ("decisions", "actions"),
    [
        pytest.param((), (), id="nothing"),
        pytest.param((a_decision(),), (), id="no-action"),
        pytest.param((), (an_action(),), id="no-decision"),
        pytest.param((a_decision(), a_decision()), (an_action(),), id="one-too-many"),
        pytest.param((a_decision(Effect.HOLD),), (an_action(),), id="hold"),
        pytest.param(
            (a_decision(), a_decision(Effect.DENY)), (an_action(), an_action()), id="one-deny"
        ),
        pytest.param(
            (a_decision(), a_decision()),
            (an_action(), an_action(ask=an_ask(upstream="mail"))),
            id="two-upstreams",
        ),
    ],
)
def test_only_an_allow_for_every_action_mints_a_permit(decisions, actions) -> None:
    assert grant_permit(decisions, actions) is None


def test_a_permit_is_minted_in_one_place() -> None:
    assert a_permit().upstream == "crm"
    with pytest.raises(TypeError, match="only grant_permit"):
        Permit((a_decision(),), (an_action(),), "crm", object())


def test_the_strictest_decision_rules() -> None:
    allow, hold, deny = (a_decision(effect) for effect in Effect)
    assert strictest((allow, hold, deny, allow)) is deny
    assert strictest((allow, hold, a_decision(Effect.HOLD, id="later"))) is hold
    assert strictest((allow,)) is allow
