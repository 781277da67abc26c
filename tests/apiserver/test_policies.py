"""The admission policies as the API server itself judges by them: the rows that CEL alone has
judged are asked again, in dry runs, with the webhook's configuration deleted.

So these rows also show what holds when nothing is injected any more.
"""

from collections.abc import Iterator

import orjson
import pytest

from tests.chart.test_policies import (
    DENIED,
    INVALID,
    LET_IN,
    MIRROR,
    PLAIN,
    SCOPE,
    UNKNOWN,
    labelled,
)
from tests.support.chart import NAMESPACE, Object
from tests.support.control_plane import ControlPlane
from tests.support.ground import Told, wait_for
from tests.support.injected import Change, a_pod, agent, ephemeral
from tests.support.release import Release, a_namespace, values_file

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]

REFUSED_BY = "ValidatingAdmissionPolicy 'outrider-"
UNLIKELY = [change for name, _, change in DENIED if name in INVALID]
AUTHOR = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "author"},
    "rules": [
        {
            "apiGroups": [""],
            "resources": ["pods", "pods/exec", "pods/attach", "pods/ephemeralcontainers"],
            "verbs": ["*"],
        }
    ],
}
BOUND = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "authors"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "author"},
    "subjects": [{"kind": "Group", "name": name} for name in ("authors", "system:nodes")],
}


def whole(pod: Object, namespace: str) -> Object:
    made = {**pod, "apiVersion": "v1", "kind": "Pod"}
    return {**made, "metadata": {**pod["metadata"], "namespace": namespace}}


def asked(plane: ControlPlane, pod: Object, namespace: str, *options: str) -> Told:
    return plane.create(whole(pod, namespace), "--dry-run=server", *options)


def as_user(plane: ControlPlane, who: str) -> str:
    return f"--kubeconfig={plane.ground.folder / f'{who}.kubeconfig'}"


