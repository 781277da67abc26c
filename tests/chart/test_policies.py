"""The admission policies, rule by rule of KUBERNETES §6: what they deny, and the near miss."""

from functools import cache

import pytest

from tests.support.admission_hostile import (
    LOCAL_VOLUMES,
    NODE_ASKS_THE_POD,
    NODE_CONNECTS,
    NODE_LISTENS,
    NODE_LISTENS_NOT,
    REMOTE_VOLUMES,
)
from tests.support.chart import NAMESPACE, RENDERS, Object, Render, objects
from tests.support.injected import (
    IMAGE,
    PREVIOUS,
    VERIFY,
    Change,
    a_container,
    a_pod,
    agent,
    capabilities,
    ephemeral,
    init,
    init_secured,
    mounted,
    secured,
    spec,
)
from tests.support.vap import Policies, Request


@cache
def policies(name: str = "exceptions", *sets: str) -> Policies:
    return Policies(objects(Render(files=RENDERS[name].files, sets=sets)))


def rules(messages: list[str]) -> list[int]:
    return sorted({int(one.removeprefix("outrider rule ").split(":")[0]) for one in messages})


def _unspiffed(pod: Object) -> None:
    pod["spec"]["volumes"] = [one for one in pod["spec"]["volumes"] if "csi" not in one]


def _reordered(pod: Object) -> None:
    pod["spec"]["initContainers"].insert(0, a_container("vault-agent-init"))


def _mesh_after(pod: Object) -> None:
    pod["spec"]["initContainers"].append(a_container("mesh-init"))


def _token(pod: Object) -> None:
    volume = {
        "name": "kube-api-access-x7k2p",
        "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
    }
    mounted(volume)(pod)


def _own_user(*, as_init: bool) -> Change:
    """All but one container say who they are."""

    def change(pod: Object) -> None:
        pod["spec"].pop("securityContext")
        secured(runAsUser=1000)(pod)
        pod["spec"]["initContainers" if as_init else "containers"].append(a_container("other"))

    return change


