"""A whole single-node cluster: the control plane, containerd, a kubelet and kube-proxy.

Images come from files, names resolve nowhere: there is no registry and no DNS.
"""

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import yaml

from tests.support.archive import docker_archive
from tests.support.containers import PROGRAMS, Podman
from tests.support.control_plane import ControlPlane, Object, a_control_plane
from tests.support.debian import UnavailableError
from tests.support.ground import ADDRESS, Process, Told, wait_for
from tests.support.kubernetes_programs import node as node_programs

NAME: Final = "node1"
BUSYBOX: Final = "k8s.local/busybox:1"
PAUSE: Final = "k8s.local/pause:1"
_READY_S: Final = 120.0
_PLENTY: Final = (
    "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available",
    "imagefs.inodesFree",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running node; what is asked of the API server is asked of `plane`."""

    plane: ControlPlane
    containerd: Process

    @property
    def folder(self) -> Path:
        return self.plane.ground.folder

    @property
    def kubelet_root(self) -> Path:
        """Where the kubelet keeps its pods' volumes."""
        return self.folder / "kubelet"

    def import_image(self, archive: Path) -> None:
        """A docker archive's images, under the names that stand in it."""
        self.plane.ground.run(
            "ctr", "-a", str(self.folder / "containerd.sock"), "-n", "k8s.io", "images", "import",
            str(archive), within_s=300.0,
        ).checked()  # fmt: skip

    def pods(self, namespace: str, selector: str = "") -> list[Object]:
        found = self.plane.get("pods", "-n", namespace, *(["-l", selector] if selector else []))
        items: list[Object] = found["items"]
        return items

    def logs(self, namespace: str, pod: str, container: str) -> Told:
        return self.plane.kubectl("logs", "-n", namespace, pod, "-c", container)


def why_not() -> str | None:
    """Why there can be no node here; None where there can."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "this machine has cgroup v2 alone; the node here is set up for v1"
    return None


@contextmanager
def a_node(*, images: Iterable[Path] = ()) -> Iterator[Node]:
    """A cluster for as long as the block runs. Raises `UnavailableError`."""
    fault = why_not()
    if fault is not None:
        raise UnavailableError(fault)
    programs, debian = node_programs(), PROGRAMS.found()
    path = ":".join(str(debian / "usr" / part) for part in ("bin", "sbin"))
    with a_control_plane(node=True, path=path) as plane:
        ground, folder = plane.ground, plane.ground.folder
        _write_files(folder, debian)
        containerd = ground.start("containerd", "containerd", "-c", str(folder / "containerd.toml"))
        found = Node(plane=plane, containerd=containerd)
        config = str(plane.kubeconfig)
        ground.start(
            "controller-manager", str(programs.controller_manager), "--kubeconfig", config,
            "--service-account-private-key-file", str(plane.key),
            "--root-ca-file", str(plane.authority), "--leader-elect=false",
            "--use-service-account-credentials=false", "--bind-address", "127.0.0.1",
        )  # fmt: skip
        ground.start(
            "scheduler", str(programs.scheduler), "--kubeconfig", config, "--leader-elect=false",
            "--bind-address", "127.0.0.1",
        )  # fmt: skip
        ground.start("proxy", str(programs.proxy), "--config", str(folder / "kube-proxy.yaml"))
        wait_for(lambda: _answers(found), "containerd", within_s=_READY_S)
        for image in [*_small_images(folder, debian), *images]:
            found.import_image(image)
        ground.start(
            "kubelet", str(programs.kubelet), "--config", str(folder / "kubelet.yaml"),
            "--kubeconfig", config, "--hostname-override", NAME, "--node-ip", ADDRESS,
            "--root-dir", str(folder / "kubelet"), "--cert-dir", str(folder / "kubelet-certs"),
        )  # fmt: skip
        wait_for(lambda: _is_ready(found), "the node", within_s=_READY_S)
        yield found


def _answers(node: Node) -> bool:
    assert node.containerd.is_running, node.containerd.said()[-2000:]
    socket = str(node.folder / "containerd.sock")
    return node.plane.ground.run("ctr", "-a", socket, "version").code == 0


def _is_ready(node: Node) -> bool:
    told = node.plane.kubectl("get", "node", NAME, "-o", "json")
    if told.code != 0:
        return False
    conditions = orjson.loads(told.out)["status"]["conditions"]
    account = node.plane.kubectl("get", "serviceaccount", "default").code == 0
    return account and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _small_images(folder: Path, debian: Path) -> list[Path]:
    """A shell for agents, and what holds a pod's namespaces: both of one static program."""
    busybox = debian / "bin" / "busybox"
    listed = subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, timeout=20, check=True
    ).stdout.split()
    shell, pause = folder / "busybox.tar", folder / "pause.tar"
    links = {f"bin/{name}": "busybox" for name in listed if name != "busybox"}
    files = {"bin/busybox": busybox}
    docker_archive(shell, BUSYBOX, ("/bin/sh",), files, links)
    # a sandbox's first process has nothing to do but stay
    docker_archive(pause, PAUSE, ("/bin/sleep", "999999999"), files, links)
    return [shell, pause]


def save(engine: Podman, image: str, name: str, archive: Path) -> Path:
    """Podman's `image` as a docker archive under `name`."""
    engine.run("tag", image, name).checked()
    archive.unlink(missing_ok=True)
    engine.run("save", "--format", "docker-archive", "--output", str(archive), name).checked()
    return archive


def _write_files(folder: Path, debian: Path) -> None:
    for name in ("cni", "kubelet", "podlogs"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "cni" / "10-node.conflist").write_text(_network(folder))
    (folder / "containerd.toml").write_text(_containerd(folder, debian))
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(folder)))
    (folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_proxy(folder)))


def _network(folder: Path) -> str:
    return orjson.dumps({
        "cniVersion": "1.0.0",
        "name": "node",
        "plugins": [{
            "type": "ptp",
            "mtu": 1500,
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": str(folder / "ipam"),
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    }).decode()  # fmt: skip


def _containerd(folder: Path, debian: Path) -> str:
    """`restrict_oom_score_adj`: without CAP_SYS_RESOURCE runc ends at once, and says not why."""
    return f"""version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{debian}/usr/sbin/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{debian}/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


def _kubelet(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "address": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": 4096,
        "maxPods": 60,
        "evictionHard": dict.fromkeys(_PLENTY, "0%"),
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "resolvConf": "",
        "clusterDNS": ["10.0.0.10"],
        "podLogsDir": f"{folder}/podlogs",
        "volumePluginDir": f"{folder}/plugins",
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "5s",
        "makeIPTablesUtilChains": False,
    }


def _proxy(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(folder / "admin.kubeconfig")},
        "hostnameOverride": NAME,
        "clusterCIDR": "10.244.0.0/24",
        "conntrack": {
            "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    }  # fmt: skip
