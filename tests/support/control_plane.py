"""A real API server on a real etcd, in namespaces of their own.

Tokens: `admin` is all powerful; `author` may do in the cluster what an agent's author may, and
no more. The API server reaches a webhook's Service by its EndpointSlice, without kube-proxy.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.ground import ADDRESS, Ground, Process, Told, a_ground, wait_for
from tests.support.kubernetes_programs import ControlPrograms, control

PORT: Final = 26443
Object = dict[str, Any]
_ETCD: Final = "http://127.0.0.1:23790"
_READY_S: Final = 120.0
_TOKENS: Final = (
    'admin-token,admin,1,"system:masters"\n'
    'author-token,author,2,"authors"\n'
    'node-token,system:node:node1,3,"system:nodes"\n'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """A running API server."""

    ground: Ground
    programs: ControlPrograms
    api_server: Process

    @property
    def kubeconfig(self) -> Path:
        return self.ground.folder / "admin.kubeconfig"

    @property
    def key(self) -> Path:
        """Signs service accounts' tokens."""
        return self.ground.folder / "sa.key"

    @property
    def authority(self) -> Path:
        """The certificate that the API server's clients trust."""
        return self.ground.folder / "certs" / "apiserver.crt"

    def kubectl(self, *arguments: str, stdin: str = "", within_s: float = 60.0) -> Told:
        return self.ground.run(
            str(self.programs.kubectl), "--kubeconfig", str(self.kubeconfig), *arguments,
            stdin=stdin, within_s=within_s,
        )  # fmt: skip

    def apply(self, *documents: Mapping[str, object]) -> Told:
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def create(self, document: Mapping[str, object], *options: str) -> Told:
        """A new object, or the API server's own refusal of it."""
        return self.kubectl("create", "-f", "-", *options, stdin=yaml.safe_dump(document))

    def made(self, document: Mapping[str, object], *options: str) -> Object:
        """As `create`; the object as the API server keeps it."""
        told: Object = orjson.loads(self.create(document, "-o", "json", *options).checked())
        return told

    def get(self, *what: str) -> Object:
        found: Object = orjson.loads(self.kubectl("get", *what, "-o", "json").checked())
        return found


@contextmanager
def a_control_plane(*, node: bool = False, path: str = "") -> Iterator[ControlPlane]:
    """etcd and the API server, ready. Raises `UnavailableError` where they are not to be had."""
    programs = control()
    folder = str(programs.kubectl.parent)
    with a_ground(node=node, programs=":".join(filter(None, [path, folder]))) as made:
        yield _started(made, programs)


def _started(ground: Ground, programs: ControlPrograms) -> ControlPlane:
    folder = ground.folder
    _write_files(folder)
    ground.start(
        "etcd", str(programs.etcd), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync",
        "--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD,
        "--listen-peer-urls", "http://127.0.0.1:23800",
    )  # fmt: skip
    server = ground.start(
        "apiserver", str(programs.api_server), "--etcd-servers", _ETCD,
        "--secure-port", str(PORT), "--bind-address", "0.0.0.0",
        "--advertise-address", ADDRESS, "--cert-dir", str(folder / "certs"),
        "--service-account-key-file", str(folder / "sa.key"),
        "--service-account-signing-key-file", str(folder / "sa.key"),
        "--service-account-issuer", "https://cluster.test",
        "--authorization-mode", "RBAC", "--token-auth-file", str(folder / "tokens.csv"),
        "--service-cluster-ip-range", "10.0.0.0/24", "--allow-privileged=true",
        "--enable-aggregator-routing=true",
        "--kubelet-preferred-address-types=InternalIP",
    )  # fmt: skip
    plane = ControlPlane(ground=ground, programs=programs, api_server=server)

    def is_ready() -> bool:
        assert server.is_running, server.said()[-2000:]
        return plane.kubectl("get", "--raw", "/readyz").code == 0

    wait_for(is_ready, "the API server", within_s=_READY_S)
    return plane


def _write_files(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "tokens.csv").write_text(_TOKENS)
    for who in ("admin", "author", "node"):
        (folder / f"{who}.kubeconfig").write_text(kubeconfig(f"{who}-token"))


def kubeconfig(token: str, *, server: str = f"https://127.0.0.1:{PORT}") -> str:
    """For a test's own API server: its certificate is one it made itself."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}
            ],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )
