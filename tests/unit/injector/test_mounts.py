"""Volumes of the sidecar's, and of the node, are mounted by nobody else."""

import pytest

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.mounts import volume_uses
from outrider.injector.names import SECRET_DRIVERS, VOLUME_KINDS
from outrider.injector.plan import Entry, Identity, TrustedContainer
from outrider.injector.reading import read_pod
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod
from tests.support.admission_hostile import REMOTE_VOLUMES


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


def _with_volume(**source: object) -> JsonObject:
    mounts: list[Json] = [{"name": "v", "mountPath": "/v"}]
    return a_pod(a_container(volumeMounts=mounts), volumes=[{"name": "v", **source}])


def test_a_driver_that_the_platform_lists_may_stand_in_a_volume() -> None:
    pod = _with_volume(csi={"driver": "shares.example", "readOnly": True})
    for drivers, reason in (
        ({"shares.example"}, Reason.OK),
        ({"shares.example.x", "SHARES.example", "shares"}, Reason.RESERVED_MOUNT),
        (set(), Reason.RESERVED_MOUNT),
    ):
        plan = a_plan(inline_drivers=frozenset(drivers))
        assert judge(Entry.NAMESPACE, "agents", pod, plan).reason is reason


@pytest.mark.parametrize("driver", [*SECRET_DRIVERS, "csi.spiffe.io", "csi.own.example"])
def test_no_list_of_drivers_gives_secrets_or_identity(driver: str) -> None:
    plan = a_plan(identity=Identity(driver="csi.own.example"), inline_drivers=frozenset({driver}))
    verdict = judge(Entry.NAMESPACE, "agents", _with_volume(csi={"driver": driver}), plan)
    assert verdict.reason is (
        Reason.AGENT_SECRET if driver in SECRET_DRIVERS else Reason.RESERVED_MOUNT
    )


@pytest.mark.parametrize("driver", [None, "", 7, ["shares.example"], {}])
def test_a_driver_without_a_name_is_on_no_list(driver: Json) -> None:
    plan = a_plan(inline_drivers=frozenset({"shares.example"}))
    verdict = judge(Entry.NAMESPACE, "agents", _with_volume(csi={"driver": driver}), plan)
    assert verdict.reason is Reason.RESERVED_MOUNT


@pytest.mark.parametrize("kind", sorted(VOLUME_KINDS - {"csi", "secret"}))
def test_kinds_that_send_nothing_pass(kind: str) -> None:
    pod = _with_volume(**{kind: {}})
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).reason is Reason.OK


def test_a_volume_without_a_kind_is_an_empty_folder() -> None:
    for source in ({}, {"nfs": None, "csi": None, "hostPath": None}):
        pod = _with_volume(**source)
        assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).reason is Reason.OK


def test_a_container_of_the_platforms_mounts_nothing_remote_either() -> None:
    image = "registry.example/vault:1"
    plan = a_plan(trusted=(TrustedContainer(name="vault", image_prefix="registry.example/vault:"),))
    mounts: list[Json] = [{"name": "v", "mountPath": "/v"}]
    for source in REMOTE_VOLUMES.items():
        pod = a_pod(
            a_container(),
            a_container("vault", image=image, volumeMounts=mounts),
            volumes=[{"name": "v", **dict([source])}],
        )
        assert judge(Entry.NAMESPACE, "agents", pod, plan).reason is Reason.RESERVED_MOUNT


def test_mounts_devices_and_files_read_into_variables_are_uses() -> None:
    key = {"fileKeyRef": {"volumeName": "c", "path": "p", "key": "k"}}
    body = a_container(
        volumeMounts=[{"name": "a", "mountPath": "/a"}],
        volumeDevices=[{"name": "b", "devicePath": "/b"}],
        env=[{"name": "X", "valueFrom": key}, {"name": "Y", "value": "y"}],
    )
    (one,) = read_pod(a_pod(body)).containers
    assert [name for _, name in volume_uses(one)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        pytest.param("/a" * 2000, Outcome.INJECTED, id="many-names"),
        pytest.param("/" * 4096, Outcome.DENIED, id="slashes-alone"),
        pytest.param("/." * 2000 + "/run/spire", Outcome.DENIED, id="dots-before-it"),
        pytest.param("//var//." * 2 + "/run/" * 100, Outcome.INJECTED, id="nearly-that-place"),
        pytest.param("run/spire", Outcome.DENIED, id="relative"),
        pytest.param("/run/spire/agent-socket", Outcome.INJECTED, id="nearly-that-name"),
        pytest.param("/var/runs/spire", Outcome.INJECTED, id="nearly-var-run"),
        pytest.param("/var/run", Outcome.DENIED, id="var-run-itself"),
        pytest.param("", Outcome.DENIED, id="empty"),
    ],
)
def test_paths_are_compared_by_their_names(path: str, outcome: Outcome) -> None:
    pod = _with_volume(hostPath={"path": path})
    plan = a_plan(CaptureMode.COOPERATIVE)
    assert judge(Entry.NAMESPACE, "agents", pod, plan).outcome is outcome


def test_a_thousand_long_paths_cost_little() -> None:
    path = "/a" * 2000
    volumes = [{"name": f"v{n}", "hostPath": {"path": path}} for n in range(1000)]
    mounts = [{"name": "v999", "mountPath": "/x"}]
    pod = a_pod(a_container(volumeMounts=mounts), volumes=volumes)
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).reason is Reason.RESERVED_MOUNT
