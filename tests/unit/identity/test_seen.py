from outrider.core.vocabulary import Credential, Direction
from outrider.identity.seen import SeenAgents
from tests.support.builders import FixedClock, a_subject, an_exchange


class FixedIdentifier:
    """Proves everybody to be the same."""

    async def authenticate(self, exchange: object) -> object:
        return a_subject(id="spiffe://a.test/one")


async def test_whoever_is_proven_is_noted_with_when_and_how() -> None:
    clock = FixedClock()
    seen = SeenAgents(clock)
    noting = seen.noting(FixedIdentifier())  # type: ignore[arg-type]
    first_s = clock.unix_s()
    assert (await noting.authenticate(an_exchange())).id == "spiffe://a.test/one"
    clock.pass_s(60)
    seen.note(
        a_subject(id="spiffe://a.test/one", credential=Credential.JWT_SVID), Direction.INGRESS
    )
    (sighting,) = seen.sightings.values()
    assert (sighting.first_unix_s, sighting.last_unix_s) == (first_s, first_s + 60)
    assert (sighting.credential, sighting.direction) == (Credential.JWT_SVID, Direction.INGRESS)
    assert sighting.exchanges == 2


def test_who_was_quiet_longest_is_forgotten_first() -> None:
    seen = SeenAgents(FixedClock(), limit=2)
    for name in ("a", "b", "a", "c"):
        seen.note(a_subject(id=name), Direction.EGRESS)
    assert list(seen.sightings) == ["a", "c"]
    assert seen.forgotten == 1
