"""The patch: index-safe, to the front on every call, and nothing that is there twice."""

import copy
from typing import Any

import pytest

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.applying import applied
from outrider.injector.plan import Entry, Plan
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support.admission import EARLIER, IMAGE, a_container, a_plan, a_pod, admitted, call
from tests.support.admission_shapes import TOKEN, TOKEN_MOUNT

OURS = ["outrider-net-init", "outrider", "outrider-verify"]
PROXY = "http://127.0.0.1:15001"
LOCAL = "localhost,127.0.0.1,::1"


def _patched(pod: JsonObject, plan: Plan | None = None) -> Any:
    return admitted(pod, plan or a_plan()).pod


def _init_names(pod: Any) -> list[str]:
    return [body["name"] for body in pod["spec"]["initContainers"]]


def test_only_add_remove_and_replace_are_written_and_no_list_of_the_users_whole() -> None:
    pod = a_pod(
        a_container(env=[{"name": "A", "value": "1"}]),
        initContainers=[a_container("one")],
        volumes=[{"name": "v", "emptyDir": {}}],
        labels={"a": "b"},
        annotations={"c": "d"},
    )
    ops = call(pod, a_plan(CaptureMode.ENFORCE_DROP)).ops
    assert {op["op"] for op in ops} <= {"add", "remove", "replace"}
    whole = {"/spec/containers", "/spec/initContainers", "/spec/volumes", "/metadata/labels"}
    assert not whole & {op["path"] for op in ops}
    assert "/spec/containers/0/env" not in {op["path"] for op in ops}


def test_keys_are_escaped() -> None:
    paths = {op["path"] for op in call(a_pod(annotations={}, labels={}), a_plan()).ops}
    assert "/metadata/annotations/outrider.dev~1status" in paths
    assert "/metadata/labels/outrider.dev~1injected" in paths


@pytest.mark.parametrize("before", [None, [], "absent"])
def test_lists_are_made_where_there_are_none(before: object) -> None:
    lists = {} if before == "absent" else {"initContainers": before, "volumes": copy.copy(before)}
    pod = _patched(a_pod(**lists))
    assert _init_names(pod) == OURS


def test_the_users_init_containers_come_after_ours_in_their_order() -> None:
    pod = _patched(a_pod(initContainers=[a_container("one"), a_container("two")]))
    assert _init_names(pod) == [*OURS, "one", "two"]


@pytest.mark.parametrize("places", [[0], [1], [2], [3], [0, 2], [1, 3], [0, 1, 2, 3]])
def test_what_another_webhook_put_before_us_goes_behind_us(places: list[int]) -> None:
    pod = _patched(a_pod(initContainers=[a_container("mine")]))
    for place in places:
        pod["spec"]["initContainers"].insert(place, a_container(f"vault-{place}"))
    before = [name for name in _init_names(pod) if name not in OURS]
    again = _patched(pod)
    assert _init_names(again) == [*OURS, *before]


def test_ours_in_another_order_are_put_in_order() -> None:
    pod = _patched(a_pod(initContainers=[a_container("mine")]))
    pod["spec"]["initContainers"].reverse()
    assert _init_names(_patched(pod)) == [*OURS, "mine"]


def test_one_of_ours_that_is_gone_is_added_again() -> None:
    pod = _patched(a_pod(initContainers=[a_container("mine")]))
    del pod["spec"]["initContainers"][2]
    assert _init_names(_patched(pod)) == [*OURS, "mine"]


def test_what_admission_added_to_ours_survives_the_move() -> None:
    pod = _patched(a_pod(automountServiceAccountToken=None))
    sidecar = pod["spec"]["initContainers"][1]
    sidecar["volumeMounts"].append(TOKEN_MOUNT)
    sidecar["resources"]["limits"]["cpu"] = "1"
    fake = {"name": TOKEN_MOUNT["name"], "emptyDir": {}}
    faked = {**pod, "spec": {**pod["spec"], "volumes": [*pod["spec"]["volumes"], fake]}}
    assert call(faked, a_plan()).admitted.reason is Reason.RESERVED_NAME
    pod["spec"]["volumes"].append(TOKEN)
    assert call(pod, a_plan()).ops == []
    pod["spec"]["initContainers"].insert(0, a_container("vault"))
    again = _patched(pod)
    assert again["spec"]["initContainers"][1] == sidecar


def test_another_image_of_ours_is_denied_and_an_accepted_one_stays() -> None:
    earlier = judge(Entry.NAMESPACE, "agents", a_pod(), a_plan(image=EARLIER))
    pod = applied(a_pod(), earlier.ops)
    now = judge(Entry.NAMESPACE, "agents", pod, a_plan(image=IMAGE))
    assert (now.outcome, now.ops) == (Outcome.UNCHANGED, ())
    strange = judge(Entry.NAMESPACE, "agents", pod, a_plan(image=IMAGE, accepted_images=()))
    assert strange.reason is Reason.RESERVED_NAME
    assert "spec.initContainers[0] (outrider-net-init).image" in strange.message


