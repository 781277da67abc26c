"""Who is to be told, said once for each, whatever the decisions are."""

from outrider.core.obligation import LimitObligation, NotifyObligation
from outrider.core.vocabulary import Effect, Reason
from outrider.pipeline.notices import notices_of
from tests.support.builders import a_decision

SECURITY = NotifyObligation(channel="security", severity="high")
OWNERS = NotifyObligation(channel="owners", severity="low")


def test_notices_of_several_decisions_are_told_once_each_in_order() -> None:
    decisions = (
        a_decision(obligations=(SECURITY, LimitObligation(response_bytes=10))),
        a_decision(Effect.DENY, reason=Reason.POLICY, obligations=(OWNERS, SECURITY)),
    )
    assert notices_of(decisions) == (SECURITY, OWNERS)


def test_where_nobody_is_to_be_told_there_is_nothing() -> None:
    assert notices_of((a_decision(),)) == ()
