"""Install, upgrade, rollback and uninstall with every Helm that is pinned, on a real API server."""

from collections.abc import Iterator

import orjson
import pytest

from tests.support import helm
from tests.support.chart import NAMESPACE, RELEASE
from tests.support.control_plane import ControlPlane
from tests.support.ground import wait_for
from tests.support.release import Release, a_namespace

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]

CONFIGURATION = ("mutatingwebhookconfiguration", "outrider-injector")
VALUES = {"image": {"repository": "k8s.local/outrider", "tag": "1"}}
NEXT = {"image": {"repository": "k8s.local/outrider", "tag": "2"}, "injector": {"replicas": 3}}
WIDE = (
    "mutatingwebhookconfigurations", "validatingwebhookconfigurations",
    "validatingadmissionpolicies", "validatingadmissionpolicybindings", "clusterroles",
    "clusterrolebindings",
)  # fmt: skip
BUNDLE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"


@pytest.fixture(params=helm.VERSIONS)
def release(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Release]:
    found = Release(plane=plane, version=request.param)
    found.install(VALUES).checked()
    yield found
    found.helm("uninstall", RELEASE, "--ignore-not-found")
    plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    plane.kubectl(
        "replace", "--raw", f"/api/v1/namespaces/{NAMESPACE}/finalize", "-f", "-",
        stdin=orjson.dumps({"apiVersion": "v1", "kind": "Namespace", "spec": {},
                            "metadata": {"name": NAMESPACE}}).decode(),
    )  # fmt: skip


def bundles(plane: ControlPlane) -> list[str | None]:
    """What each entry has as its `caBundle`."""
    webhooks = plane.get(*CONFIGURATION)["webhooks"]
    assert isinstance(webhooks, list)
    return [one["clientConfig"].get("caBundle") for one in webhooks]


def replicas(plane: ControlPlane) -> object:
    found = plane.get("deployment", "outrider-injector", "-n", NAMESPACE)
    return found["spec"]["replicas"]


def test_what_the_injector_wrote_outlives_upgrade_and_rollback(release: Release) -> None:
    plane = release.plane
    assert bundles(plane) == [None, None, None]  # left out, not empty
    patch = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": BUNDLE}
        for index in range(3)
    ]
    plane.kubectl("patch", *CONFIGURATION, "--type=json", "-p", orjson.dumps(patch).decode())
    secret = {"data": {"tls.crt": BUNDLE, "tls.key": BUNDLE}}
    kept = ("secret", "outrider-injector-tls", "-n", NAMESPACE)
    plane.kubectl("patch", *kept, "--type=merge", "-p", orjson.dumps(secret).decode())
    written = plane.get(*kept).get("data")

    assert bundles(plane) == [BUNDLE] * 3
    release.upgrade(NEXT).checked()
    assert (bundles(plane), replicas(plane)) == ([BUNDLE] * 3, 3)
    assert plane.get(*kept).get("data") == written
    release.helm("rollback", RELEASE, "1").checked()
    assert (bundles(plane), replicas(plane)) == ([BUNDLE] * 3, 2)
    assert plane.get(*kept).get("data") == written


def test_nothing_that_could_deny_a_pod_is_left_by_uninstalling(release: Release) -> None:
    plane = release.plane
    a_namespace(plane, "left", inject="enabled")
    release.uninstall().checked()
    left = plane.kubectl("get", ",".join(WIDE), "-o", "name").checked().split()
    assert [one for one in left if "outrider" in one] == []
    inside = "deployments,services,secrets,configmaps,leases,poddisruptionbudgets,networkpolicies"
    there = plane.kubectl("get", inside, "-n", NAMESPACE, "-o", "name").checked().split()
    assert [one for one in there if "outrider-injector" in one] == []
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "left"},
        "spec": {"containers": [{"name": "c", "image": "x:1"}]},
    }
    wait_for(lambda: plane.create(pod, "--dry-run=server").code == 0, "no denial", within_s=20)


def test_the_same_values_again_change_nothing(release: Release) -> None:
    plane = release.plane
    kinds = (
        "mutatingwebhookconfiguration/outrider-injector",
        "validatingadmissionpolicy/outrider-pods",
    )
    before = [plane.get(one)["metadata"]["generation"] for one in kinds]
    release.upgrade(VALUES).checked()
    assert [plane.get(one)["metadata"]["generation"] for one in kinds] == before


def test_a_namespace_under_pod_security_restricted_takes_the_injector(release: Release) -> None:
    plane = release.plane
    a_namespace(plane, "restricted", **{"pod-security.kubernetes.io/enforce": "restricted"})
    template = plane.get("deployment", "outrider-injector", "-n", NAMESPACE)["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
           "metadata": {"name": "p", "namespace": "restricted"}}  # fmt: skip
    plane.create(pod, "--dry-run=server").checked()
    careless = {**spec, "containers": [{"name": "c", "image": "x:1"}]}
    assert "restricted" in plane.create({**pod, "spec": careless}, "--dry-run=server").err
