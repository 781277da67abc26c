"""SPIRE's servers and agents as child processes, told what to do by their own command line.

Laws: every wait has a deadline; a process is gone when its node is closed; the configuration is
what lies in `deploy/spire`, filled in by SPIRE itself (`-expandEnv`).
"""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Final, Self

import orjson

from outrider.cli.demo.children import BrokenPartError, Child
from outrider.cli.demo.spire.programs import Programs
from outrider.config.paths import shipped_spire
from outrider.core.jsonvalue import as_list, as_object
from outrider.core.ports import Clock

START_S: Final = 40.0
SYNC_S: Final = 1.0
"""How often an agent asks its server for changes here; SPIRE's own default is 5 s."""
_RELOAD: Final = "200ms"
_COMMAND_S: Final = 30.0
_LOOK_S: Final = 0.05
_TOKEN_LIFE_S: Final = 600
SOCKET_BYTES: Final = 107
"""What a Unix socket's path may have on Linux."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who is given which SVID: a workload with `selector` below the agent `parent`."""

    spiffe_id: str
    parent: str
    selector: str
    ttl_s: int = 3600
    federates_with: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Node:
    """What a server and an agent have in common: a folder, an environment, a process."""

    name: str
    program: Path
    home: Path
    environ: Mapping[str, str]
    clock: Clock
    _child: Child | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        return self.home / f"{self.name.partition(' ')[0]}.sock"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def run(self, *options: str) -> Child:
        """Start it and return when it says that it is healthy. Raises `BrokenPartError`."""
        self.close()
        kind = self.name.partition(" ")[0]
        config = shipped_spire() / f"{kind}.conf"
        command = [str(self.program), "run", "-expandEnv", "-config", str(config), *options]
        log = self.home / f"{kind}.log"
        child = self._child = Child(
            f"SPIRE {self.name}", command, log=log, environ=self.environ, is_read=False
        )
        wait_until(self._is_healthy, child, clock=self.clock)
        return child

    def close(self) -> None:
        """Idempotent."""
        if self._child is not None:
            self._child.close()

    def say(self, *words: str) -> str:
        """What a command of the program answers. Raises `BrokenPartError`."""
        done = self._ask(*words)
        if done.returncode != 0:
            raise BrokenPartError(
                f"{self.program.name} {' '.join(words[:2])} failed: {_last(done.stderr)}"
            )
        return done.stdout.decode("utf-8", "replace")

    def _is_healthy(self) -> bool:
        return self._ask("healthcheck").returncode == 0

    def _ask(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.program), *words, "-socketPath", str(self.socket)]
        try:
            return subprocess.run(  # noqa: S603 - SPIRE's own command line
                command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise BrokenPartError(f"{self.program.name} {words[0]} did not answer") from fault


@dataclass(slots=True, kw_only=True)
class Server(Node):
    """The SPIRE server of one trust domain."""

    trust_domain: str
    port: int
    bundle_port: int

    def id_of(self, path: str) -> str:
        return f"spiffe://{self.trust_domain}{path}"

    def join_token(self, node_id: str) -> str:
        """A token that lets one agent join as `node_id`, once."""
        words = ("-spiffeID", node_id, "-ttl", str(_TOKEN_LIFE_S), "-output", "json")
        return str(as_object(orjson.loads(self.say("token", "generate", *words)))["value"])

    def bundle(self, form: str = "pem") -> str:
        """The trust bundle, as `pem` or as a `spiffe` document."""
        return self.say("bundle", "show", "-format", form)

    def create(self, entry: Entry) -> str:
        """Register `entry`; its id, to delete it by."""
        words = ["-spiffeID", entry.spiffe_id, "-parentID", entry.parent]
        words += ["-selector", entry.selector, "-x509SVIDTTL", str(entry.ttl_s)]
        for domain in entry.federates_with:
            words += ["-federatesWith", f"spiffe://{domain}"]
        said = as_object(orjson.loads(self.say("entry", "create", *words, "-output", "json")))
        result = as_object(as_list(said.get("results"))[0])
        return str(as_object(result["entry"])["id"])

    def delete(self, entry_id: str) -> None:
        self.say("entry", "delete", "-entryID", entry_id)

    def know(self, trust_domain: str, document: bytes) -> None:
        """Take a SPIFFE bundle `document` as what is known of `trust_domain`, until told anew."""
        known = self.home / f"{trust_domain}.bundle"
        known.write_bytes(document)
        words = ("-id", f"spiffe://{trust_domain}", "-format", "spiffe", "-path", str(known))
        self.say("bundle", "set", *words)

    def federate(self, other: "Server") -> None:
        """Trust what `other` says of its own trust domain, and go on asking it."""
        known = self.home / f"{other.trust_domain}.bundle"
        known.write_text(other.bundle("spiffe"), "utf-8")
        self.say(
            "federation",
            "create",
            *("-trustDomain", other.trust_domain),
            *("-bundleEndpointURL", f"https://127.0.0.1:{other.bundle_port}"),
            *("-bundleEndpointProfile", "https_spiffe"),
            *("-endpointSpiffeID", other.id_of("/spire/server")),
            *("-trustDomainBundleFormat", "spiffe", "-trustDomainBundlePath", str(known)),
        )

    def withdraw(self, other: "Server") -> None:
        """Trust nothing of `other` any more; entries that named it stay, without it."""
        self.say("federation", "delete", "-id", other.trust_domain)
        words = ("-id", f"spiffe://{other.trust_domain}", "-mode", "dissociate")
        self.say("bundle", "delete", *words)


@dataclass(slots=True, kw_only=True)
class Agent(Node):
    """The SPIRE agent of one node; workloads find it at `address`."""

    server: Server
    path: str = "/node"

    @property
    def id(self) -> str:
        """The parent of the entries it serves; the same after each start."""
        return self.server.id_of(self.path)

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Join anew and wait until it serves. Raises `BrokenPartError`."""
        (self.home / "bundle.pem").write_text(self.server.bundle(), "utf-8")
        self.run("-joinToken", self.server.join_token(self.id))

    def kill(self) -> None:
        """It ends without a word to anybody."""
        if self._child is not None:
            self._child.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where nodes are made: programs, a folder with a short path, ports of loopback."""

    programs: Programs
    home: Path
    environ: Mapping[str, str]
    clock: Clock

    def server(self, trust_domain: str, ports: tuple[int, int]) -> Server:
        home = self._room(trust_domain)
        return Server(
            name=f"server of {trust_domain}",
            program=self.programs.server,
            home=home,
            environ=self._environ(home, trust_domain, ports),
            clock=self.clock,
            trust_domain=trust_domain,
            port=ports[0],
            bundle_port=ports[1],
        )

    def agent(self, server: Server, path: str = "/node") -> Agent:
        home = self._room(f"{server.trust_domain}{path.replace('/', '-')}")
        return Agent(
            name=f"agent of {server.trust_domain}",
            program=self.programs.agent,
            home=home,
            environ=self._environ(home, server.trust_domain, (server.port, server.bundle_port)),
            clock=self.clock,
            server=server,
            path=path,
        )

    def _room(self, name: str) -> Path:
        """A folder of its own that other users may pass through, for the socket's sake."""
        home = self.home / name
        if len(str(home / "server.sock").encode()) > SOCKET_BYTES:
            raise BrokenPartError(f"{home} is too long a path for a Unix socket; set TMPDIR")
        home.mkdir(mode=0o755)
        home.chmod(0o755)
        return home

    def _environ(self, home: Path, trust_domain: str, ports: tuple[int, int]) -> Mapping[str, str]:
        return {
            **self.environ,
            "SPIRE_DIR": str(home),
            "SPIRE_TRUST_DOMAIN": trust_domain,
            "SPIRE_PORT": str(ports[0]),
            "SPIRE_BUNDLE_PORT": str(ports[1]),
            "SPIRE_RELOAD": _RELOAD,
            "SPIRE_SYNC": f"{SYNC_S:.0f}s",
        }


def wait_until(
    holds: Callable[[], bool], child: Child, *, clock: Clock, within_s: float = START_S
) -> None:
    """Return when `holds`. Raises `BrokenPartError` where `child` ended or it took too long."""
    until_s = clock.monotonic_s() + within_s
    while not holds():
        if not child.is_running():
            raise child.broken("ended")
        if clock.monotonic_s() >= until_s:
            raise child.broken(f"was not ready within {within_s:.0f} s")
        sleep(_LOOK_S)


def _last(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
