"""A holder is gone once its Lease has not moved for a while of our own time, whatever it says."""

from outrider.core.jsonvalue import JsonObject
from outrider.injector.election import Election, Standing

LEASE_S = 30


def an_election(identity: str = "one") -> Election:
    return Election(identity=identity, lease_s=LEASE_S)


def held_by(holder: str, renewed: str = "2026-01-01T00:00:00.000000Z", **more: int) -> JsonObject:
    return {"holderIdentity": holder, "renewTime": renewed, **more}


def test_an_empty_lease_is_free() -> None:
    assert an_election().look({}, 0.0) is Standing.FREE


def test_a_lease_of_ours_is_renewed_even_after_a_restart() -> None:
    assert an_election().look(held_by("one"), 0.0) is Standing.LEADS


def test_another_holder_is_followed_while_its_lease_moves() -> None:
    election = an_election()
    for second in range(0, 300, 10):
        spec = held_by("two", f"renewed {second}")
        assert election.look(spec, float(second)) is Standing.FOLLOWS


def test_a_lease_that_does_not_move_is_free_after_its_time() -> None:
    election = an_election()
    assert election.look(held_by("two"), 100.0) is Standing.FOLLOWS
    assert election.look(held_by("two"), 129.9) is Standing.FOLLOWS
    assert election.look(held_by("two"), 130.0) is Standing.FREE


def test_a_holder_whose_clock_is_a_year_off_holds_as_any_other() -> None:
    for renewed in ("2020-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z", "nonsense", ""):
        election = an_election()
        assert election.look(held_by("two", renewed), 0.0) is Standing.FOLLOWS
        assert election.look(held_by("two", renewed), 30.0) is Standing.FREE


def test_a_holder_cannot_ask_for_a_longer_silence() -> None:
    election = an_election()
    spec = held_by("two", leaseDurationSeconds=1 << 31)
    assert election.look(spec, 0.0) is Standing.FOLLOWS
    assert election.look(spec, 30.0) is Standing.FREE


def test_a_claim_counts_its_transitions_and_keeps_its_beginning() -> None:
    election = an_election()
    standing = election.look(held_by("two", leaseTransitions=4), 0.0)
    standing = election.look(held_by("two", leaseTransitions=4), 30.0)
    taken = election.claim(standing, 1000.0)
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("one", 5)
    renewed = election.claim(election.look(taken, 31.0), 1010.0)
    assert renewed["leaseTransitions"] == 5
    assert renewed["acquireTime"] == taken["acquireTime"]
    assert renewed["renewTime"] != taken["renewTime"]


def test_a_released_lease_is_free_at_once() -> None:
    assert an_election("two").look(an_election().release(1000.0), 0.0) is Standing.FREE


def test_what_is_no_lease_is_an_empty_one() -> None:
    spec: JsonObject = {"holderIdentity": 5, "renewTime": [], "leaseTransitions": "many"}
    assert an_election().look(spec, 0.0) is Standing.FREE
