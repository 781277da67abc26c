"""Pods in manifests: each kind, lists of them, and everything else untouched."""

import copy
from typing import Any

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.plan import Entry, Plan
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.templates import Manifest, denied, injected
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod

POD: JsonObject = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": 1000},
        "containers": [a_container()],
    },
}
PATCHED = ["outrider-net-init", "outrider", "outrider-verify"]


def _inject(
    value: Json,
    namespace: str | None = None,
    *,
    entry: Entry = Entry.NAMESPACE,
    plan: Plan | None = None,
) -> Manifest:
    before = copy.deepcopy(value)
    manifest = injected(value, plan or a_plan(), entry=entry, namespace=namespace)
    assert value == before
    return manifest


def _workload(version: str, kind: str, pod: JsonObject = POD, **metadata: str) -> JsonObject:
    spec: JsonObject = {"template": pod}
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": {"template": pod}}}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "w", **metadata},
        "spec": {"keep": [1], **spec},
    }


def _init(pod: Any) -> list[str]:
    return [body["name"] for body in pod["spec"]["initContainers"]]


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
    ],
)
def test_every_kind_of_workload_is_injected(version: str, kind: str) -> None:
    manifest = _inject(_workload(version, kind))
    value: Any = manifest.value
    assert value["spec"]["keep"] == [1]
    spec = value["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else value["spec"]
    assert _init(spec["template"]) == PATCHED
    assert [one.name for one in manifest.judged] == [f"{kind} default/w"]


def test_a_pod_gets_what_the_webhook_would_give_it() -> None:
    pod = a_pod(name="p")
    manifest = _inject(pod, "agents")
    assert manifest.judged[0].verdict == judge(Entry.NAMESPACE, "agents", pod, a_plan())
    assert _init(manifest.value) == PATCHED


def test_a_list_is_gone_through_in_order() -> None:
    other: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap"}
    whole: JsonObject = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [other, a_pod(name="p"), _workload("batch/v1", "Job")],
    }
    manifest = _inject(whole)
    value: Any = manifest.value
    assert [item["kind"] for item in value["items"]] == ["ConfigMap", "Pod", "Job"]
    assert value["items"][0] == other
    assert _init(value["items"][1]) == PATCHED
    assert [one.name for one in manifest.judged] == ["Pod default/p", "Job default/w"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param("text", id="text"),
        pytest.param([1], id="list"),
        pytest.param({"apiVersion": "v1", "kind": "Service"}, id="service"),
        pytest.param(_workload("example.dev/v1", "Deployment"), id="other-group"),
        pytest.param({"apiVersion": "v1", "kind": ["Pod"]}, id="kind-list"),
        pytest.param({"apiVersion": "v1", "kind": "List", "items": None}, id="empty-list"),
    ],
)
def test_what_carries_no_pod_passes_unchanged(value: Json) -> None:
    manifest = _inject(value)
    assert manifest.value is value
    assert (manifest.is_changed, manifest.judged) == (False, ())


def test_a_second_run_changes_nothing() -> None:
    once = _inject(_workload("apps/v1", "Deployment")).value
    again = _inject(once)
    assert again.value is once
    assert again.judged[0].verdict.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("own", "option", "outcome"),
    [
        (LISTED, None, Outcome.SKIPPED),
        (None, LISTED, Outcome.SKIPPED),
        ("agents", LISTED, Outcome.DENIED),
        (None, None, Outcome.DENIED),
    ],
)
def test_the_namespace_is_the_manifests_own_else_the_one_given(
    own: str | None, option: str | None, outcome: Outcome
) -> None:
    metadata: JsonObject = {"labels": {"outrider.dev/inject": "disabled"}}
    workload = _workload(
        "apps/v1",
        "Deployment",
        {**POD, "metadata": metadata},
        **({"namespace": own} if own else {}),
    )
    manifest = _inject(workload, option)
    assert manifest.judged[0].verdict.outcome is outcome
    assert [one.verdict.outcome for one in denied((manifest,))] == (
        [outcome] if outcome is Outcome.DENIED else []
    )


def test_by_the_other_entry_only_labelled_pods_are_injected() -> None:
    plain = _inject(_workload("apps/v1", "Deployment"), entry=Entry.POD)
    assert not plain.is_changed
    labels: JsonObject = {"labels": {"outrider.dev/inject": "enabled"}}
    labelled = _workload("apps/v1", "Deployment", {**POD, "metadata": labels})
    assert _inject(labelled, entry=Entry.POD).is_changed


@pytest.mark.parametrize("template", [None, {}, {"spec": None}, "x", {"spec": {"containers": []}}])
def test_a_workload_without_a_pod_is_denied(template: Json) -> None:
    workload: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "w"},
        "spec": {"template": template},
    }
    (one,) = _inject(workload).judged
    assert (one.verdict.outcome, one.verdict.reason) == (Outcome.DENIED, Reason.MALFORMED)


@pytest.mark.parametrize(
    ("spec", "namespace", "warned"),
    [
        ({"automountServiceAccountToken": None}, None, True),
        ({}, None, False),
        ({"automountServiceAccountToken": None}, LISTED, False),
    ],
)
def test_a_token_that_would_be_mounted_is_warned_of(
    spec: JsonObject, namespace: str | None, warned: bool
) -> None:
    (one,) = _inject(a_pod(**spec), namespace).judged
    assert (one.token_warning is not None) is warned


def test_a_pod_that_is_left_alone_is_not_warned_of() -> None:
    (one,) = _inject(a_pod(automountServiceAccountToken=None), entry=Entry.POD).judged
    assert one.token_warning is None
