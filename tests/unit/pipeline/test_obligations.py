"""Obligations that can be done are planned; any other denies."""

import pytest

from outrider.core.errors import ObligationError
from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    HeaderObligation,
    LabelObligation,
    LimitObligation,
    NarrowObligation,
    NotifyObligation,
    Obligation,
    QuarantineObligation,
    RedactObligation,
)
from outrider.core.vocabulary import Effect, Sensitivity
from outrider.pipeline.obligations import EMPTY, plan
from tests.support.builders import a_decision


def test_an_allow_without_obligations_plans_nothing() -> None:
    assert plan((a_decision(), a_decision())) is EMPTY


def test_limits_of_all_decisions_come_to_the_tightest() -> None:
    made = plan(
        (
            a_decision(obligations=(LimitObligation(response_bytes=100, records=5),)),
            a_decision(obligations=(LimitObligation(response_bytes=50),)),
        )
    )
    assert (made.edits.response_bytes, made.edits.records) == (50, 5)


def test_redactions_headers_and_notices_are_united() -> None:
    made = plan(
        (
            a_decision(
                obligations=(
                    RedactObligation(pointer="/result/ssn"),
                    RedactObligation(pointer="/result/ssn"),
                    HeaderObligation(set=(("X-Tenant", "acme"),)),
                    NotifyObligation(channel="security", severity="high"),
                    CredentialObligation(provider="vault"),
                )
            ),
        )
    )
    assert made.edits.headers == (("x-tenant", "acme"),)
    assert made.credential == CredentialObligation(provider="vault")
    assert [notice.channel for notice in made.notify] == ["security"]


@pytest.mark.parametrize(
    "obligations",
    [
        pytest.param((ApprovalObligation(group="leads"),), id="approval"),
        pytest.param((LabelObligation(labels=("holy",)),), id="unknown-label"),
        pytest.param(
            (CredentialObligation(provider="a"), CredentialObligation(provider="b")),
            id="two-credentials",
        ),
        pytest.param(
            (RedactObligation(pointer="/a"), RedactObligation(pointer="/a", replacement=0)),
            id="two-redactions",
        ),
        pytest.param(
            (HeaderObligation(set=(("a", "1"),)), HeaderObligation(set=(("A", "2"),))),
            id="two-values",
        ),
        pytest.param((HeaderObligation(set=(("a b", "1"),)),), id="no-header-name"),
        pytest.param((HeaderObligation(set=(("a", "1\n2"),)),), id="line-break"),
        pytest.param((HeaderObligation(set=(("a", "é"),)),), id="not-ascii"),
        pytest.param((HeaderObligation(set=(("host", "a"),)),), id="framing"),
    ],
)
def test_what_cannot_be_done_denies(obligations: tuple[Obligation, ...]) -> None:
    with pytest.raises(ObligationError):
        plan((a_decision(obligations=obligations),))


def test_a_hold_is_never_planned_as_an_allow() -> None:
    with pytest.raises(ObligationError):
        plan((a_decision(Effect.HOLD),))


def test_labels_are_united_and_the_gravest_sensitivity_stays() -> None:
    obligations = (
        LabelObligation(sensitivity=Sensitivity.INTERNAL, labels=("untrusted",)),
        LabelObligation(sensitivity=Sensitivity.SECRET),
        LabelObligation(labels=("pii", "untrusted")),
    )
    planned = plan((a_decision(obligations=obligations),))
    assert planned.label == LabelObligation(
        sensitivity=Sensitivity.SECRET, labels=("untrusted", "pii")
    )


@pytest.mark.parametrize(
    "obligation",
    [
        pytest.param(NarrowObligation(grant={}), id="narrow"),
        pytest.param(QuarantineObligation(scope="task", reason="x"), id="quarantine"),
    ],
)
def test_what_is_done_to_the_task_is_no_part_of_the_plan(obligation: Obligation) -> None:
    planned = plan((a_decision(obligations=(obligation,)),))
    assert planned == EMPTY
