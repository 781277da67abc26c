"""The whole of it on one real node: our image, the chart, SPIRE, an upstream, and agents.

Agents are programs of Python's standard library in our own image, under another uid: no other
image with a Python is to be had here. Names resolve nowhere, so the upstream has a fixed address.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from tests.support import containers, image, node_spire, policy_shop
from tests.support.chart import Object
from tests.support.control_plane import ControlPlane
from tests.support.ground import Told, wait_for
from tests.support.live_programs import UPSTREAM
from tests.support.node import Node, a_node, save
from tests.support.node_spire import Spire
from tests.support.policy_shop import PolicyShop
from tests.support.release import INJECT, Release
from tests.support.sidecar import records_in

REPOSITORY: Final = "k8s.local/outrider"
PYTHON: Final = "/opt/outrider/bin/python"
AGENTS: Final = "agents"
"""The labelled namespace."""
PLATFORM: Final = "platform"
"""Where the upstream is; nobody is injected there."""
UPSTREAM_ADDRESS: Final = "10.0.0.50"
STRAY_ADDRESS: Final = "10.0.0.51"
"""The same upstream by an address that no sidecar knows."""
TRIAGE: Final = f"spiffe://{node_spire.TRUST_DOMAIN}/ns/{AGENTS}/sa/triage"
SETTINGS: Final = "outrider-settings"
_UP_S: Final = 180.0
_AGENT_UID: Final = 1000


def sidecar_settings() -> Object:
    """`outrider.yaml` as the platform team would put it into the agents' namespace."""
    return {
        "profile": "development",
        "allow_plain": True,
        "policy": {
            "engine": "opa",
            "timeout_ms": 5000,  # the machine of a test may be slow; nothing is to be lost for it
            "bundle": {"url": policy_shop.URL, "ca_file": "ca.pem", "poll_s": 1},
            "signature": {"keys": {"release": {"file": "release.pem"}}},
        },
        "upstreams": {
            "desk": {
                "url": f"http://{UPSTREAM_ADDRESS}",
                "hosts": [UPSTREAM_ADDRESS],
                "networks": ["10.0.0.0/24"],
            }
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A node on which agents are injected and governed."""

    node: Node
    spire: Spire
    release: Release
    shop: PolicyShop

    @property
    def plane(self) -> ControlPlane:
        return self.node.plane

    def values(self, tag: str = "1", **changes: Any) -> Object:
        """The chart's values here; `changes` stand above them."""
        return {
            "image": {"repository": REPOSITORY, "tag": tag},
            "injector": {"replicas": 2},
            "capture": {"dnsServers": ["10.0.0.10"]},
            "identity": {
                "source": "hostPath",
                "hostPath": str(self.spire.sockets),
                "socketName": node_spire.SOCKET,
            },
            "sidecar": {"configMap": SETTINGS},
            **changes,
        }

    def pod(self, name: str) -> Object:
        return self.plane.get("pod", name, "-n", AGENTS)

    def phase(self, name: str) -> str:
        return str(self.pod(name)["status"].get("phase"))

    def logs(self, pod: str, container: str, namespace: str = AGENTS) -> str:
        return self.node.logs(namespace, pod, container).out

    def telemetry(self, pod: str, path: str = "/metrics") -> str:
        """What the pod's sidecar serves, as Prometheus would read it from the node."""
        address = self.pod(pod)["status"]["podIP"]
        url = f"http://{address}:15020{path}"
        program = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
        return self.plane.ground.run("python3", "-c", program).checked()

    def records(self, pod: str, kind: str | None = None) -> list[Any]:
        """The sidecar's chain, read off the node's disk: nobody enters the sidecar."""
        volume = self.node.kubelet_root / "pods" / self.pod(pod)["metadata"]["uid"] / "volumes"
        return records_in(volume / "kubernetes.io~empty-dir" / "outrider-state" / "audit", kind)

    def seen(self) -> list[str]:
        """The requests that reached the upstream, in order."""
        lines = self.logs("upstream", "upstream", PLATFORM).splitlines()
        return [line.removeprefix("seen ") for line in lines if line.startswith("seen ")]

    def told(self, pod: str) -> str:
        """Everything of a pod that helps to see why it is not as it should be."""
        described = self.plane.kubectl("describe", "pod", pod, "-n", AGENTS).out[-2500:]
        said = [self.logs(pod, name)[-1500:] for name in ("outrider-net-init", "outrider",
                                                         "outrider-verify", "agent")]  # fmt: skip
        return "\n".join([described, *said])

    def run_agent(self, pod: Object, *, within_s: float = 120.0) -> str:
        """A pod of an agent's, run to its end; what the agent said."""
        name = str(pod["metadata"]["name"])
        self.plane.create(pod).checked()
        try:
            wait_for(
                lambda: self.phase(name) in {"Succeeded", "Failed"}, "its end", within_s=within_s
            )
        except AssertionError as fault:
            raise AssertionError(f"{name}: {fault}\n{self.told(name)}") from fault
        return self.logs(name, "agent")

    def start_agent(self, pod: Object, *, within_s: float = 120.0) -> str:
        """A pod of an agent's that stays; its name once all of it is ready."""
        name = str(pod["metadata"]["name"])
        self.plane.create(pod).checked()
        try:
            wait_for(lambda: _is_ready(self.pod(name)), "readiness", within_s=within_s)
        except AssertionError as fault:
            raise AssertionError(f"{name}: {fault}\n{self.told(name)}") from fault
        return name

    def count(self, path: str) -> int:
        """How many requests for `path`, whatever its query, reached the upstream."""
        return sum(one.split()[1].partition("?")[0] == path for one in self.seen())

    def remove(self, name: str) -> Told:
        return self.plane.kubectl("delete", "pod", name, "-n", AGENTS, within_s=120.0)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def an_agent_pod(name: str, program: str, *, uid: int = _AGENT_UID, **spec: Any) -> Object:
    """A pod whose agent runs `program`; `labels` go to its metadata."""
    labels = spec.pop("labels", {})
    container = {
        "name": "agent",
        "image": f"{REPOSITORY}:1",
        "imagePullPolicy": "Never",
        "command": [PYTHON, "-u", "-c", program],
        "securityContext": {"runAsUser": uid, "runAsGroup": uid},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": AGENTS, "labels": {"app": name, **labels}},
        "spec": {
            "serviceAccountName": "triage",
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 20,
            "containers": [container],
            **spec,
        },
    }


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """All of it, ready for agents. Raises `UnavailableError` where a part is not to be had."""
    engine = containers.podman()
    name = image.built(engine)
    node_spire.programs()
    archives: Sequence[Path] = [
        save(engine, name, f"{REPOSITORY}:{tag}", image.archive(name, tag)) for tag in ("1", "2")
    ]
    with a_node(images=archives) as node:
        for archive in archives:
            archive.unlink()
        spire = node_spire.start(node)
        shop = PolicyShop.opened(node.plane.ground, TRIAGE)
        found = Cluster(node=node, spire=spire, release=Release(plane=node.plane), shop=shop)
        _furnish(found)
        found.release.install(found.values(), "--wait", "--timeout", "120s").checked()
        wait_for(lambda: _injects(found), "the webhook", within_s=_UP_S)
        yield found


def _injects(cluster: Cluster) -> bool:
    told = cluster.plane.create(an_agent_pod("asked", ""), "--dry-run=server", "-o", "json")
    return told.code == 0 and "initContainers" in orjson.loads(told.out)["spec"]


def _furnish(cluster: Cluster) -> None:
    plane = cluster.plane
    for name, labels in ((PLATFORM, {}), (AGENTS, {INJECT: "enabled"})):
        metadata = {"name": name, "labels": labels}
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}).checked()
        wait_for(partial(_has_account, plane, name), name, within_s=_UP_S)
    plane.kubectl("create", "serviceaccount", "triage", "-n", AGENTS).checked()
    cluster.spire.enter(AGENTS, "triage")
    plane.apply(_settings_map(cluster.shop), *_upstream()).checked()
    wait_for(
        lambda: _is_ready(plane.get("pod", "upstream", "-n", PLATFORM)), "the upstream",
        within_s=_UP_S,
    )  # fmt: skip


def _has_account(plane: ControlPlane, namespace: str) -> bool:
    return plane.kubectl("get", "serviceaccount", "default", "-n", namespace).code == 0


def _settings_map(shop: PolicyShop) -> Object:
    """The ConfigMap of the sidecars' settings, with what their policy is verified by."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SETTINGS, "namespace": AGENTS},
        "data": {"outrider.yaml": yaml.safe_dump(sidecar_settings()), **shop.texts()},
    }


def _upstream() -> list[Object]:
    pod = an_agent_pod("upstream", UPSTREAM, restartPolicy="Always")
    pod["metadata"]["namespace"] = PLATFORM
    pod["spec"]["serviceAccountName"] = "default"
    [container] = pod["spec"]["containers"]
    container["name"] = "upstream"
    container["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    return [pod, *(_service(name, address) for name, address in (
        ("upstream", UPSTREAM_ADDRESS), ("stray", STRAY_ADDRESS)))]  # fmt: skip


def _service(name: str, address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": PLATFORM},
        "spec": {
            "clusterIP": address,
            "selector": {"app": "upstream"},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    }
