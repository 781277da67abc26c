"""A claim holds where all that was looked at is as it must be; the whole play is an e2e test."""

import io

import pytest
from rich.console import Console

from outrider.cli.demo.spire.evidence import Decided
from outrider.cli.demo.spire.play import Play, _is, _named
from outrider.cli.demo.teller import Teller

PLANNER = "spiffe://a.test/planner"


def decided(effect: str = "allow", *codes: str, reason: str | None = None) -> Decided:
    return Decided(
        effect=effect, reason=reason, codes=codes, subject=PLANNER, credential="x509-svid"
    )


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def play(said: io.StringIO) -> Play:
    made = Play.__new__(Play)
    made.claims = []
    made.teller = Teller(Console(file=said, width=80, no_color=True))
    return made


def test_a_claim_holds_where_every_check_does(play: Play, said: io.StringIO) -> None:
    play._claim("it is answered", "200", (True, "it was answered 403"), (True, "it ran nothing"))
    assert [one.fault for one in play.claims] == [""]
    assert "✓ it is answered\n    200\n" in said.getvalue()


def test_one_that_does_not_hold_names_every_difference(play: Play, said: io.StringIO) -> None:
    play._claim("it is answered", "403", (False, "it was answered 403"), (False, "it ran nothing"))
    assert [one.fault for one in play.claims] == ["it was answered 403; it ran nothing"]
    assert "✗ it is answered\n    it was answered 403; it ran nothing\n" in said.getvalue()


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        pytest.param([decided()], True, id="the-one"),
        pytest.param([], False, id="none"),
        pytest.param([decided(), decided()], False, id="twice"),
        pytest.param([decided("deny")], False, id="another-effect"),
        pytest.param([decided(reason="policy")], False, id="another-reason"),
    ],
)
def test_exactly_one_decision_is_wanted_and_that(found: list[Decided], holds: bool) -> None:
    assert _is(found, "allow", None, PLANNER, "x509-svid")[0] is holds


def test_decisions_are_named_in_a_few_words() -> None:
    assert _named([]) == "nothing"
    refused = decided("deny", "EF-00", "EF-00", reason="policy")
    assert _named([decided(), refused]) == f"allow for {PLANNER}, deny policy EF-00 for {PLANNER}"