def _token_for_ours(pod: Object) -> None:
    mount = {"name": "work", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    for one in pod["spec"]["initContainers"]:
        one.setdefault("volumeMounts", []).append(mount)


def _resourced(name: str) -> Change:
    """A volume under a name of ours that holds what its author put there."""

    def change(pod: Object) -> None:
        kept = [one for one in pod["spec"]["volumes"] if one["name"] != name]
        claim = {"name": name, "persistentVolumeClaim": {"claimName": "mine"}}
        pod["spec"]["volumes"] = [*kept, claim]

    return change


DRIVER = {"name": "other", "csi": {"driver": "csi.spiffe.io"}}
SECRET = {"name": "keys", "secret": {"secretName": "upstream"}}
PROJECTED = {"name": "keys", "projected": {"sources": [{"secret": {"name": "upstream"}}]}}
CERTIFICATE = {
    "name": "keys",
    "projected": {"sources": [{"podCertificate": {"signerName": "x/y"}}]},
}
CONFIG = {"name": "conf", "configMap": {"name": "settings"}}
FROM_SECRET = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "upstream", "key": "k"}}}
FROM_CONFIG = {"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "u"}}}


def _file(volume: str) -> Object:
    return {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": "p"}}}


def host(path: str) -> Object:
    return {"name": "node", "hostPath": {"path": path}}


PROBE = {"exec": {"command": ["/bin/sh"]}}


def _weaker(index: int, name: str) -> dict[str, Change]:
    """What none of our containers may be."""
    return {
        f"{name}-with-all-of-proc": init_secured(index, procMount="Unmasked"),
        f"{name}-that-writes-its-root": init_secured(index, readOnlyRootFilesystem=False),
        f"{name}-unconfined": init_secured(index, seccompProfile={"type": "Unconfined"}),
        f"{name}-with-the-pods-profile": init_secured(index, seccompProfile=None),
        f"{name}-in-another-group": init_secured(index, runAsGroup=1000),
        f"{name}-in-the-images-group": init_secured(index, runAsGroup=None),
        f"{name}-ends-in-a-file": init(index, terminationMessagePath="/usr/lib/x"),
    }


# Our image alone frees nobody: the sidecar with one thing of an author's.
MISSHAPEN: dict[str, Change] = {
    "the-sidecar-with-another-command": init(1, command=["/usr/local/bin/python3", "-c", "0"]),
    "the-sidecar-with-no-command": lambda pod: pod["spec"]["initContainers"][1].pop("command"),
    "the-sidecar-with-arguments": init(1, args=["--help"]),
    "the-sidecar-privileged": init_secured(1, privileged=True),
    "the-sidecar-may-gain-privileges": init_secured(1, allowPrivilegeEscalation=True),
    "the-sidecar-as-root": init_secured(1, runAsUser=0),
    "the-sidecar-drops-little": init_secured(1, capabilities={"drop": ["NET_RAW"]}),
    "the-sidecar-adds": init_secured(1, capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    "the-sidecar-with-a-hook": init(1, lifecycle={"postStart": PROBE}),
    **{f"the-sidecar-with-an-exec-{one}": init(1, **{one: PROBE})
       for one in ("startupProbe", "livenessProbe", "readinessProbe")},
    "the-sidecar-with-a-whole-environment": init(1, envFrom=[{"configMapRef": {"name": "x"}}]),
    "the-sidecar-with-a-loaders-variable": init(1, env=[{"name": "LD_PRELOAD", "value": "/x"}]),
    "the-sidecar-with-an-authors-volume": init(
        1, volumeMounts=[{"name": "work", "mountPath": "/run/outrider"}]),
    "the-sidecar-with-our-volume-elsewhere": init(
        1, volumeMounts=[{"name": "outrider-state", "mountPath": "/usr/local/bin"}]),
    **{f"the-sidecar-with-its-{name}-at-{path}": init(
        1, volumeMounts=[{"name": name, "mountPath": path}]) for name, path in (
            ("outrider-state", "/etc/outrider"), ("outrider-run", "/etc/outrider-policy"),
            ("outrider-state", "/var/lib/outrider/"), ("outrider-run", "/spiffe-workload-api"))},
    "the-sidecar-with-a-part-of-its-volume": init(1, volumeMounts=[
        {"name": "outrider-state", "mountPath": "/var/lib/outrider", "subPath": "x"}]),
    "the-sidecar-with-no-start": lambda pod: pod["spec"]["initContainers"][1].pop("startupProbe"),
    "the-sidecar-started-by-a-port": init(1, startupProbe={"tcpSocket": {"port": 15020}}),
    **{f"the-sidecar-{name}": init(1, **fields)
       for name, fields in (*NODE_CONNECTS.items(), *NODE_LISTENS.items())},
    **_weaker(1, "the-sidecar"),
}  # fmt: skip
MISSHAPEN_HELPERS: dict[str, Change] = {
    **_weaker(0, "net-init"),
    **_weaker(2, "verify"),
    "net-init-with-another-command": init(0, command=["/usr/local/bin/outrider"]),
    "net-init-with-a-file": init(0, args=["-f", "/work/rules"]),
    "net-init-as-root": init_secured(0, runAsUser=0),
    "net-init-for-which-the-node-listens": init(0, **NODE_LISTENS["host-port"]),
    "verify-for-which-the-node-connects": init(
        2, command=[*VERIFY, "--watch"], restartPolicy="Always",
        startupProbe={"exec": {"command": list(VERIFY)}},
        readinessProbe={"tcpSocket": {"host": "192.0.2.66", "port": 80}}),
    "net-init-goes-on": init(0, restartPolicy="Always"),
    "net-init-with-a-volume": init(0, volumeMounts=[{"name": "work", "mountPath": "/w"}]),
    "verify-with-another-command": init(2, command=["/bin/true"]),
    "verify-of-no-mode": init(2, command=list(VERIFY[:-1])),
    "verify-cooperative": init(2, command=[*VERIFY[:-1], "cooperative"]),
    "verify-as-another": init_secured(2, runAsUser=1000),
    "verify-that-nobody-waits-for": init(2, command=[*VERIFY, "--watch"], restartPolicy="Always"),
    "verify-proven-by-another": init(
        2, command=[*VERIFY, "--watch"], restartPolicy="Always", startupProbe=PROBE),
}  # fmt: skip


def aliases(pod: Object) -> None:
    pod["spec"]["hostAliases"] = [{"ip": "198.51.100.7", "hostnames": ["api.example.com"]}]


def option(name: str, value: str | None = None) -> Change:
    made = {"name": name} if value is None else {"name": name, "value": value}
    return spec(dnsConfig={"options": [made]})


def _beside(**fields: object) -> Change:
    """An init container of the author's."""
    return lambda pod: pod["spec"]["initContainers"].append(a_container("prepare", **fields))


DENIED: list[tuple[str, int, Change]] = [
    *((name, 1, change) for name, change in MISSHAPEN.items()),
    ("no-sidecar", 1, lambda pod: pod["spec"].pop("initContainers")),
    ("plain-init-container", 1, lambda pod: [
        pod["spec"]["initContainers"][1].pop(one) for one in ("restartPolicy", "startupProbe")]),
    ("another-image", 1, init(1, image="registry.example/outrider@sha256:" + "c" * 64)),
    ("image-of-another-registry", 1, init(1, image=IMAGE.replace("registry.", "evil."))),
    ("ours-by-tag", 1, init(1, image="registry.example/outrider:0.1.0")),
    ("something-before-us", 2, _reordered),
    ("no-verify", 2, lambda pod: pod["spec"]["initContainers"].pop(2)),
    *((name, 2, change) for name, change in MISSHAPEN_HELPERS.items()),
    ("fake-net-init", 2, init(0, image="registry.example/agent:1")),
    ("fake-verify", 2, init(2, image="registry.example/agent:1")),
    ("host-network", 3, spec(hostNetwork=True)),
    ("host-pid", 3, spec(hostPID=True)),
    ("host-ipc", 3, spec(hostIPC=True)),
    ("shared-processes", 3, spec(shareProcessNamespace=True)),
    ("our-uid", 4, secured(runAsUser=2102)),
    ("our-gid", 4, secured(runAsGroup=2102)),
    ("our-uid-for-the-pod", 4, spec(securityContext={"runAsUser": 2102})),
    ("our-gid-for-the-pod", 4, spec(securityContext={"runAsGroup": 2102})),
    ("our-gid-for-files", 4, spec(securityContext={"fsGroup": 2102})),
    ("our-gid-beside", 4, spec(securityContext={"supplementalGroups": [1, 2102]})),
    ("our-uid-under-our-name", 4, lambda pod: pod["spec"]["containers"].append(
        a_container("outrider-verify2", securityContext={
            "runAsUser": 2102, "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]}}))),
    ("the-images-own-user", 4, spec(securityContext={})),
    ("the-images-own-user-though-not-root", 4, spec(securityContext={"runAsNonRoot": True})),
    ("the-images-own-user-in-an-init-container", 4, _own_user(as_init=True)),
    ("the-images-own-user-beside-another", 4, _own_user(as_init=False)),
    ("root", 4, secured(runAsUser=0)),
    ("root-for-the-pod", 4, spec(securityContext={"runAsUser": 0})),
    ("root-in-an-init-container", 4, lambda pod: pod["spec"]["initContainers"].append(
        a_container("other", securityContext={
            "runAsUser": 0, "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]}}))),
    ("privileged", 5, secured(privileged=True)),
    *((f"adds-{name}", 5, capabilities(add=(name,))) for name in (
        "NET_ADMIN", "NET_RAW", "SETUID", "SETGID", "SYS_ADMIN", "SYS_PTRACE", "ALL",
        "CAP_NET_ADMIN", "net_admin", "cap_SetUid", "SYS_MODULE", "DAC_READ_SEARCH", "SYS_RAWIO",
        "BPF", "PERFMON", "SYS_BOOT", "CHECKPOINT_RESTORE", "SETFCAP", "SETPCAP", "UNHEARD_OF")),
    ("all-of-proc", 5, secured(procMount="Unmasked")),
    ("drops-nothing", 6, agent(securityContext={})),
    ("no-security-context", 6, agent(securityContext=None)),
    ("may-gain-privileges", 6, secured(allowPrivilegeEscalation=True)),
    ("does-not-say-it-gains-none", 6, agent(securityContext={"capabilities": {"drop": ["ALL"]}})),
    ("keeps-net-raw", 6, capabilities(drop=("SETUID", "SETGID"))),
    ("mounts-our-run-folder", 7, mounted({"name": "outrider-run"})),
    ("mounts-our-state", 7, mounted({"name": "outrider-state"})),
    ("mounts-the-workload-api", 7, mounted({"name": "spiffe-workload-api"})),
    ("mounts-it-in-an-init-container", 7, mounted({"name": "spiffe-workload-api"}, in_init=True)),
    ("the-driver-by-another-name", 7, mounted(DRIVER)),
    *((f"the-node-at-{path}", 7, mounted(host(path))) for path in (
        "/", "/run", "/run/spire", "/run/spire/agent-sockets", "/run/spire/agent-sockets/",
        "/run/spire/agent-sockets/x", "//run/./spire", "/var/run/spire", "/var", "/var/run",
        "/var/lib/kubelet/pods", "/var/lib", "/.", "/proc/1/root", "/run/containerd", "/etc",
        "/dev", "/var/run/docker.sock", "/srv/data")),
    *((f"the-node-connects-{kind}", 7, mounted({"name": "v", kind: source}))
      for kind, source in REMOTE_VOLUMES.items()),
    ("another-driver", 7, mounted({"name": "shares", "csi": {"driver": "nfs.csi.k8s.io"}})),
    ("nfs-in-an-init-container", 7, mounted(
        {"name": "v", "nfs": REMOTE_VOLUMES["nfs"]}, in_init=True)),
    *((f"{name}-is-another-kind", 7, _resourced(name)) for name in (
        "outrider-run", "outrider-state", "outrider-config", "spiffe-workload-api")),
    ("the-node-as-a-device", 7, lambda pod: (
        pod["spec"]["volumes"].append(host("/dev/sda")),
        agent(volumeDevices=[{"name": "node", "devicePath": "/dev/x"}])(pod))),
    ("reads-our-state-into-environment", 7, agent(env=[_file("outrider-state")])),
    ("reads-our-run-folder-into-environment", 7, agent(env=[_file("outrider-run")])),
    ("token", 10, _token),
    ("key-and-certificate", 10, mounted(CERTIFICATE)),
    ("secret-volume", 11, mounted(SECRET)),
    ("projected-secret", 11, mounted(PROJECTED)),
    ("secret-in-environment", 12, agent(env=[FROM_CONFIG, FROM_SECRET])),
    ("whole-secret-in-environment", 12, agent(envFrom=[{"secretRef": {"name": "upstream"}}])),
    ("host-aliases", 13, aliases),
    ("search-list", 13, spec(dnsConfig={"searches": ["evil.example"]})),
    *((f"{name}={value}", 13, option(name, value)) for name, value in (
        ("ndots", "6"), ("ndots", "15"), ("ndots", "5 "), ("ndots", "x"), ("ndots", None),
        ("ndots:15", None), ("ndots:15", "1"), ("rotate\nsearch evil.example", None),
        ("timeout", "1\nsearch evil.example"), ("rotate ndots", "9"))),
    *((f"the-node-connects-{name}", 14, agent(**fields)) for name, fields in NODE_CONNECTS.items()),
    ("the-node-connects-for-an-init-container", 14, _beside(restartPolicy="Always", startupProbe={
        "httpGet": {"host": "192.0.2.66", "port": 80}})),
    *((f"the-node-listens-{name}", 14, agent(**fields)) for name, fields in NODE_LISTENS.items()),
    ("the-node-listens-for-an-init-container", 14, _beside(
        ports=[{"containerPort": 1, "hostPort": 65535}])),
]  # fmt: skip

INVALID = frozenset({
    "privileged", "the-sidecar-privileged", "all-of-proc", "the-sidecar-with-all-of-proc",
    "net-init-with-all-of-proc", "verify-with-all-of-proc",
    "the-node-as-a-device",
    "reads-our-state-into-environment", "reads-our-run-folder-into-environment",
    "reads-its-own-file-into-environment", "a-volume-of-kind-image",
})  # fmt: skip
"""What an API server refuses by itself, before any policy is asked."""
UNKNOWN = frozenset({"key-and-certificate"})
"""What 1.34 takes out of a pod without a word: its feature is off there."""

LET_IN: list[tuple[str, int, Change]] = [
    ("injected", 0, lambda _: None),
    ("previous-release", 1, lambda pod: [
        one.update(image=PREVIOUS) for one in pod["spec"]["initContainers"]]),
    ("mesh-after-us", 2, _mesh_after),
    ("the-token-that-the-server-mounts-into-ours", 1, _token_for_ours),
    ("ours-with-every-default-written-out", 1, lambda pod: [
        (one.update(terminationMessagePath="/dev/termination-log"),
         one["securityContext"].update(procMount="Default", privileged=False))
        for one in pod["spec"]["initContainers"]]),
    ("watched", 2, init(2, command=[*VERIFY, "--watch"], restartPolicy="Always",
                        startupProbe={"exec": {"command": list(VERIFY)}})),
    ("nothing-of-the-node-written-out", 3, spec(
        hostNetwork=False, hostPID=False, hostIPC=False, shareProcessNamespace=False)),
    ("the-next-uid", 4, secured(runAsUser=2103, runAsGroup=2103)),
    ("the-next-group", 4, spec(
        securityContext={"runAsUser": 1000, "fsGroup": 2103, "supplementalGroups": [2101]})),
    ("a-user-for-the-container-alone", 4, lambda pod: (
        pod["spec"].pop("securityContext"), secured(runAsUser=1000)(pod))),
    ("root-of-the-pod-that-no-container-is", 4, lambda pod: (
        pod["spec"]["securityContext"].update(runAsUser=0), secured(runAsUser=1000)(pod))),
    ("what-baseline-lets-be", 5, capabilities(add=("CHOWN", "cap_kill", "CAP_SYS_CHROOT"))),
    ("the-usual-proc", 5, secured(procMount="Default")),
    ("binds-low-ports", 5, capabilities(add=("NET_BIND_SERVICE",), drop=("ALL",))),
    ("the-three-by-name", 6, capabilities(drop=("NET_RAW", "SETGID", "SETUID", "MKNOD"))),
    ("a-driver-that-is-listed", 7, mounted(
        {"name": "shares", "csi": {"driver": "shares.csi.example"}})),
    *((f"a-volume-of-kind-{kind}", 7, mounted({"name": "v", kind: source}))
      for kind, source in (*LOCAL_VOLUMES.items(), ("image", {"reference": "r.example/data:1"}))),
    ("a-volume-of-no-kind", 7, mounted({"name": "v", "nfs": None})),
    ("nfs-that-nobody-mounts", 7, lambda pod: pod["spec"]["volumes"].append(
        {"name": "v", "nfs": REMOTE_VOLUMES["nfs"]})),
    ("a-folder-of-the-node-that-nobody-mounts", 7, lambda pod: pod["spec"]["volumes"].append(
        host("/srv/data"))),
    ("reads-its-own-file-into-environment", 7, agent(env=[_file("work")])),
    ("no-token", 10, spec(automountServiceAccountToken=False)),
    ("a-token-nobody-mounts", 10, lambda pod: pod["spec"]["volumes"].append(
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
    ("config-map", 11, mounted(CONFIG)),
    ("pull-secret", 11, spec(imagePullSecrets=[{"name": "registry"}])),
    ("config-in-environment", 12, agent(
        env=[FROM_CONFIG], envFrom=[{"configMapRef": {"name": "settings"}}])),
    *((f"{name}={value}", 13, option(name, value)) for name, value in (
        ("ndots", "5"), ("ndots", "1"), ("timeout", "30"), ("single-request-reopen", None))),
    *((f"the-node-asks-the-pod-{name}", 14, agent(**fields))
      for name, fields in NODE_ASKS_THE_POD.items()),
    *((f"the-node-listens-not-{name}", 14, agent(**fields))
      for name, fields in NODE_LISTENS_NOT.items()),
    ("a-port-of-an-init-container", 14, _beside(ports=[{"containerPort": 1}])),
]  # fmt: skip


@pytest.mark.parametrize(("servers", "denied"), [
    pytest.param([], False, id="none"),
    pytest.param(["10.96.0.10"], False, id="the-platforms"),
    pytest.param(["10.96.0.10", "198.51.100.66"], True, id="one-of-its-own-besides"),
    pytest.param(["198.51.100.66"], True, id="of-its-own-choice"),
])  # fmt: skip
def test_name_servers_are_the_platforms_where_it_names_them(
    servers: list[str], denied: bool
) -> None:
    pod = a_pod(spec(dnsPolicy="None", dnsConfig={"nameservers": servers}))
    named = policies("exceptions", "capture.dnsServers={10.96.0.10,fd00::a}")
    assert rules(named.denials(Request(object=pod))) == ([13] if denied else [])
    assert named.denials(Request(object=pod, namespace="lab")) == []
    assert policies().denials(Request(object=pod)) == []


@pytest.mark.parametrize(("rule", "change"), [
    pytest.param(rule, change, id=f"{rule}-{name}") for name, rule, change in DENIED
])  # fmt: skip
def test_a_pod_that_breaks_a_rule_is_denied(rule: int, change: Change) -> None:
    messages = policies().denials(Request(object=a_pod(change)))
    assert rule in rules(messages)
    assert set(messages) <= policies().messages
    if rule not in {1, 2}:  # what is not ours breaks further rules
        assert rules(messages) == [rule]


@pytest.mark.parametrize("change", [
    pytest.param(change, id=f"{rule}-{name}") for name, rule, change in LET_IN
])  # fmt: skip
def test_a_near_miss_is_let_in(change: Change) -> None:
    assert policies().denials(Request(object=a_pod(change))) == []


def _as_app(pod: Object) -> None:
    fake = a_container("outrider-verify", image="registry.example/agent:1")
    fake["securityContext"]["privileged"] = True
    pod["spec"]["containers"].append(fake)


def _ours_as_app(pod: Object) -> None:
    fake = a_container("outrider", image=IMAGE)
    fake["securityContext"]["runAsUser"] = 2102
    pod["spec"]["containers"].append(fake)


HOSTILE: list[tuple[str, set[int], Change, bool]] = [
    ("our-name-among-the-app-containers", {5}, _as_app, True),
    ("our-name-and-image-among-the-app-containers", {4}, _ours_as_app, False),
    ("a-fake-of-another-image-holds-our-volumes", {1, 4, 7}, init(1, image="evil/outrider"), False),
]


@pytest.mark.parametrize(("expected", "change", "cooperative"), [
    pytest.param(expected, change, cooperative, id=name)
    for name, expected, change, cooperative in HOSTILE
])  # fmt: skip
def test_a_name_of_ours_frees_nobody(expected: set[int], change: Change, cooperative: bool) -> None:
    rendered = policies("cooperative") if cooperative else policies()
    image = "localhost/outrider:0.1.0"
    pod = a_pod(*([init(0, image=image)] if cooperative else []), change, cooperative=cooperative)
    assert expected <= set(rules(rendered.denials(Request(object=pod))))


@pytest.mark.parametrize(("change", "namespace", "rule"), [
    pytest.param(_token, "legacy", 10, id="token"),
    pytest.param(mounted(SECRET), "legacy", 11, id="secret-volume"),
    pytest.param(agent(env=[FROM_SECRET]), "legacy", 12, id="secret-environment"),
])  # fmt: skip
def test_secrets_are_let_in_where_the_platform_lists_the_namespace(
    change: Change, namespace: str, rule: int
) -> None:
    pod = a_pod(change)
    assert policies().denials(Request(object=pod, namespace=namespace)) == []
    assert rules(policies().denials(Request(object=pod, namespace="agents"))) == [rule]


def test_a_classic_sidecar_stands_only_where_the_platform_lists_the_namespace() -> None:
    def classic(pod: Object) -> None:
        inits = pod["spec"]["initContainers"]
        sidecar = inits.pop(1)
        del sidecar["restartPolicy"], inits[1]
        pod["spec"]["containers"].append(sidecar)

    pod = a_pod(classic)
    assert policies().denials(Request(object=pod, namespace="old-nodes")) == []
    assert {1, 2, 4} <= set(rules(policies().denials(Request(object=pod, namespace="agents"))))
    pod["spec"]["containers"][-1]["command"] = ["/bin/sh"]
    assert {1, 4, 7} <= set(rules(policies().denials(Request(object=pod, namespace="old-nodes"))))


MESH = "registry.example/mesh/proxy@sha256:" + "d" * 64


def _trusted(image: str, *changes: Change) -> Change:
    def change(pod: Object) -> None:
        one = a_container("istio-proxy", image=image, securityContext={}, volumeMounts=[])
        holder: Object = {"spec": {"containers": [one], "volumes": pod["spec"]["volumes"]}}
        for step in changes:
            step(holder)
        pod["spec"]["containers"].append(one)

    return change


@pytest.mark.parametrize(("rule", "change"), [
    pytest.param(5, capabilities(add=("SETUID",)), id="capabilities"),
    pytest.param(4, secured(runAsUser=0), id="root"),
    pytest.param(6, agent(securityContext={}), id="drops-nothing"),
    pytest.param(7, mounted({"name": "outrider-run"}), id="the-run-folder"),
    pytest.param(10, _token, id="token"),
    pytest.param(11, mounted(SECRET), id="secret"),
    pytest.param(12, agent(env=[FROM_SECRET]), id="secret-environment"),
])  # fmt: skip
def test_a_container_of_the_platform_is_freed_by_name_and_image(rule: int, change: Change) -> None:
    own = a_pod(_trusted(MESH, change))
    foreign = a_pod(_trusted("registry.example/mesh/proxy-evil@sha256:0", change))
    assert policies().denials(Request(object=own)) == []
    assert rule in rules(policies().denials(Request(object=foreign)))


def test_a_container_of_the_platform_says_its_user_too() -> None:
    def own_users(pod: Object) -> None:
        pod["spec"].pop("securityContext")
        secured(runAsUser=1000)(pod)

    for change, found in ((lambda _: None, [4]), (secured(runAsUser=100), [])):
        pod = a_pod(own_users, _trusted(MESH, change))
        assert rules(policies().denials(Request(object=pod))) == found
        assert policies().denials(Request(object=pod, namespace="lab")) == []


@pytest.mark.parametrize(("rule", "change"), [
    pytest.param(4, secured(runAsUser=2102), id="our-uid"),
    pytest.param(7, mounted({"name": "spiffe-workload-api"}), id="the-workload-api"),
    pytest.param(7, mounted({"name": "outrider-state"}), id="our-state"),
    pytest.param(7, mounted(host("/srv/data")), id="the-node"),
    pytest.param(7, mounted({"name": "n", "nfs": REMOTE_VOLUMES["nfs"]}), id="nfs"),
    pytest.param(14, agent(**NODE_CONNECTS["preStop-httpGet"]), id="the-node-connects"),
    pytest.param(14, agent(**NODE_LISTENS["host-port"]), id="the-node-listens"),
    pytest.param(5, secured(privileged=True), id="privileged"),
    pytest.param(5, capabilities(add=("NET_ADMIN",)), id="net-admin"),
    pytest.param(5, capabilities(add=("SYS_ADMIN",)), id="sys-admin"),
])  # fmt: skip
def test_a_container_of_the_platform_is_not_freed_of_the_rest(rule: int, change: Change) -> None:
    assert rules(policies().denials(Request(object=a_pod(_trusted(MESH, change))))) == [rule]


PLAIN: Object = {"metadata": {"name": "p", "labels": {}}, "spec": {"containers": [a_container()]}}


def labelled(value: str | None, *, pod: Object = PLAIN) -> Object:
    labels = {} if value is None else {"outrider.dev/inject": value}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


SCOPE: list[tuple[str, str | None, str | None, str, bool]] = [
    ("labelled-namespace", "enabled", None, "agents", True),
    ("unknown-value-counts-as-enabled", "maybe", None, "agents", True),
    ("opt-out-that-nobody-allowed", "enabled", "disabled", "agents", True),
    ("opt-out-that-the-platform-allowed", "enabled", "disabled", "sandbox", False),
    ("sandbox-without-opting-out", "enabled", None, "sandbox", True),
    ("labelled-pod", None, "enabled", "agents", True),
    ("labelled-pod-in-a-disabled-namespace", "disabled", "enabled", "agents", True),
    ("misspelt-pod", None, "Enabled", "agents", True),
    ("nobody-is-labelled", None, None, "agents", False),
    ("disabled-namespace", "disabled", None, "agents", False),
    ("disabled-pod-elsewhere", None, "disabled", "agents", False),
    ("the-release-itself", "enabled", None, NAMESPACE, False),
    ("kube-system", "enabled", "enabled", "kube-system", False),
]


@pytest.mark.parametrize(("of_namespace", "of_pod", "namespace", "judged"), [
    pytest.param(*row[1:], id=row[0]) for row in SCOPE
])  # fmt: skip
def test_who_is_judged(
    of_namespace: str | None, of_pod: str | None, namespace: str, judged: bool
) -> None:
    request = Request(
        object=labelled(of_pod),
        namespace=namespace,
        labels={} if of_namespace is None else {"outrider.dev/inject": of_namespace},
    )
    assert (1 in rules(policies().denials(request))) is judged


MIRROR = {**PLAIN, "metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}}


def test_a_mirror_pod_is_let_in_from_the_kubelet_alone() -> None:
    kubelet = Request(object=MIRROR, groups=("system:nodes", "system:authenticated"))
    author = Request(object=MIRROR)
    other = Request(object=PLAIN, groups=("system:nodes",))
    assert policies().denials(kubelet) == []
    assert 1 in rules(policies().denials(author))
    assert 1 in rules(policies().denials(other))


def _debugger(**fields: object) -> Change:
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **fields}
    return ephemeral(securityContext=context)


def _nobody(pod: Object) -> None:
    """A pod whose containers each say who they are, for there is no user of the pod's."""
    pod["spec"].pop("securityContext")
    secured(runAsUser=1000)(pod)


@pytest.mark.parametrize(("changes", "denied"), [
    pytest.param((ephemeral(),), False, id="kubectl-debug-of-the-app"),
    *(pytest.param((ephemeral(targetContainerName=name),), True, id=f"targets-{name}") for name in (
        "outrider", "outrider-net-init", "outrider-verify", "istio-proxy", "log-shipper")),
    pytest.param((ephemeral(targetContainerName="istio-proxy2"),), False, id="targets-another"),
    pytest.param((_debugger(runAsUser=2102),), True, id="our-uid"),
    pytest.param((_debugger(runAsUser=0),), True, id="root"),
    pytest.param((_debugger(runAsUser=1001),), False, id="another-user"),
    pytest.param((_debugger(privileged=True),), True, id="privileged"),
    pytest.param((_nobody, _debugger()), True, id="the-images-own-user"),
    pytest.param((_nobody, _debugger(runAsUser=1000)), False, id="a-user-of-its-own"),
    pytest.param((_debugger(allowPrivilegeEscalation=True),), True, id="may-gain-privileges"),
    pytest.param((ephemeral(securityContext={"capabilities": {"drop": ["ALL"]}}),), True,
                 id="does-not-say-it-gains-none"),
    pytest.param((_debugger(capabilities={"drop": ["ALL"], "add": ["BPF"]}),), True, id="bpf"),
    pytest.param((mounted(host("/etc")), ephemeral(
        volumeMounts=[{"name": "node", "mountPath": "/m"}])), True, id="the-node"),
    pytest.param((lambda pod: pod["spec"]["volumes"].append(
        {"name": "n", "nfs": REMOTE_VOLUMES["nfs"]}), ephemeral(
        volumeMounts=[{"name": "n", "mountPath": "/m"}])), True, id="nfs"),
    *(pytest.param((ephemeral(**fields),), True, id=f"the-node-{name}") for name, fields in (
        ("connects", NODE_CONNECTS["livenessProbe-httpGet"]),
        ("connects-for-a-hook", NODE_CONNECTS["postStart-tcpSocket"]),
        ("listens", NODE_LISTENS["host-port"]))),
    pytest.param((_debugger(capabilities={"drop": ["ALL"], "add": ["SYS_PTRACE"]}),), True,
                 id="traces-others"),
    pytest.param((ephemeral(securityContext={}),), True, id="drops-nothing"),
    pytest.param((ephemeral(volumeMounts=[{"name": "outrider-run", "mountPath": "/m"}]),),
                 True, id="our-run-folder"),
    pytest.param((ephemeral(volumeMounts=[{"name": "spiffe-workload-api", "mountPath": "/m"}]),),
                 True, id="the-workload-api"),
    pytest.param((ephemeral(env=[FROM_SECRET]),), True, id="secret-environment"),
    pytest.param((mounted(SECRET), ephemeral(volumeMounts=[{"name": "keys", "mountPath": "/m"}])),
                 True, id="secret-volume"),
    pytest.param((_token, ephemeral(
        volumeMounts=[{"name": "kube-api-access-x7k2p", "mountPath": "/m"}])), True, id="token"),
    pytest.param((ephemeral(name="istio-proxy", image=MESH, securityContext={}),),
                 True, id="the-platforms-name"),
])  # fmt: skip
def test_rule_8_judges_ephemeral_containers(changes: tuple[Change, ...], denied: bool) -> None:
    request = Request(
        object=a_pod(*changes), old=a_pod(), operation="UPDATE", resource="pods/ephemeralcontainers"
    )
    assert rules(policies().denials(request)) == ([8] if denied else [])


OPT_IN, INJECTED = "outrider.dev/inject", "outrider.dev/injected"


@pytest.mark.parametrize(("image", "other", "denied"), [
    pytest.param(MESH, "registry.example/evil:1", True, id="the-platforms"),
    pytest.param(MESH, MESH.replace("d", "e"), True, id="the-platforms-to-another-release"),
    pytest.param(MESH, MESH, False, id="the-platforms-unchanged"),
    pytest.param("registry.example/agent:1", "registry.example/evil:1", False, id="its-name-alone"),
])  # fmt: skip
@pytest.mark.parametrize("group", ["containers", "initContainers"])
def test_the_image_of_a_container_of_the_platform_stays(
    group: str, image: str, other: str, denied: bool
) -> None:
    def mesh(of: str) -> Change:
        return lambda pod: pod["spec"][group].append(a_container("istio-proxy", image=of))

    request = Request(object=a_pod(mesh(other)), old=a_pod(mesh(image)), operation="UPDATE")
    assert rules(policies().denials(request)) == ([9] if denied else [])


@pytest.mark.parametrize(("change", "denied"), [
    pytest.param(lambda _: None, False, id="nothing-changed"),
    pytest.param(agent(image="registry.example/agent:2"), False, id="image-of-the-app"),
    pytest.param(init(1, image=PREVIOUS), True, id="image-of-the-sidecar"),
    pytest.param(init(0, image="registry.example/agent:1"), True, id="image-of-net-init"),
    pytest.param(lambda pod: pod["metadata"]["annotations"].update({"outrider.dev/status": "{}"}),
                 True, id="status"),
    pytest.param(lambda pod: pod["metadata"].pop("annotations"), True, id="status-taken-away"),
    pytest.param(lambda pod: pod["metadata"]["annotations"].update({"note": "x"}), False,
                 id="another-annotation"),
    *(pytest.param(lambda pod, label=label: pod["metadata"]["labels"].pop(label), True,
                   id=f"{label}-taken-away") for label in (OPT_IN, INJECTED)),
    *(pytest.param(lambda pod, label=label: pod["metadata"]["labels"].update({label: "disabled"}),
                   True, id=f"{label}-changed") for label in (OPT_IN, INJECTED)),
    pytest.param(lambda pod: pod["metadata"]["labels"].update({"app": "x"}), False,
                 id="another-label"),
])  # fmt: skip
@pytest.mark.parametrize("namespace", [{"outrider.dev/inject": "enabled"}, {}])
def test_rule_9_judges_updates(change: Change, denied: bool, namespace: dict[str, str]) -> None:
    def opted_in(pod: Object) -> None:
        pod["metadata"]["labels"][OPT_IN] = "enabled"

    request = Request(
        object=a_pod(opted_in, change), old=a_pod(opted_in), operation="UPDATE", labels=namespace
    )
    assert set(rules(policies().denials(request))) == ({9} if denied else set())


@pytest.mark.parametrize("change", [
    pytest.param(init(1, image="registry.example/agent:1"), id="image"),
    pytest.param(lambda pod: pod["metadata"]["labels"].pop(INJECTED), id="injected-taken-away"),
    pytest.param(lambda pod: pod["metadata"]["labels"].update({OPT_IN: "disabled"}),
                 id="opts-out-afterwards"),
])  # fmt: skip
def test_an_injected_pod_stays_in_scope_wherever_it_is(change: Change) -> None:
    """What opted it in may be gone: from the namespace, or from the pod before there was a rule."""
    request = Request(object=a_pod(change), old=a_pod(), operation="UPDATE", labels={})
    assert set(rules(policies().denials(request))) == {9}
    assert (
        policies().denials(Request(object=a_pod(), operation="UPDATE", labels={}, old=a_pod()))
        == []
    )


def test_a_pod_older_than_the_label_can_still_be_updated() -> None:
    request = Request(object=PLAIN, old=PLAIN, operation="UPDATE")
    assert policies().denials(request) == []


@pytest.mark.parametrize("resource", ["pods/exec", "pods/attach"])
@pytest.mark.parametrize(("asked", "denied"), [
    pytest.param({"container": "outrider"}, True, id="the-sidecar"),
    pytest.param({"container": "outrider-verify"}, True, id="verify"),
    pytest.param({"container": "agent"}, False, id="the-app"),
    pytest.param({}, False, id="none-named"),
    pytest.param({"container": "outrider2"}, False, id="nearly-that-name"),
])  # fmt: skip
def test_nobody_enters_the_sidecar(resource: str, asked: Object, denied: bool) -> None:
    request = Request(object=asked, operation="CONNECT", resource=resource)
    assert bool(policies().denials(request)) is denied


@pytest.mark.parametrize(("before", "now", "denied"), [
    pytest.param(None, "enabled", False, id="enabled"),
    pytest.param(None, "disabled", False, id="disabled"),
    pytest.param(None, None, False, id="none"),
    pytest.param(None, "Enabled", True, id="another-case"),
    pytest.param(None, "", True, id="empty"),
    pytest.param("enabled", "true", True, id="changed-to-another"),
    pytest.param("true", "true", False, id="as-it-was-before"),
    pytest.param("true", "enabled", False, id="put-right"),
])  # fmt: skip
def test_the_namespace_label_has_two_values(
    before: str | None, now: str | None, denied: bool
) -> None:
    def namespace(value: str | None) -> Object:
        return labelled(value, pod={"metadata": {"name": "agents"}})

    for old, operation in ((None, "CREATE"), (namespace(before), "UPDATE")):
        if before is not None and old is None:
            continue
        request = Request(
            object=namespace(now), old=old, operation=operation, resource="namespaces"
        )
        assert bool(policies().denials(request)) is denied


@pytest.mark.parametrize(("namespace", "denied"), [("lab", False), ("agents", True)])
def test_a_weaker_capture_mode_counts_where_the_platform_lists_the_namespace(
    namespace: str, denied: bool
) -> None:
    pod = a_pod(
        lambda pod: pod["metadata"]["annotations"].update(
            {"config.outrider.dev/capture-mode": "cooperative"}
        ),
        agent(securityContext={}),
        cooperative=True,
    )
    found = rules(policies().denials(Request(object=pod, namespace=namespace)))
    assert found == ([2, 6] if denied else [])


def test_hardening_that_only_tells_does_not_deny() -> None:
    rendered = policies("enforce-drop")
    pod = a_pod(*(init(at, image="localhost/outrider:0.1.0") for at in range(3)))
    weak = a_pod(
        *(init(at, image="localhost/outrider:0.1.0") for at in range(3)), agent(securityContext={})
    )
    assert list(rendered.findings(Request(object=pod))) == []
    told = list(rendered.findings(Request(object=weak)))
    assert rules([one.message for one in told]) == [6]
    assert [one.actions for one in told] == [("Warn", "Audit")] * 2
    assert rendered.denials(Request(object=weak)) == []


@pytest.mark.parametrize(("name", "sets"), [
    pytest.param("canary", (), id="a-canary"),
    pytest.param("host-network", (), id="switched-off"),
])  # fmt: skip
def test_only_the_first_release_owns_the_policies(name: str, sets: tuple[str, ...]) -> None:
    assert policies(name, *sets).names == ()


@pytest.mark.parametrize(("kubernetes", "there"), [
    ("1.29.14", False), ("1.30.0", True), ("v1.30.4-eks-a1b2c3", True), ("1.37.0", True),
])  # fmt: skip
def test_policies_are_rendered_by_version_without_a_cluster(kubernetes: str, there: bool) -> None:
    assert bool(Policies(objects(Render(kubernetes=kubernetes))).names) is there


@pytest.mark.parametrize(("change", "rule"), [
    pytest.param(spec(securityContext={}), 4, id="the-images-own-user"),
    pytest.param(spec(securityContext={"runAsUser": 0}), 4, id="root"),
    pytest.param(mounted(host("/srv/data")), 7, id="a-folder-of-the-node"),
    pytest.param(mounted({"name": "n", "nfs": REMOTE_VOLUMES["nfs"]}), 7, id="nfs"),
    pytest.param(mounted({"name": "n", "csi": {"driver": "nfs.csi.k8s.io"}}), 7, id="a-driver"),
    pytest.param(aliases, 13, id="host-aliases"),
    pytest.param(spec(dnsConfig={"searches": ["corp.example"]}), 13, id="search-list"),
    pytest.param(agent(**NODE_CONNECTS["readinessProbe-tcpSocket"]), 14, id="the-node-connects"),
    pytest.param(agent(**NODE_LISTENS["host-port"]), 14, id="the-node-listens"),
])  # fmt: skip
def test_the_platform_lifts_some_rules_for_namespaces_it_lists(change: Change, rule: int) -> None:
    pod = a_pod(change)
    assert policies().denials(Request(object=pod, namespace="lab")) == []
    assert rules(policies().denials(Request(object=pod, namespace="agents"))) == [rule]
    still = a_pod(change, mounted(host("/run/spire")))
    assert rules(policies().denials(Request(object=still, namespace="lab"))) == [7]
    ours = [init(0, image="localhost/outrider:0.1.0")]
    cooperative = a_pod(*ours, change, cooperative=True)
    assert policies("cooperative").denials(Request(object=cooperative)) == []
