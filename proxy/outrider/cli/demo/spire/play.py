"""One performance over SPIRE: each claim is made, looked at where it would show, and counted.

Laws: what is claimed is read off the chain, the agents' journals and the sidecars' own pages, never
off what a caller was told alone; each claim that does not hold is a fault of its own.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from outrider.cli.demo.cast import fetch
from outrider.cli.demo.play import Outcome
from outrider.cli.demo.spire import cast as casting
from outrider.cli.demo.spire.cast import Cast
from outrider.cli.demo.spire.evidence import Decided, Evidence
from outrider.cli.demo.spire.forger import Answered, call
from outrider.cli.demo.spire.nodes import SYNC_S
from outrider.cli.demo.spire.programs import VERSION, Programs
from outrider.cli.demo.spire.stage import PARTNER, Party, Stage, set_up
from outrider.cli.demo.spire.users import why_no_other_user
from outrider.cli.demo.teller import Teller
from outrider.core.ports import Clock

GONE_S: Final = SYNC_S + 1.0
"""Within this of a deleted entry nothing passes: the agent's sync interval and a second more."""
BACK_S: Final = 20.0
_PERSON: Final = "/people/7"
_STATE: Final = "identity_workload_api_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something shown: what, what was seen, and what is wrong with it, if anything is."""

    what: str
    seen: str
    fault: str = ""


