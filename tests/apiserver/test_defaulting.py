"""What the API server makes of our containers is still ours: defaults, a LimitRange's resources,
the automounted token, quantities in their own spelling. Else a second call would refuse the pod."""

import pytest

from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import Entry
from outrider.injector.reasons import Outcome
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod, call
from tests.support.admission_shapes import SHAPES
from tests.support.control_plane import ControlPlane
from tests.support.release import a_namespace

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]

ROOM = "defaulting"
LIMITS: JsonObject = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "limits", "namespace": ROOM},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "default": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi"},
                "defaultRequest": {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "1Mi"},
            }
        ]
    },
}


@pytest.fixture(scope="module")
def room(plane: ControlPlane) -> ControlPlane:
    """A namespace that nobody injects in, with a LimitRange and service accounts."""
    a_namespace(plane, ROOM)
    account = {"kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": ROOM}}
    plane.apply(LIMITS, {"apiVersion": "v1", **account}).checked()
    return plane


def _as_stored(room: ControlPlane, pod: JsonObject) -> JsonObject:
    metadata = pod["metadata"]
    assert isinstance(metadata, dict)
    return room.made({**pod, "metadata": {**metadata, "namespace": ROOM}}, "--dry-run=server")


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_patched_pod_that_was_defaulted_is_left_as_it_is(room: ControlPlane, name: str) -> None:
    shape = SHAPES[name]
    patched = call(shape.pod, shape.plan, namespace=shape.namespace, entry=shape.entry).pod
    stored = _as_stored(room, patched)
    verdict = judge(shape.entry, shape.namespace, stored, shape.plan)
    assert (verdict.outcome, verdict.ops) == (Outcome.UNCHANGED, ()), verdict.message


def test_the_token_mounted_into_ours_and_a_limit_ranges_share_are_let_pass(
    room: ControlPlane,
) -> None:
    pod = a_pod(a_container(), automountServiceAccountToken=None, serviceAccountName="robot")
    stored = _as_stored(room, call(pod, a_plan(), namespace=LISTED).pod)
    spec = stored["spec"]
    assert isinstance(spec, dict)
    sidecar = spec["initContainers"][1]
    assert sidecar["resources"]["limits"]["cpu"] == "2"
    assert sidecar["volumeMounts"][-1]["name"].startswith("kube-api-access-")
    assert judge(Entry.NAMESPACE, LISTED, stored, a_plan()).outcome is Outcome.UNCHANGED
    spec["initContainers"].insert(0, a_container("vault"))
    again = call(stored, a_plan(), namespace=LISTED).pod["spec"]
    assert isinstance(again, dict)
    assert [one["name"] for one in again["initContainers"]] == [
        "outrider-net-init", "outrider", "outrider-verify", "vault",
    ]  # fmt: skip
    assert again["initContainers"][1] == sidecar