def test_an_accepted_image_is_no_licence_for_another_content() -> None:
    fake = a_container("outrider", image=EARLIER, restartPolicy="Always")
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(initContainers=[fake]), a_plan())
    assert verdict.reason is Reason.RESERVED_NAME


def test_ours_twice_is_denied() -> None:
    pod = _patched(a_pod())
    pod["spec"]["initContainers"].append(copy.deepcopy(pod["spec"]["initContainers"][1]))
    assert call(pod, a_plan()).admitted.reason is Reason.RESERVED_NAME


@pytest.mark.parametrize("mode", [CaptureMode.ENFORCE_DROP, CaptureMode.COOPERATIVE])
def test_every_app_container_learns_of_the_proxy(mode: CaptureMode) -> None:
    pod = a_pod(
        a_container(),
        a_container("two", env=[{"name": "no_proxy", "value": LOCAL}]),
        initContainers=[a_container("one", env=None)],
    )
    spec = _patched(pod, a_plan(mode))["spec"]
    for body in (*spec["containers"], spec["initContainers"][-1]):
        assert {one["name"]: one["value"] for one in body["env"]} == {
            "HTTP_PROXY": PROXY,
            "HTTPS_PROXY": PROXY,
            "NO_PROXY": LOCAL,
            "http_proxy": PROXY,
            "https_proxy": PROXY,
            "no_proxy": LOCAL,
        }


def test_where_all_is_redirected_no_proxy_is_named() -> None:
    assert "env" not in _patched(a_pod())["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, {"drop": ["SETUID", "SETGID", "NET_RAW"]}, id="null"),
        pytest.param({}, {"drop": ["SETUID", "SETGID", "NET_RAW"]}, id="empty"),
        pytest.param(
            {"capabilities": None}, {"drop": ["SETUID", "SETGID", "NET_RAW"]}, id="no-capabilities"
        ),
        pytest.param(
            {"capabilities": {"add": ["CHOWN"]}},
            {"add": ["CHOWN"], "drop": ["SETUID", "SETGID", "NET_RAW"]},
            id="no-drop",
        ),
        pytest.param(
            {"allowPrivilegeEscalation": True, "capabilities": {"drop": ["SETGID", "KILL"]}},
            {"drop": ["SETGID", "KILL", "SETUID", "NET_RAW"]},
            id="some",
        ),
        pytest.param({"capabilities": {"drop": ["ALL"]}}, {"drop": ["ALL"]}, id="all"),
        pytest.param(
            {"capabilities": {"drop": ["all"]}},
            {"drop": ["all", "SETUID", "SETGID", "NET_RAW"]},
            id="all-in-small-letters",
        ),
    ],
)
def test_app_containers_lose_what_goes_round_capture(
    before: JsonObject | None, after: JsonObject
) -> None:
    pod = _patched(a_pod(a_container(securityContext=before)))
    context = pod["spec"]["containers"][0]["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, after)


def test_cooperative_mode_hardens_nobody() -> None:
    pod = _patched(a_pod(), a_plan(CaptureMode.COOPERATIVE))
    assert "securityContext" not in pod["spec"]["containers"][0]


def test_the_users_fields_stay_but_for_those_two() -> None:
    body = a_container(
        command=["x"], resources={"limits": {"cpu": "1"}}, securityContext={"runAsUser": 7}
    )
    after = _patched(a_pod(body), a_plan(CaptureMode.ENFORCE_DROP))["spec"]["containers"][0]
    rest = {k: v for k, v in after.items() if k not in {"env", "securityContext"}}
    assert rest == {k: v for k, v in body.items() if k != "securityContext"}
    assert after["securityContext"]["runAsUser"] == 7


def test_a_classic_sidecar_comes_last_and_stays_where_it_is() -> None:
    plan = a_plan(native_sidecar=False)
    pod = admitted(a_pod(), plan, namespace="lenient").pod
    names = [body["name"] for body in pod["spec"]["containers"]]  # type: ignore[index,call-overload,union-attr]
    assert names == ["agent", "outrider"]


def test_a_pod_injected_in_another_mode_is_denied() -> None:
    pod = _patched(a_pod())
    verdict = judge(Entry.NAMESPACE, "agents", pod, a_plan(CaptureMode.COOPERATIVE))
    assert verdict.reason is Reason.RESERVED_NAME


@pytest.mark.parametrize("metadata", ["absent", None])
def test_a_template_without_metadata_gets_some(metadata: object) -> None:
    template: JsonObject = {"spec": a_pod()["spec"]}
    if metadata is None:
        template["metadata"] = None
    verdict = judge(Entry.NAMESPACE, "agents", template, a_plan())
    patched: Any = applied(template, verdict.ops)
    assert patched["metadata"]["labels"]["outrider.dev/injected"] == "true"
    assert judge(Entry.NAMESPACE, "agents", patched, a_plan()).ops == ()