@dataclass(slots=True, kw_only=True)
class Play:
    stage: Stage
    cast: Cast
    clock: Clock
    teller: Teller
    claims: list[Claim] = field(default_factory=list)
    _evidence: dict[str, Evidence] = field(init=False)

    def __post_init__(self) -> None:
        self._evidence = {
            party.name: Evidence(
                chain=party.chain,
                journal=self.stage.journal(party),
                telemetry=party.ports.telemetry,
                clock=self.clock,
            )
            for party in self.stage.parties
        }

    def perform(self) -> Outcome:
        """All scenes in order. Raises `BrokenPartError` where a part fails."""
        planner, directory = self.stage.parties
        self.teller.scene("SPIRE says who each sidecar is")
        for party in self.stage.parties:
            self._is_known(party)
        self.teller.scene("Two agents call each other")
        self._calls(planner, directory)
        self._calls(directory, planner)
        self.teller.scene("Who is known may still not do everything")
        self._is_refused_by_policy(planner, directory)
        self.teller.scene(f"An authority of {PARTNER} forges a name of ours")
        self._partner_is_itself(directory)
        self._forger_is_refused(planner, directory)
        self.teller.scene("SPIRE takes the planner's identity away")
        self._is_taken_away(planner, directory)
        self._comes_back(planner, directory)
        self.teller.scene("The evidence")
        for party in self.stage.parties:
            self._chain_holds(party)
        return Outcome(
            steps=[
                {"step": claim.what, "seen": claim.seen, "ok": not claim.fault}
                for claim in self.claims
            ],
            faults=[f"{claim.what}: {claim.fault}" for claim in self.claims if claim.fault],
        )

    # --- scenes ---

    def _is_known(self, party: Party) -> None:
        evidence = self._evidence[party.name]
        serving_s = evidence.wait(lambda: evidence.metric(_STATE, state="serving") == 1)
        left_s = evidence.metric("identity_svid_seconds_remaining")
        self._claim(
            f"the {party.name} is {party.spiffe_id}",
            f"{party.selector}, node {self.cast.nodes[party.name].path}; its SVID is good for "
            f"{left_s / 60:.0f} minutes",
            (serving_s is not None, "its Workload API is not said to be serving"),
            (left_s > 0, "it has no SVID"),
        )

    def _calls(self, caller: Party, called: Party) -> None:
        status, here, there, ran = self._ask(caller, called, _PERSON)
        instances = {one.instance for one in (*here, *there)}
        self._claim(
            f"the {caller.name} asks the {called.name} for person 7, and is answered",
            f"{status}; on the {called.name}'s chain: {_named(there)}, as {_listed(instances)}",
            (len(instances) == 1 and None not in instances, f"instances: {_listed(instances)}"),
            (status == 200, f"it was answered {status}"),
            (ran == [f"GET {_PERSON}"], f"the {called.name}'s agent ran {ran or 'nothing'}"),
            _is(here, "allow", None, caller.spiffe_id, "attested-local"),
            _is(there, "allow", None, caller.spiffe_id, "x509-svid"),
        )

    def _is_refused_by_policy(self, caller: Party, called: Party) -> None:
        status, here, there, ran = self._ask(caller, called, "/people")
        codes = there[0].codes if there else ()
        self._claim(
            f"the {caller.name} asks the {called.name} for everybody, and policy refuses",
            f"{status}; on the {called.name}'s chain: {_named(there)}",
            (status == 403, f"it was answered {status}"),
            (not ran, f"the {called.name}'s agent ran {ran}"),
            (codes == ("CA-01",), f"policy said {codes or 'nothing'}"),
            _is(here, "allow", None, caller.spiffe_id, "attested-local"),
            _is(there, "deny", "policy", caller.spiffe_id, "x509-svid"),
        )

    def _partner_is_itself(self, called: Party) -> None:
        identity = self.cast.partner.sign(f"spiffe://{PARTNER}/partner")
        answered, there, ran, refused = self._knock(called, identity.spiffe_id, decisions=1)
        self._claim(
            f"{identity.spiffe_id} is taken for whom it is, and may do nothing here",
            f"{answered.status}; on the {called.name}'s chain: {_named(there)}",
            (answered.status == 403, f"it was answered {answered.status}"),
            (not ran, f"the {called.name}'s agent ran {ran}"),
            (refused == 0, "its certificate was refused"),
            (
                [(one.effect, one.subject) for one in there] == [("deny", identity.spiffe_id)],
                f"on the chain: {_named(there)}",
            ),
        )

    def _forger_is_refused(self, victim: Party, called: Party) -> None:
        answered, there, ran, refused = self._knock(called, victim.spiffe_id, decisions=0)
        self._claim(
            f"{victim.spiffe_id}, signed by {PARTNER}'s authority, is refused in the handshake",
            f'no answer; handshakes_total{{reason="wrong_authority"}} rose by {refused:.0f}',
            (answered.status is None, f"it was answered {answered.status}"),
            (refused == 1, f"wrong_authority rose by {refused:.0f}"),
            (not there, f"on the chain: {_named(there)}"),
            (not ran, f"the {called.name}'s agent ran {ran}"),
        )

    def _is_taken_away(self, party: Party, other: Party) -> None:
        evidence = self._evidence[party.name]
        asks = f"its agent asks for changes every {SYNC_S:.0f} s"
        self.teller.aside(f"spire-server entry delete, the {party.name}'s; {asks}")
        self.cast.take_away(party)
        took_s = evidence.wait(lambda: evidence.readiness()[0] == 503, BACK_S)
        _, said = evidence.readiness()
        self._claim(
            f"the {party.name} is not ready within {GONE_S:.0f} s",
            f"503 after {took_s or 0:.1f} s; {said}",
            (took_s is not None and took_s <= GONE_S, f"it took {took_s} s"),
        )
        metric_s = evidence.wait(lambda: evidence.metric(_STATE, state="redacted") == 1)
        self._claim(
            "the metric says why",
            f'outrider_{_STATE}{{state="redacted"}} 1',
            (metric_s is not None, "it does not"),
        )
        status, _, there, ran = self._ask(party, other, _PERSON, decisions=0)
        self._claim(
            f"the {party.name}'s agent reaches nobody",
            f"{status}; nothing came to the {other.name}",
            (status in (401, 403, 503), f"it was answered {status}"),
            (not ran and not there, f"the {other.name} saw a call: {ran} {_named(there)}"),
        )
        status, _, there, ran = self._ask(other, party, _PERSON, decisions=0)
        self._claim(
            f"nobody reaches the {party.name}'s agent",
            f"{status}; it ran nothing",
            (status in (401, 403, 502, 503), f"it was answered {status}"),
            (not ran, f"it ran {ran}"),
            (all(one.effect == "deny" for one in there), f"decided was {_named(there)}"),
        )

    def _comes_back(self, party: Party, other: Party) -> None:
        evidence = self._evidence[party.name]
        self.teller.aside(f"spire-server entry create, the {party.name}'s")
        self.cast.grant(party)
        took_s = evidence.wait(lambda: evidence.readiness()[0] == 200, BACK_S)
        status, here, there, ran = self._ask(party, other, _PERSON)
        self._claim(
            f"with a new entry the {party.name} works again, without a restart",
            f"ready after {took_s or 0:.1f} s; {status}",
            (took_s is not None, f"it was not ready within {BACK_S:.0f} s"),
            (status == 200, f"it was answered {status}"),
            (ran == [f"GET {_PERSON}"], f"the {other.name}'s agent ran {ran or 'nothing'}"),
            _is(here, "allow", None, party.spiffe_id, "attested-local"),
            _is(there, "allow", None, party.spiffe_id, "x509-svid"),
        )

    def _chain_holds(self, party: Party) -> None:
        records = self._evidence[party.name].whole_records()
        self._claim(
            f"the {party.name}'s chain holds",
            f"{records} records, each linked to the one before",
            (records is not None, "it is broken"),
        )

    # --- looking ---

    def _ask(
        self, caller: Party, called: Party, path: str, decisions: int = 1
    ) -> tuple[int, list[Decided], list[Decided], list[str]]:
        """A call of `caller`'s own agent: its status, what either sidecar decided (`decisions` at
        the called one's), and what the called agent ran."""
        here, there = self._evidence[caller.name], self._evidence[called.name]
        for one in (here, there):
            one.decided(0)
            one.ran()
        status, _ = fetch(caller.ports.egress, f"/{called.name}{path}")
        return status, here.decided(1), there.decided(decisions), there.ran()

    def _knock(
        self, called: Party, spiffe_id: str, *, decisions: int
    ) -> tuple[Answered, list[Decided], list[str], float]:
        """A call straight to `called`'s ingress under `spiffe_id`, signed by the partner: how it
        was answered, what was decided and run, and how many certificates were refused for it."""
        evidence = self._evidence[called.name]
        evidence.decided(0)
        evidence.ran()

        def refused() -> float:
            labels = {"role": "server", "reason": "wrong_authority"}
            return evidence.metric("identity_handshakes_total", **labels)

        before = refused()
        answered = call(called.ports.ingress, self.cast.partner.sign(spiffe_id), _PERSON)
        if answered.status is None:  # the page is made anew once a second
            evidence.wait(lambda: refused() > before)
        return answered, evidence.decided(decisions), evidence.ran(), refused() - before

    def _claim(self, what: str, seen: str, *checks: tuple[bool, str]) -> None:
        fault = "; ".join(text for holds, text in checks if not holds)
        self.claims.append(Claim(what=what, seen=seen, fault=fault))
        self.teller.fact(what, is_good=not fault)
        self.teller.shown(fault or seen)


