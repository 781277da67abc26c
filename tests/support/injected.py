"""Pods as they reach the admission policies: injected, and one step away from it."""

import copy
from collections.abc import Callable
from typing import Any, Final

from tests.support.chart import DIGEST, Object

IMAGE: Final = f"registry.example/outrider@{DIGEST}"
PREVIOUS: Final = "registry.example/outrider@sha256:" + "b" * 64
OUTRIDER: Final = "/usr/local/bin/outrider"
VERIFY: Final = (OUTRIDER, "capture", "verify", "--mode", "transparent")
Change = Callable[[Object], object]


def a_container(name: str = "agent", **fields: Any) -> Object:
    """A container of the agent's, as the injector leaves it."""
    made: Object = {
        "name": name,
        "image": "registry.example/agent:1",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["SETUID", "SETGID", "NET_RAW"]},
        },
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
    }
    return {**made, **fields}


def a_pod(*changes: Change, cooperative: bool = False) -> Object:
    """An injected pod with `changes` made to it, in order."""
    pod: Object = {
        "metadata": {
            "name": "agent-0",
            "labels": {"app": "agent", "outrider.dev/injected": "true"},
            "annotations": {"outrider.dev/status": '{"version":1}'},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": 1000},
            "initContainers": [_sidecar()] if cooperative else [_net_init(), _sidecar(), _verify()],
            "containers": [a_container()],
            "volumes": [
                {"name": "outrider-run", "emptyDir": {"medium": "Memory"}},
                {"name": "outrider-state", "emptyDir": {}},
                {"name": "spiffe-workload-api", "csi": {"driver": "csi.spiffe.io"}},
                {"name": "work", "emptyDir": {}},
            ],
        },
    }
    pod = copy.deepcopy(pod)
    for change in changes:
        change(pod)
    return pod


def _net_init() -> Object:
    made = _ours("outrider-net-init", "/usr/bin/nft", uid=65534)
    made["args"] = ["table inet outrider\ndelete table inet outrider\n"]
    made["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]
    return made


def _sidecar() -> Object:
    return {
        **_ours("outrider", OUTRIDER, "run", uid=2102),
        "restartPolicy": "Always",
        "startupProbe": {"httpGet": {"path": "/readyz", "port": 15020}},
        "env": [{"name": "OUTRIDER_DATA_DIR", "value": "/var/lib/outrider"}],
        "volumeMounts": [
            {"name": "outrider-run", "mountPath": "/run/outrider"},
            {"name": "outrider-state", "mountPath": "/var/lib/outrider"},
            {"name": "spiffe-workload-api", "mountPath": "/spiffe-workload-api"},
        ],
    }


def _verify() -> Object:
    return _ours("outrider-verify", *VERIFY, uid=65534)


def _ours(name: str, *command: str, uid: int) -> Object:
    return {
        "name": name,
        "image": IMAGE,
        "command": list(command),
        "securityContext": {
            "runAsUser": uid,
            "runAsGroup": uid,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def agent(**fields: Any) -> Change:
    """The agent's container with `fields` laid over it; None takes one away."""

    def change(pod: Object) -> None:
        for name, value in fields.items():
            if value is None:
                pod["spec"]["containers"][0].pop(name, None)
            else:
                pod["spec"]["containers"][0][name] = value

    return change


def secured(**fields: Any) -> Change:
    """The agent's security context with `fields` laid over it."""
    return lambda pod: pod["spec"]["containers"][0]["securityContext"].update(fields)


def capabilities(*, add: tuple[str, ...] = (), drop: tuple[str, ...] | None = None) -> Change:
    """The agent's capabilities."""
    dropped = ["SETUID", "SETGID", "NET_RAW"] if drop is None else list(drop)
    return secured(capabilities={"add": list(add), "drop": dropped})


def spec(**fields: Any) -> Change:
    """Fields of the pod's specification."""
    return lambda pod: pod["spec"].update(fields)


def mounted(volume: Object, *, in_init: bool = False) -> Change:
    """A volume that the agent mounts; one that is there already is mounted as it is."""

    def change(pod: Object) -> None:
        if len(volume) > 1:
            pod["spec"]["volumes"].append(volume)
        target = pod["spec"]["containers"][0]
        if in_init:
            target = a_container("prepare")
            pod["spec"]["initContainers"].append(target)
        target["volumeMounts"].append({"name": volume["name"], "mountPath": "/m"})

    return change


def init(index: int, **fields: Any) -> Change:
    """An init container at `index` with `fields` laid over it."""
    return lambda pod: pod["spec"]["initContainers"][index].update(fields)


def ephemeral(**fields: Any) -> Change:
    """A debugging container beside the agent, as `kubectl debug --profile=restricted` makes it."""
    one = {
        "name": "debugger-1",
        "image": "registry.example/tools:1",
        "targetContainerName": "agent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **fields,
    }
    return lambda pod: pod["spec"].setdefault("ephemeralContainers", []).append(one)


def init_secured(index: int, **fields: Any) -> Change:
    """The security context of an init container at `index` with `fields` laid over it."""
    return lambda pod: pod["spec"]["initContainers"][index]["securityContext"].update(fields)
