"""SPIRE on a node: its server a process there, its agent a DaemonSet, workloads attested by what
the kubelet says of them.

The agent's socket lies in a folder of the node, which pods get as a `hostPath`: the CSI driver is
not to be had here.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from outrider.cli.demo.spire.programs import Programs, find_programs
from outrider.core.errors import ConfigError
from tests.support.archive import docker_archive
from tests.support.control_plane import PORT
from tests.support.debian import UnavailableError
from tests.support.ground import ADDRESS, Process, Told, wait_for
from tests.support.node import Node

TRUST_DOMAIN: Final = "cluster.test"
NAMESPACE: Final = "spire"
IMAGE: Final = "k8s.local/spire-agent:1"
SOCKET: Final = "spire-agent.sock"
_CLUSTER: Final = "node1"
_NODE_ID: Final = f"spiffe://{TRUST_DOMAIN}/node"
_READY_S: Final = 90.0
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spire:
    """A trust domain whose agent attests pods."""

    node: Node
    programs: Programs
    server: Process

    @property
    def home(self) -> Path:
        return self.node.folder / "spire"

    @property
    def sockets(self) -> Path:
        """The node's folder of the agent's socket."""
        return self.home / "sockets"

    def say(self, *words: str) -> Told:
        return self.node.plane.ground.run(
            str(self.programs.server), *words, "-socketPath", str(self.home / "server.sock")
        )

    def enter(self, namespace: str, account: str, *, ttl_s: int = 3600) -> str:
        """Give the sidecar of every pod of a service account its SVID; the SPIFFE ID."""
        spiffe_id = f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
        selectors = (f"k8s:ns:{namespace}", f"k8s:sa:{account}", "k8s:container-name:outrider")
        words = [word for one in selectors for word in ("-selector", one)]
        self.say(
            "entry", "create", "-parentID", _NODE_ID, "-spiffeID", spiffe_id, *words,
            "-x509SVIDTTL", str(ttl_s),
        ).checked()  # fmt: skip
        return spiffe_id


def programs() -> Programs:
    """Raises `UnavailableError`."""
    try:
        return find_programs(os.environ)
    except ConfigError as fault:
        raise UnavailableError(str(fault)) from fault


def start(node: Node) -> Spire:
    """A server and an agent, up, on a node that runs. Raises `UnavailableError`."""
    found, plane, home = programs(), node.plane, node.folder / "spire"
    for folder in (home, home / "data", home / "sockets"):
        folder.mkdir(mode=0o755, exist_ok=True)
    node.import_image(_agent_image(home, found.agent))
    plane.apply(*_accounts()).checked()
    token = plane.kubectl(
        "create", "token", "spire-server", "-n", NAMESPACE, "--duration", "10h"
    ).checked()
    (home / "server.kubeconfig").write_text(_kubeconfig(token.strip(), plane.authority))
    (home / "server.conf").write_text(_server_conf(home))
    server = plane.ground.start(
        "spire-server", str(found.server), "run", "-config", str(home / "server.conf")
    )
    spire = Spire(node=node, programs=found, server=server)
    wait_for(lambda: spire.say("healthcheck").code == 0, "SPIRE's server", within_s=_READY_S)
    bundle = spire.say("bundle", "show").checked()
    plane.apply(*_agent(home, bundle)).checked()
    wait_for(lambda: _is_up(spire), "SPIRE's agent", within_s=_READY_S)
    spire.say(
        "entry", "create", "-node", "-spiffeID", _NODE_ID,
        "-selector", f"k8s_psat:cluster:{_CLUSTER}",
        "-selector", f"k8s_psat:agent_ns:{NAMESPACE}",
        "-selector", "k8s_psat:agent_sa:spire-agent",
    ).checked()  # fmt: skip
    return spire


def _is_up(spire: Spire) -> bool:
    found = spire.node.plane.get("daemonset", "spire-agent", "-n", NAMESPACE)["status"]
    return isinstance(found, dict) and found.get("numberReady") == 1


def _agent_image(home: Path, agent: Path) -> Path:
    """The program and what it links to."""
    told = subprocess.run(
        [shutil.which("ldd") or "ldd", agent],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout
    links = [Path(word) for word in told.split() if word.startswith("/")]
    archive = home / "agent.tar"
    files = {str(path).removeprefix("/"): path for path in links}
    docker_archive(archive, IMAGE, ("/bin/spire-agent",), {"bin/spire-agent": agent, **files})
    return archive


def _kubeconfig(token: str, authority: Path) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "c",
            "cluster": {
                "server": f"https://{ADDRESS}:{PORT}", "certificate-authority": str(authority),
            },
        }],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    })  # fmt: skip


def _server_conf(home: Path) -> str:
    return f"""server {{
  bind_address = "{ADDRESS}"
  bind_port = "18081"
  socket_path = "{home}/server.sock"
  trust_domain = "{TRUST_DOMAIN}"
  data_dir = "{home}/data"
  log_level = "INFO"
  ca_ttl = "24h"
  experimental {{ cache_reload_interval = "500ms" }}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{ database_type = "sqlite3" connection_string = "{home}/data/store.sqlite3" }}
  }}
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "k8s_psat" {{
    plugin_data {{
      clusters = {{
        "{_CLUSTER}" = {{
          service_account_allow_list = ["{NAMESPACE}:spire-agent"]
          audience = ["spire-server"]
          kube_config_file = "{home}/server.kubeconfig"
        }}
      }}
    }}
  }}
}}
"""


_AGENT_CONF: Final = f"""agent {{
  data_dir = "/run/spire"
  log_level = "INFO"
  server_address = "{ADDRESS}"
  server_port = "18081"
  socket_path = "/sockets/{SOCKET}"
  trust_domain = "{TRUST_DOMAIN}"
  trust_bundle_path = "/bundle/bundle.pem"
  experimental {{ sync_interval = "1s" }}
}}
plugins {{
  NodeAttestor "k8s_psat" {{ plugin_data {{ cluster = "{_CLUSTER}" }} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  WorkloadAttestor "k8s" {{ plugin_data {{ skip_kubelet_verification = true }} }}
}}
"""


def _object(kind: str, name: str, version: str = "v1", **fields: Any) -> Object:
    metadata = {"name": name} if kind in _WIDE else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


_WIDE: Final = frozenset({"Namespace", "ClusterRole", "ClusterRoleBinding"})
_RBAC: Final = "rbac.authorization.k8s.io"


def _accounts() -> list[Object]:
    found = [_object("Namespace", NAMESPACE)]
    rules: dict[str, list[Object]] = {
        "spire-server": [
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get"]},
            {
                "apiGroups": ["authentication.k8s.io"],
                "resources": ["tokenreviews"],
                "verbs": ["create"],
            },
        ],
        "spire-agent": [{"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}],
    }
    for name, allowed in rules.items():
        role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
        found += [
            _object("ServiceAccount", name),
            _object("ClusterRole", name, f"{_RBAC}/v1", rules=allowed),
            _object("ClusterRoleBinding", name, f"{_RBAC}/v1", roleRef=role, subjects=[subject]),
        ]
    return found


def _agent(home: Path, bundle: str) -> list[Object]:
    """`hostPID`: else the agent cannot tell who calls. The token is bound to its pod, for SPIRE."""
    mounts = {"conf": "/conf", "bundle": "/bundle", "sockets": "/sockets", "data": "/run/spire",
              "token": "/var/run/secrets/tokens"}  # fmt: skip
    token = {"path": "spire-agent", "expirationSeconds": 600, "audience": "spire-server"}
    volumes: list[Object] = [
        {"name": "conf", "configMap": {"name": "spire-agent"}},
        {"name": "bundle", "configMap": {"name": "spire-bundle"}},
        {"name": "sockets", "hostPath": {"path": str(home / "sockets"), "type": "Directory"}},
        {"name": "data", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]
    healthy = ["/bin/spire-agent", "healthcheck", "-socketPath", f"/sockets/{SOCKET}"]
    container = {
        "name": "agent",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["run", "-config", "/conf/agent.conf"],
        "readinessProbe": {"exec": {"command": healthy}, "periodSeconds": 1},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }
    labels = {"app": "spire-agent"}
    spec = {
        "serviceAccountName": "spire-agent",
        "hostPID": True,
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
        "volumes": volumes,
    }
    return [
        _object("ConfigMap", "spire-agent", data={"agent.conf": _AGENT_CONF}),
        _object("ConfigMap", "spire-bundle", data={"bundle.pem": bundle}),
        _object(
            "DaemonSet", "spire-agent", "apps/v1",
            spec={
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        ),
    ]  # fmt: skip
