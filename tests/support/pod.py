"""A pod's network in namespaces of its own: our ruleset, the real proxy as 2102, an agent.

Nothing outlives the `with`; the machine's network, rules and mounts stay as they are. Processes in
it keep one capability, to read files of others (an interpreter may lie in root's home), unless a
test is about capabilities.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import yaml
from cryptography.hazmat.primitives import serialization

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.capture import ruleset
from tests.support import netfilter
from tests.support.ground import Ground, Process, Told, a_ground, wait_for
from tests.support.netfilter import Nft
from tests.support.sidecar_policy import (
    AGENT,
    a_policy,
    an_agent,
    an_operation,
    an_upstream_entry,
    write_policy,
)
from tests.support.tls import an_authority
from tests.support.tunnels import a_manifest

ROOT: Final = Path(__file__).resolve().parents[2]
GROUND: Final = ROOT / "tests" / "capture" / "ground.sh"
WORLD: Final = ROOT / "tests" / "capture" / "world.py"
PROGRAM: Final = str(Path(sys.executable).with_name("outrider"))
NAME: Final = "api.acme.test"
V4: Final = "93.184.216.34"
V6: Final = "2606:2800:220:1::7"
PROXY: Final = 2102
AGENT_UID: Final = 1000
HELPER: Final = 65_534
_READS: Final = "dac_read_search"
_START_S: Final = 60.0


@dataclass(slots=True, kw_only=True)
class Pod:
    """One pod, the world outside it, and how either is asked."""

    ground: Ground
    nft: Nft
    proxy: Process | None = None

    @property
    def folder(self) -> Path:
        return self.ground.folder

    # --- processes ---

    def inside(
        self, *command: str, uid: int = AGENT_UID, bounding: str = f"-all,+{_READS}"
    ) -> list[str]:
        """`command` in the pod, as `uid`, with the capabilities that `bounding` leaves: root gets
        them all by its uid, others only what lets them read."""
        ambient = ["--inh-caps", f"+{_READS}", "--ambient-caps", f"+{_READS}"] if uid else []
        return [
            "nsenter", f"--net={self.folder}/pod.net", "--",
            "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
            "--bounding-set", bounding, *ambient, "--", *command,
        ]  # fmt: skip

    def run(self, *command: str, uid: int = AGENT_UID, bounding: str = f"-all,+{_READS}") -> Told:
        return self.ground.run(*self.inside(*command, uid=uid, bounding=bounding))

    def python(
        self, code: str, *words: str, uid: int = AGENT_UID, bounding: str = f"-all,+{_READS}"
    ) -> Told:
        """A small program of the agent's: what it prints is what it found."""
        return self.run(sys.executable, "-I", "-c", code, *words, uid=uid, bounding=bounding)

    def program(self, *words: str) -> tuple[str, ...]:
        """Our command line."""
        return (PROGRAM, *words)

    def outrider(self, *words: str, uid: int = HELPER) -> Told:
        return self.run(PROGRAM, *words, uid=uid)

    # --- rules ---

    def load(self, mode: CaptureMode, **changes: Sequence[str]) -> Told:
        """net-init's part: nft with the ruleset as its only argument."""
        text = ruleset(mode, nameservers=changes.pop("nameservers", ("10.88.0.1",)), **changes)
        return self.rules(text or "flush ruleset")

    def rules(self, text: str, *, bounding: str = "-all,+net_admin", uid: int = 0) -> Told:
        command = self.inside(self.nft.path, text, uid=uid, bounding=bounding)
        libraries = self.nft.environ.get("LD_LIBRARY_PATH", "")
        return self.ground.run(*command, LD_LIBRARY_PATH=libraries)

    def listed(self) -> str:
        return self.rules("list ruleset").checked()

    # --- the proxy ---

    def start_proxy(
        self, mode: CaptureMode, *, watch: bool = False, listeners: Sequence[str] = ()
    ) -> None:
        self.stop_proxy()
        room = self.folder / "proxy"
        document = _settings(mode, watch=watch)
        if listeners:
            document["listeners"] = {"egress": {"addresses": list(listeners)}}
        (room / "outrider.yaml").write_text(yaml.safe_dump(document))
        command = [PROGRAM, "run", "-c", str(room / "outrider.yaml")]
        self.proxy = self.ground.start("proxy", *self.inside(*command, uid=PROXY))
        wait_for(self._is_ready, "a ready proxy", within_s=_START_S)

    def _is_ready(self) -> bool:
        assert self.proxy is not None
        assert self.proxy.is_running, self.proxy.said()[-3000:]
        return self.telemetry("/readyz").startswith("200")

    def stop_proxy(self) -> None:
        if self.proxy is not None:
            self.proxy.stop()
            self.proxy = None

    def proxied(self) -> str:
        """The proxy's log."""
        return "" if self.proxy is None else self.proxy.said()

    def telemetry(self, path: str) -> str:
        """Status and body of the telemetry listener, as asked for from inside."""
        return self.python(GET, "127.0.0.1", "15020", path).out

    def metric(self, name: str) -> float:
        """The sum of all series of a metric."""
        lines = self.telemetry("/metrics").splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == f"outrider_{name}"]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def counted(self, name: str) -> float:
        """`metric` of now: the page that is shown may be a second old."""
        threading.Event().wait(1.1)
        return self.metric(name)

    def decisions(self) -> list[JsonObject]:
        """The decision records on the chain."""
        found: list[JsonObject] = []
        for path in sorted((self.folder / "proxy" / "data" / "audit").glob("*.jsonl")):
            found += [orjson.loads(line) for line in path.read_bytes().splitlines() if line]
        return [record for record in found if record["kind"] == "decision"]

    # --- the world ---

    def heard(self) -> list[str]:
        """What reached the world so far."""
        return (self.folder / "world.log").read_text().splitlines()

    def silence(self) -> None:
        """Forget what was heard."""
        (self.folder / "world.log").write_text("")


GET: Final = """
import socket, sys
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
name = sys.argv[4] if len(sys.argv) > 4 else f"{host}:{port}"
try:
    with socket.create_connection((host, port), timeout=5) as sock:
        sock.settimeout(5)
        lines = [f"GET {path} HTTP/1.1", f"Host: {name}", "Connection: close", "", ""]
        sock.sendall("\\r\\n".join(lines).encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    print(head.split(b" ")[1].decode() if head else "nothing", body.decode())
except OSError as fault:
    print(type(fault).__name__, fault.errno)
"""
"""Ask `host port path [name]` for a page: status and body, or the fault."""


def _settings(mode: CaptureMode, *, watch: bool) -> JsonObject:
    return {
        "profile": "development",
        "data_dir": "data",
        "identity": {"spiffe_id": AGENT},
        "policy": {"path": "policy", "watch": False, "timeout_ms": 5000},
        "upstreams": {
            "api": {"url": f"https://{NAME}", "protocol": "connect"},
            "desk": {"url": f"http://{NAME}", "hosts": [NAME]},
        },
        "capture": {"mode": mode.value, "watch": watch},
        "telemetry": {"log_level": "WARNING"},
    }


def _furnish(folder: Path) -> None:
    """Certificates for the world, a folder for the proxy."""
    authority = an_authority()
    leaf = authority.issue(NAME)
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(key + leaf.pem)
    (folder / "ca.pem").write_bytes(authority.pem)
    room = folder / "proxy"
    (room / "data").mkdir(parents=True)
    tools: list[Json] = ["api/*", "desk/*"]
    files = a_policy(
        agents={AGENT: an_agent(tools=tools)},
        desk=an_upstream_entry(operations={"GET /": an_operation()}),
    )
    write_policy(
        room / "policy", {**files, "outrider/manifest/api/data.yaml": a_manifest(f"{NAME}:443")}
    )
    for path in (room, *room.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o644)


@contextmanager
def a_pod() -> Iterator[Pod]:
    """A pod without rules and without a proxy. Raises `UnavailableError`."""
    nft = netfilter.find()
    with a_ground(node=False, script=GROUND) as ground:
        _furnish(ground.folder)
        (ground.folder / "world.log").touch()
        ground.start("outside", sys.executable, str(WORLD), str(ground.folder))
        wait_for((ground.folder / "world.ready").exists, "the world", within_s=_START_S)
        pod = Pod(ground=ground, nft=nft)
        probe = pod.rules("list ruleset")
        if probe.code:
            raise netfilter.UnavailableError(f"nft does not work here: {probe.err.strip()[:200]}")
        try:
            yield pod
        finally:
            pod.stop_proxy()