def _is(
    found: list[Decided], effect: str, reason: str | None, subject: str, credential: str
) -> tuple[bool, str]:
    """Whether there is one decision, and it is this."""
    wanted = [(effect, reason, subject, credential)]
    seen = [(one.effect, one.reason, one.subject, one.credential) for one in found]
    return seen == wanted, f"decided was {seen or 'nothing'}; wanted: {wanted}"


def _named(found: list[Decided]) -> str:
    """Decisions in a few words."""
    return (
        ", ".join(
            " ".join(
                filter(None, (one.effect, one.reason, *_once(one.codes), f"for {one.subject}"))
            )
            for one in found
        )
        or "nothing"
    )


def _listed(names: set[str | None]) -> str:
    return ", ".join(sorted(str(name) for name in names))


def _once(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))


def over_spire(
    programs: Programs, home: Path, *, environ: Mapping[str, str], clock: Clock, teller: Teller
) -> Outcome:
    """Perform it in the folder `home`; nobody is left behind. Raises `BrokenPartError`."""
    alone = why_no_other_user(environ, home)
    teller.title(
        "two agents call each other, each known by SPIRE",
        f"SPIRE {VERSION}, two sidecars and an agent behind each, every one a process of its own.",
    )
    if alone is None:
        teller.shown("The two workloads differ by their uid.")
    else:
        teller.shown(f"The two workloads have a SPIRE agent each, as on two machines: {alone}.")
    with ExitStack() as stack:
        stage = set_up(home, own_users=alone is None)
        with teller.waiting(["starting SPIRE", "starting both sidecars"]) as done:
            cast = casting.start_spire(stack, stage, programs, environ=environ, clock=clock)
            done("starting SPIRE")
            casting.start_parties(stack, stage, cast, environ=environ)
            casting.wait_ready(cast, stage, clock)
        play = Play(stage=stage, cast=cast, clock=clock, teller=teller)
        outcome = play.perform()
        teller.table((one.what, not one.fault) for one in play.claims)
        return outcome
