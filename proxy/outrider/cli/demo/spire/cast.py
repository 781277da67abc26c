"""Who plays over SPIRE: its server and agents, two sidecars, and an HTTP agent behind each."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Final

from outrider.cli.demo.cast import fetch
from outrider.cli.demo.children import START_S, Child
from outrider.cli.demo.spire.forger import Partner
from outrider.cli.demo.spire.nodes import Agent, Entry, Ground, Server
from outrider.cli.demo.spire.programs import Programs
from outrider.cli.demo.spire.stage import PARTNER, TRUST_DOMAIN, Party, Stage, describe
from outrider.cli.demo.spire.users import as_user
from outrider.cli.demo.stage import free_ports
from outrider.core.ports import Clock

_SCRIPT: Final = Path(__file__).parent.parent / "scripts" / "people.py"
_MAIN: Final = "from outrider.cli.main import main; main()"
_LOOK_S: Final = 0.05


@dataclass(slots=True, kw_only=True)
class Cast:
    """Everybody that runs. `nodes` are SPIRE's agents, by the party that each serves."""

    server: Server
    nodes: Mapping[str, Agent]
    partner: Partner
    sidecars: dict[str, Child] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)

    def grant(self, party: Party) -> None:
        """Register `party` with SPIRE; it may know of the partner's trust domain too."""
        entry = Entry(
            spiffe_id=party.spiffe_id,
            parent=self.nodes[party.name].id,
            selector=party.selector,
            federates_with=(PARTNER,),
        )
        self.entries[party.name] = self.server.create(entry)

    def take_away(self, party: Party) -> None:
        self.server.delete(self.entries.pop(party.name))


def start_spire(
    stack: ExitStack,
    stage: Stage,
    programs: Programs,
    *,
    environ: Mapping[str, str],
    clock: Clock,
) -> Cast:
    """SPIRE with both parties registered and a partner federated; `stack` ends it.

    One agent serves both parties where they differ by uid, else each has one of its own, as on two
    machines. Raises `BrokenPartError`.
    """
    home = stage.home / "spire"
    home.mkdir(mode=0o755)
    ground = Ground(programs=programs, home=home, environ=environ, clock=clock)
    one, two = free_ports(2)
    server = stack.enter_context(ground.server(TRUST_DOMAIN, (one, two)))
    server.run()
    shared = stage.planner.selector != stage.directory.selector
    paths = {party.name: "/node" if shared else f"/{party.name}-node" for party in stage.parties}
    agents = {path: ground.agent(server, path) for path in set(paths.values())}
    for agent in agents.values():
        stack.enter_context(agent).start()
    cast = Cast(
        server=server,
        nodes={name: agents[path] for name, path in paths.items()},
        partner=Partner(PARTNER, clock.unix_s()),
    )
    server.know(PARTNER, cast.partner.bundle())
    for party in stage.parties:
        cast.grant(party)
    return cast


def start_parties(
    stack: ExitStack, stage: Stage, cast: Cast, *, environ: Mapping[str, str]
) -> None:
    """Both sidecars, each with its agent; not waited for. Raises `BrokenPartError`."""
    python = sys.executable
    behind = {}
    for party in stage.parties:
        name = f"{party.name}'s agent"
        words = [python, str(_SCRIPT), "--journal", str(stage.journal(party))]
        child = Child(name, words, log=stage.log(f"{party.name}-agent"), environ=environ)
        behind[party.name] = stack.enter_context(child).line()
    for party, other in (stage.parties, stage.parties[::-1]):
        address = cast.nodes[party.name].address
        describe(party, other, address=address, behind=behind[party.name])
        child = Child(
            f"{party.name}'s sidecar",
            sidecar_command(party, python),
            log=stage.log(party.name),
            environ=environ,
            is_read=False,
        )
        cast.sidecars[party.name] = stack.enter_context(child)


def sidecar_command(party: Party, python: str) -> list[str]:
    """How `party`'s sidecar is started, under its own uid where it has one."""
    words = [python, "-c", _MAIN, "run", "--config", str(party.settings)]
    return words if party.uid is None else as_user(party.uid, words)


def wait_ready(cast: Cast, stage: Stage, clock: Clock) -> None:
    """Return when both sidecars are ready, which takes an SVID each. Raises `BrokenPartError`."""
    until_s = clock.monotonic_s() + START_S
    for party in stage.parties:
        sidecar, said = cast.sidecars[party.name], "no answer"
        while (status := (found := fetch(party.ports.telemetry, "/readyz"))[0]) != 200:
            if not sidecar.is_running():
                raise sidecar.broken("ended")
            said = found[1].decode("utf-8", "replace").strip() if status else said
            if clock.monotonic_s() >= until_s:
                raise sidecar.broken(f"was not ready within {START_S:.0f} s: {said}")
            sleep(_LOOK_S)
