"""Where the sidecars of a test cluster fetch their policy: built, signed and served as a platform
team would, with `outrider bundle` and any web server."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives import serialization

from outrider.core.jsonvalue import JsonObject
from tests.support.bundles import write_keys
from tests.support.ground import ADDRESS, Ground
from tests.support.sidecar_policy import (
    a_policy,
    an_agent,
    an_operation,
    an_upstream_entry,
    write_policy,
)
from tests.support.tls import an_authority

PORT: Final = 18443
URL: Final = f"https://{ADDRESS}:{PORT}/bundle.tar.gz"
_SERVER: Final = """
import http.server, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *parts): pass
server = http.server.ThreadingHTTPServer((sys.argv[2], int(sys.argv[3])), Quiet)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
_OPERATIONS: Final[JsonObject] = {
    "GET /tickets": an_operation(),
    "GET /slow": an_operation(),
    "POST /tickets": an_operation("write"),
}
WRITING: Final = "desk/POST /tickets"
"""What the first release of the policy refuses, though it is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyShop:
    """A folder that is served, and a key that signs what is put there."""

    folder: Path
    agents: tuple[str, ...]

    @classmethod
    def opened(cls, ground: Ground, *agents: str) -> Self:
        shop = cls(folder=ground.folder / "policy-shop", agents=agents)
        shop.served.mkdir(parents=True)
        write_keys(shop.folder)
        authority = an_authority()
        leaf = authority.issue(ADDRESS)
        (shop.folder / "ca.pem").write_bytes(authority.pem)
        key = leaf.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (shop.folder / "server.pem").write_bytes(key + leaf.pem)
        (shop.folder / "server.py").write_text(_SERVER)
        shop.publish(1, refused=(WRITING,))
        ground.start(
            "policy-shop", "env", f"--chdir={shop.served}", sys.executable,
            str(shop.folder / "server.py"), str(shop.folder / "server.pem"), ADDRESS, str(PORT),
        )  # fmt: skip
        return shop

    @property
    def served(self) -> Path:
        return self.folder / "served"

    def texts(self) -> dict[str, str]:
        """What sidecars need of it: the server's CA and the key that signs."""
        return {
            "ca.pem": (self.folder / "ca.pem").read_text(),
            "release.pem": (self.folder / "release.pem").read_text(),
        }

    def publish(self, sequence: int, *, refused: tuple[str, ...] = ()) -> None:
        """A release of the policy, whole or not at all."""
        files = a_policy(
            agents={one: an_agent(tools=["desk/*"]) for one in self.agents},
            desk=an_upstream_entry(operations=_OPERATIONS),
            refused=refused,
        )
        tree = write_policy(self.folder / f"policy-{sequence}", files)
        made = self.folder / f"bundle-{sequence}.tar.gz"
        _outrider("bundle", "build", str(tree), "--sequence", str(sequence), "-o", str(made))
        _outrider("bundle", "sign", str(made), "--key", str(self.folder / "release.key"))
        made.replace(self.served / "bundle.tar.gz")


def _outrider(*words: str) -> None:
    program = str(Path(sys.executable).with_name("outrider"))
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
