"""The folder of one demonstration over SPIRE: two parties, each a sidecar with its own agent."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from outrider.cli.demo.stage import free_ports
from outrider.config.paths import shipped_rego
from outrider.policy.bundle import read
from outrider.policy.index import indexes

TRUST_DOMAIN: Final = "a.test"
PARTNER: Final = "b.test"
PLANNER: Final = "planner"
DIRECTORY: Final = "directory"
_UIDS: Final = {PLANNER: 61_001, DIRECTORY: 61_002}

_SETTINGS: Final = """\
# The settings of a demonstration over SPIRE. `outrider config schema` says what else there is.
profile: development
environment: dev
data_dir: data
listeners:
  egress: {{addresses: ["127.0.0.1:{egress}"]}}
  ingress: {{addresses: ["127.0.0.1:{ingress}"]}}
  control: {{addresses: ["127.0.0.1:{control}"]}}
  telemetry: {{addresses: ["127.0.0.1:{telemetry}"]}}
identity:
  source: workload_api
  workload_api: {{address: {address}}}
policy:
  engine: embedded
  overlay: [../policy]
upstreams:
  {other}:
    url: https://127.0.0.1:{other_ingress}
    prefix: /{other}
    networks: [127.0.0.0/8]
    tls: {{spiffe: {{expect: ["{other_id}"]}}}}
  {own}:
    url: {behind}
    prefix: /
    networks: [127.0.0.0/8]
    direction: ingress
telemetry: {{log_level: INFO}}
"""

_AGENTS: Final = """\
# data.outrider.agents: the two of the demonstration, and what each may do at most.
"{planner}": {agent_of_planner}
"{directory}": {agent_of_directory}
"""

_RULE: Final = """\
# METADATA
# title: Who calls the directory
# description: What callers from elsewhere may ask of it.
package outrider.rules.callers

import data.outrider.lib

# METADATA
# description: One person may be looked up; all of them are not handed out.
# id: CA-01
# custom:
#   refs: [ASI02]
findings contains lib.finding("CA-01", "deny", "callers do not list everybody", {}) if {
	input.context.request.direction == "ingress"
	input.resource.id == "directory/GET /people"
}
"""
_RUN: Final = """
CA-01:
  mode: enforce
  severity: medium
  owner: team-people
  runbook: https://runbooks.acme.test/outrider/ca-01
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    egress: int
    ingress: int
    control: int
    telemetry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One sidecar with the agent behind it. `uid` is None where it runs under our own."""

    name: str
    home: Path
    ports: Ports
    uid: int | None

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{TRUST_DOMAIN}{self.path}"

    @property
    def settings(self) -> Path:
        return self.home / "outrider.yaml"

    @property
    def chain(self) -> Path:
        return self.home / "data" / "audit"

    @property
    def selector(self) -> str:
        """What the kernel says of it, in SPIRE's words."""
        return f"unix:uid:{os.getuid() if self.uid is None else self.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    home: Path
    planner: Party
    directory: Party

    @property
    def parties(self) -> tuple[Party, Party]:
        return self.planner, self.directory

    def journal(self, party: Party) -> Path:
        return self.home / f"{party.name}.jsonl"

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"


def set_up(home: Path, *, own_users: bool) -> Stage:
    """An empty stage in the folder `home`, with the policy that both parties share.

    `own_users`: each gets a uid of its own.
    """
    home.chmod(0o755)  # each party's uid passes through to its own folder
    stage = Stage(
        home=home,
        planner=_party(home, PLANNER, own_users=own_users),
        directory=_party(home, DIRECTORY, own_users=own_users),
    )
    _write_policy(home / "policy", stage)
    return stage


def describe(party: Party, other: Party, *, address: str, behind: str) -> None:
    """Write `party`'s settings: its Workload API at `address`, its own agent at `behind`."""
    text = _SETTINGS.format(
        **{name: getattr(party.ports, name) for name in Ports.__slots__},
        address=orjson.dumps(address).decode(),
        own=party.name,
        behind=behind,
        other=other.name,
        other_id=other.spiffe_id,
        other_ingress=other.ports.ingress,
    )
    _write(party.settings, text)
    if party.uid is not None:
        for path in (party.home, party.home / "data", party.settings):
            os.chown(path, party.uid, party.uid)


def _party(home: Path, name: str, *, own_users: bool) -> Party:
    names = Ports.__slots__
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    uid = _UIDS[name] if own_users else None
    party = Party(name=name, home=home / name, ports=ports, uid=uid)
    (party.home / "data").mkdir(mode=0o755, parents=True)
    return party


def _write_policy(root: Path, stage: Stage) -> None:
    """The shipped library's own files, with what this demonstration adds."""
    shipped = shipped_rego() / "outrider"
    people = (shipped / "manifest/people/data.yaml").read_text("utf-8")
    agents = _AGENTS.format(
        planner=stage.planner.spiffe_id,
        directory=stage.directory.spiffe_id,
        agent_of_planner=_agent(DIRECTORY),
        agent_of_directory=_agent(PLANNER),
    )
    files = {
        "agents/data.yaml": (shipped / "agents/data.yaml").read_text("utf-8") + agents,
        "rules/callers/callers.rego": _RULE,
        "rules/data.yaml": (shipped / "rules/data.yaml").read_text("utf-8") + _RUN,
        f"manifest/{PLANNER}/data.yaml": people,
        f"manifest/{DIRECTORY}/data.yaml": people,
    }
    for name, text in files.items():
        _write(root / "outrider" / name, text)
    for name, text in indexes(read(shipped.parent, [root])).items():
        _write(root / name, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _agent(may_call: str) -> str:
    """An agent that may read of the other and do no more, in JSON, which YAML is too."""
    return orjson.dumps(
        {
            "owner": "team-people",
            "sponsor": "alice@acme.test",
            "escalation": "support-leads",
            "class": "internal",
            "tier": "standard",
            "environment": "dev",
            "status": "active",
            "review_by": "2027-11-30",
            "purpose": "look people up",
            "grant": {
                "tools": [f"{may_call}/*"],
                "effects": ["read"],
                "destinations": ["127.0.0.1"],
                "sensitivity": "confidential",
            },
        }
    ).decode()
