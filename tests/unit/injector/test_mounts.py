"""Volumes of the sidecar's, and of the node, are mounted by nobody else."""

from outrider.core.capture import CaptureMode
from outrider.injector.mounts import volume_uses
from outrider.injector.plan import Entry, Identity
from outrider.injector.reading import read_pod
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod


def test_the_platforms_own_driver_and_host_path_are_reserved_too() -> None:
    plan = a_plan(identity=Identity(driver="csi.own.example", host_path="/opt/spire/sockets"))
    for volume in (
        {"csi": {"driver": "csi.own.example"}},
        {"csi": {"driver": "csi.spiffe.io"}},
        {"hostPath": {"path": "/opt/spire"}},
        {"hostPath": {"path": "/run/spire"}},
    ):
        pod = a_pod(
            a_container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[{"name": "v", **volume}],
        )
        for namespace in ("agents", LISTED):
            assert judge(Entry.NAMESPACE, namespace, pod, plan).reason is Reason.RESERVED_MOUNT


def test_without_capture_only_the_way_to_identity_is_closed() -> None:
    for path, expected in (
        ("/srv", Outcome.INJECTED),
        ("/run/spire2", Outcome.INJECTED),
        ("/run/spire", Outcome.DENIED),
        ("//var/./run/spire/", Outcome.DENIED),
    ):
        pod = a_pod(
            a_container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[{"name": "v", "hostPath": {"path": path}}],
        )
        plan = a_plan(CaptureMode.COOPERATIVE)
        assert judge(Entry.NAMESPACE, "agents", pod, plan).outcome is expected


def test_mounts_devices_and_files_read_into_variables_are_uses() -> None:
    key = {"fileKeyRef": {"volumeName": "c", "path": "p", "key": "k"}}
    body = a_container(
        volumeMounts=[{"name": "a", "mountPath": "/a"}],
        volumeDevices=[{"name": "b", "devicePath": "/b"}],
        env=[{"name": "X", "valueFrom": key}, {"name": "Y", "value": "y"}],
    )
    (one,) = read_pod(a_pod(body)).containers
    assert [name for _, name in volume_uses(one)] == ["a", "b", "c"]


def test_a_thousand_long_paths_cost_little() -> None:
    path = "/a" * 2000
    volumes = [{"name": f"v{n}", "hostPath": {"path": path}} for n in range(1000)]
    mounts = [{"name": "v999", "mountPath": "/x"}]
    pod = a_pod(a_container(volumeMounts=mounts), volumes=volumes)
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).reason is Reason.RESERVED_MOUNT
