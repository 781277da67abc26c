"""The folder one demonstration runs in: settings, policy of its own, credential, trust bundle."""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from outrider.cli.demo.svid import Issuer
from outrider.config.paths import shipped_rego
from outrider.core.errors import OutriderError

AGENT_ID: Final = "spiffe://acme.test/ns/support/sa/triage"
SIDECAR_ID: Final = AGENT_ID
FOREIGN_ID: Final = "spiffe://elsewhere.test/ns/support/sa/triage"

_NO_SUM: Final = "limits: {pay_auto: 0}"
_SMALL_SUM: Final = "limits: {pay_auto: 100}"
_HOLDS: Final = "outrider/rules/helpdesk/data.yaml"

_TEMPLATES: Final = """\
# data.outrider.templates of the demonstration: what a ticket's task may do, and usually does.
desk:
  owner: team-support
  grant:
    tools: ["notes/*", "tickets/*", "people/*"]
    effects: [read, write, send, share, pay]
    destinations: ["127.0.0.1", "localhost", "acme.test", "*.acme.test", "*.example"]
    sensitivity: confidential
    calls: 200
    arguments:
      tickets/refund:
        /ticket_id: {required: true, max_length: 32}
        /amount: {required: true, min: 0, max: 100}
  usual:
    tools: ["notes/*", "tickets/*", "people/*"]
    effects: [read, write, send, pay]
    destinations: ["127.0.0.1", "localhost", "*.acme.test", "*.example"]
  register:
    by: ["control:operator"]
    agents: ["spiffe://acme.test/ns/support/*"]
    principals: ["oidc:*"]
"""

_SETTINGS: Final = """\
# The settings of a demonstration. `outrider config schema` says what else there is.
profile: demo
environment: dev
data_dir: data
listeners:
  egress: {{addresses: ["127.0.0.1:{egress}"], bearer: true}}
  control: {{addresses: ["127.0.0.1:{control}"]}}
  telemetry: {{addresses: ["127.0.0.1:{telemetry}"]}}
identity:
  spiffe_id: {agent}
  trust_bundles: {{acme.test: bundle.json}}
policy:
  engine: {engine}
  opa: {opa}
  overlay: [policy]
  timeout_ms: 2000  # a laptop may pause
upstreams:
  notes:
    url: {notes}/mcp
    protocol: mcp
    prefix: /notes
    networks: [127.0.0.0/8]
  tickets:
    url: {tickets}/mcp
    protocol: mcp
    prefix: /tickets
    networks: [127.0.0.0/8]
    credential: desk
  people:
    url: {people}
    prefix: /people-api
    networks: [127.0.0.0/8]
    credential: desk
credentials:
  desk: {{file: desk.token, upstreams: [tickets, people]}}
audit: {{inputs: store}}
telemetry: {{log_level: WARNING}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    egress: int
    control: int
    telemetry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where everything lies. `desk` is the credential the sidecar attaches, `agent_secret` what
    the agent sends itself."""

    home: Path
    ports: Ports
    issuer: Issuer
    desk: str
    agent_secret: str

    @property
    def settings(self) -> Path:
        return self.home / "outrider.yaml"

    @property
    def chain(self) -> Path:
        return self.home / "data" / "audit"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.ports.egress}"

    def journal(self, upstream: str) -> Path:
        return self.home / f"{upstream}.jsonl"

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def hold(self, *tickets: str) -> Path:
        """Put `tickets` under legal hold in the overlay; the file that says so."""
        named = ", ".join(f'"{ticket}"' for ticket in tickets)
        return _write(
            self.home / "policy" / _HOLDS,
            f"# data.outrider.rules.helpdesk, laid over what ships.\nlegal_holds: [{named}]\n",
        )


def set_up(home: Path) -> Stage:
    """An empty stage in `home`: secrets, trust bundle and policy; settings come with `describe`."""
    stage = Stage(
        home=home,
        ports=Ports(**dict(zip(("egress", "control", "telemetry"), free_ports(3), strict=True))),
        issuer=Issuer("acme-1"),
        desk=secrets.token_hex(16),
        agent_secret=secrets.token_hex(16),
    )
    token = _write(home / "desk.token", stage.desk + "\n")
    token.chmod(0o600)
    (home / "bundle.json").write_bytes(stage.issuer.bundle())
    stage.hold("9001", "9002")
    shipped = (shipped_rego() / "outrider/rules/data.yaml").read_text("utf-8")
    if shipped.count(_NO_SUM) != 1:
        raise OutriderError("the shipped rules no longer hold every payment")
    _write(home / "policy/outrider/templates/data.yaml", _TEMPLATES)
    _write(home / "policy/outrider/rules/data.yaml", shipped.replace(_NO_SUM, _SMALL_SUM))
    return stage


def describe(stage: Stage, opa: Path | None, urls: Mapping[str, str]) -> None:
    """Write the settings: where the upstreams are, and which OPA decides, if one does."""
    ports = stage.ports
    text = _SETTINGS.format(
        egress=ports.egress,
        control=ports.control,
        telemetry=ports.telemetry,
        agent=SIDECAR_ID,
        engine="opa" if opa else "embedded",
        opa=orjson.dumps({"binary": str(opa)}).decode() if opa else "{}",
        **urls,
    )
    _write(stage.settings, text)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports nobody listens on now."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