@pytest.fixture(scope="module")
def judged(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The policies alone: installed by Helm, then the webhook's configuration deleted."""
    release = Release(plane=plane)
    release.install(values_file("ci/exceptions-values.yaml")).checked()
    plane.kubectl("delete", "mutatingwebhookconfiguration", "outrider-injector").checked()
    for name in ("agents", "legacy"):
        a_namespace(plane, name, inject="enabled")
    a_namespace(plane, "plain")
    plane.apply(AUTHOR, BOUND).checked()
    bare = a_pod(lambda pod: pod["spec"].pop("initContainers"))
    wait_for(lambda: asked(plane, bare, "agents").code != 0, "the policies", within_s=30)
    yield plane
    release.uninstall().checked()


@pytest.mark.parametrize(("rule", "change"), [
    pytest.param(rule, change, id=f"{rule}-{name}") for name, rule, change in DENIED
    if name not in UNKNOWN
])  # fmt: skip
def test_a_pod_that_breaks_a_rule_is_denied_by_the_server(
    judged: ControlPlane, rule: int, change: Change
) -> None:
    told = asked(judged, a_pod(change), "agents")
    assert told.code != 0
    if change not in UNLIKELY:
        assert REFUSED_BY in told.err
    if (
        rule > 2 and change not in UNLIKELY
    ):  # what breaks the first two mostly breaks others; the server tells one
        assert f"outrider rule {rule}:" in told.err


@pytest.mark.parametrize("change", [
    pytest.param(change, id=f"{rule}-{name}") for name, rule, change in LET_IN
    if name not in INVALID
])  # fmt: skip
def test_a_near_miss_is_let_in_by_the_server(judged: ControlPlane, change: Change) -> None:
    asked(judged, a_pod(change), "agents").checked()


@pytest.mark.parametrize("rule", [10, 11, 12])
def test_secrets_are_let_in_by_the_server_where_the_platform_lists_the_namespace(
    judged: ControlPlane, rule: int
) -> None:
    changes = [change for _, number, change in DENIED if number == rule]
    for change in changes:
        asked(judged, a_pod(change), "legacy").checked()


@pytest.mark.parametrize(("of_namespace", "of_pod", "namespace", "is_judged"), [
    pytest.param(*row[1:], id=row[0]) for row in SCOPE if row[3] != "kube-system"
])  # fmt: skip
def test_the_server_judges_whom_the_bindings_select(
    judged: ControlPlane,
    of_namespace: str | None,
    of_pod: str | None,
    namespace: str,
    is_judged: bool,
) -> None:
    name = namespace if namespace in {NAMESPACE, "sandbox"} else f"scope-{of_namespace}".lower()
    _relabelled(judged, name, of_namespace)
    pod = labelled(of_pod, pod={**PLAIN, "spec": {
        **PLAIN["spec"], "volumes": [{"name": "work", "emptyDir": {}}]}})  # fmt: skip
    told = asked(judged, pod, name)
    assert (REFUSED_BY in told.err) is is_judged
    assert (told.code != 0) is is_judged


def _relabelled(plane: ControlPlane, name: str, value: str | None) -> None:
    """With a value that the label's own policy refuses, as it was before that policy stood."""
    if value in {None, "enabled", "disabled"}:
        a_namespace(plane, name, **({} if value is None else {"inject": str(value)}))
        return
    binding = "outrider-namespaces"
    kind = "validatingadmissionpolicybinding"
    kept = plane.get(kind, binding)
    plane.kubectl("delete", kind, binding).checked()

    def labelled_at_last() -> bool:
        try:
            a_namespace(plane, name, inject=str(value))
        except AssertionError:
            return False
        return True

    wait_for(labelled_at_last, "the policy's end", within_s=20)
    metadata = kept["metadata"]
    assert isinstance(metadata, dict)
    for field in ("resourceVersion", "uid", "creationTimestamp", "generation"):
        metadata.pop(field, None)
    plane.apply(kept).checked()


def test_a_mirror_pod_is_let_in_from_the_kubelet_alone(judged: ControlPlane) -> None:
    volumes = [{"name": "work", "emptyDir": {}}]
    plain = {**PLAIN["spec"], "volumes": volumes, "nodeName": "node1"}
    mirror = {**MIRROR, "spec": plain, "metadata": {
        **MIRROR["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}}  # fmt: skip
    author = asked(judged, mirror, "agents", as_user(judged, "author"))
    assert REFUSED_BY in author.err
    # the API server has further conditions for a node's own pods; ours is not among its reasons
    kubelet = asked(judged, mirror, "agents", as_user(judged, "node"))
    assert REFUSED_BY not in kubelet.err


@pytest.mark.parametrize(("change", "denied"), [
    pytest.param(ephemeral(), False, id="kubectl-debug-of-the-app"),
    *(pytest.param(ephemeral(targetContainerName=name), True, id=f"targets-{name}")
      for name in ("outrider", "outrider-verify")),
    pytest.param(ephemeral(securityContext={
        "runAsUser": 2102, "capabilities": {"drop": ["ALL"]}}), True, id="our-uid"),
    pytest.param(ephemeral(securityContext={
        "runAsUser": 0, "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]}}), True, id="root"),
    pytest.param(ephemeral(securityContext={
        "privileged": True, "capabilities": {"drop": ["ALL"]}}), True, id="privileged"),
    pytest.param(ephemeral(volumeMounts=[{"name": "outrider-run", "mountPath": "/m"}]),
                 True, id="our-run-folder"),
    pytest.param(ephemeral(volumeMounts=[{"name": "spiffe-workload-api", "mountPath": "/m"}]),
                 True, id="the-workload-api"),
])  # fmt: skip
def test_rule_8_holds_on_the_server(judged: ControlPlane, change: Change, denied: bool) -> None:
    holder: Object = {"spec": {}}
    change(holder)
    [container] = holder["spec"]["ephemeralContainers"]
    pod = _kept(judged, "debugged")
    patch = {"spec": {"ephemeralContainers": [{"imagePullPolicy": "Never", **container}]}}
    told = _patched(judged, pod, patch, "--subresource=ephemeralcontainers")
    assert (told.code != 0) is denied, told.err
    assert ("outrider rule 8" in told.err) is denied


@pytest.mark.parametrize(("patch", "denied"), [
    pytest.param({"metadata": {"annotations": {"note": "x"}}}, False, id="another-annotation"),
    pytest.param({"spec": {"containers": [{"name": "agent", "image": "registry.example/a:2"}]}},
                 False, id="image-of-the-app"),
    pytest.param({"metadata": {"annotations": {"outrider.dev/status": "{}"}}}, True, id="status"),
    pytest.param({"metadata": {"labels": {"outrider.dev/injected": None}}}, True, id="injected"),
    pytest.param({"spec": {"initContainers": [
        {"name": "outrider", "image": "registry.example/agent:1"}]}}, True,
        id="image-of-the-sidecar"),
])  # fmt: skip
def test_rule_9_holds_on_the_server(judged: ControlPlane, patch: Object, denied: bool) -> None:
    told = _patched(judged, _kept(judged, "updated"), patch)
    assert (told.code != 0) is denied, told.err
    assert ("outrider rule 9" in told.err) is denied


def _kept(plane: ControlPlane, name: str) -> str:
    """An injected pod that stays; made once."""
    if plane.kubectl("get", "pod", name, "-n", "agents").code != 0:
        pod = a_pod(agent(volumeMounts=[]))
        pod["metadata"]["name"] = name
        plane.create(whole(pod, "agents")).checked()
    return name


def _patched(plane: ControlPlane, pod: str, patch: Object, *options: str) -> Told:
    return plane.kubectl(
        "patch", "pod", pod, "-n", "agents", "--type=strategic", "--dry-run=server",
        "--patch", orjson.dumps(patch).decode(), *options,
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["exec", "attach"])
@pytest.mark.parametrize(("container", "denied"), [
    ("outrider", True), ("outrider-verify", True), ("agent", False),
])  # fmt: skip
def test_nobody_enters_the_sidecar_through_the_server(
    judged: ControlPlane, verb: str, container: str, denied: bool
) -> None:
    pod = _kept(judged, "entered")
    command = ("--", "true") if verb == "exec" else ()
    told = judged.kubectl(verb, "-n", "agents", pod, "-c", container, *command)
    assert told.code != 0  # no node runs it
    assert ("nobody enters the sidecar" in told.err) is denied, told.err


@pytest.mark.parametrize(("value", "denied"), [
    ("enabled", False), ("disabled", False), ("Enabled", True), ("true", True),
])  # fmt: skip
def test_the_namespace_label_has_two_values_on_the_server(
    judged: ControlPlane, value: str, denied: bool
) -> None:
    def told() -> Told:
        labels = {"outrider.dev/inject": value}
        namespace = {"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": "valued", "labels": labels}}  # fmt: skip
        return judged.create(namespace, "--dry-run=server")

    # another row takes the policy's binding away for a moment
    wait_for(lambda: (told().code != 0) is denied, f"a verdict on {value!r}", within_s=20)


def test_a_pod_older_than_the_label_can_still_be_changed_and_deleted(judged: ControlPlane) -> None:
    a_namespace(judged, "older")
    plain = {**PLAIN, "spec": {**PLAIN["spec"], "volumes": [{"name": "work", "emptyDir": {}}]}}
    judged.create(whole({**plain, "metadata": {"name": "p"}}, "older")).checked()
    a_namespace(judged, "older", inject="enabled")
    judged.kubectl("annotate", "pod", "p", "-n", "older", "note=x").checked()
    judged.kubectl("delete", "pod", "p", "-n", "older", "--now", "--wait=false").checked()
