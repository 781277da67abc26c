"""The admission rig: what an API server would do with our patch, and what it would say.

A pod goes through `admitted`: our webhook's answer, the patch applied by another implementation
than ours, strict schemas of every Kubernetes release that is supported, the rules only an API
server knows, and a second call that must find nothing left to do.
"""

import base64
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jsonpatch
import jsonschema
import orjson
import referencing
import referencing.jsonschema
from kubernetes_validate import utils

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.plan import Capture, Entry, Exceptions, Plan
from outrider.injector.review import Admitted, admit
from tests.support.admission_api import api_faults

EVERY = ("1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
ENDS = ("1.29", "1.37")
IMAGE = "registry.example/outrider@sha256:" + "a" * 64
EARLIER = "registry.example/outrider@sha256:" + "b" * 64
DNS = "10.96.0.10"
LISTED = "lenient"
"""The namespace that every exception of `a_plan` lists."""


def a_plan(mode: CaptureMode = CaptureMode.TRANSPARENT, **changes: Any) -> Plan:
    """A valid plan; `capture_…` changes are its capture's."""
    capture = {
        name.removeprefix("capture_"): changes.pop(name)
        for name in list(changes)
        if name.startswith("capture_")
    }
    listed = frozenset({LISTED})
    plan = Plan(
        image=IMAGE,
        accepted_images=(EARLIER,),
        capture=Capture(mode=mode, nameservers=(DNS,), **capture),
        exceptions=Exceptions(
            opt_out=listed, guarded_annotations=listed, agent_secrets=listed, classic_sidecar=listed
        ),
    )
    return replace(plan, **changes)


def a_container(name: str = "agent", **changes: Any) -> JsonObject:
    return {"name": name, "image": "registry.example/agent:1", **changes}


def a_pod(*containers: JsonObject, **spec: Any) -> JsonObject:
    """A valid pod that runs as its own user; `labels`, `annotations` and `name` go to its metadata.

    A `securityContext` is laid over that user, null takes it away.
    """
    context = spec.pop("securityContext", {})
    if isinstance(context, dict):
        context = {"runAsUser": 1000, **context}
    metadata: JsonObject = {"name": spec.pop("name", "agent")}
    for key in ("labels", "annotations"):
        if key in spec:
            metadata[key] = spec.pop(key)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": context,
            "containers": list(containers or (a_container(),)),
            **spec,
        },
    }


def a_review(pod: Json, *, namespace: str = "agents", **changes: Any) -> JsonObject:
    """An AdmissionReview as kube-apiserver sends it; `changes` are the request's."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "agent",
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
            **changes,
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the webhook said, and the pod as it stands afterwards."""

    admitted: Admitted
    response: JsonObject
    ops: list[JsonObject]
    pod: JsonObject


def call(
    pod: JsonObject, plan: Plan, *, namespace: str = "agents", entry: Entry = Entry.NAMESPACE
) -> Answer:
    """One call of the webhook, and its patch applied as the API server does."""
    before = orjson.dumps(pod)
    admitted = admit(entry, orjson.dumps(a_review(pod, namespace=namespace)), plan)
    assert orjson.dumps(pod) == before, "the pod was changed"
    document = orjson.loads(admitted.body)
    response = document["response"]
    assert (document["kind"], response["uid"]) == (
        "AdmissionReview",
        "705ab4f5-6393-11e8-b7cc-42010a800002",
    )
    ops = orjson.loads(base64.b64decode(response["patch"])) if "patch" in response else []
    patched = jsonpatch.apply_patch(pod, ops)
    return Answer(admitted=admitted, response=response, ops=ops, pod=patched)


def admitted(
    pod: JsonObject,
    plan: Plan,
    *,
    namespace: str = "agents",
    entry: Entry = Entry.NAMESPACE,
    versions: tuple[str, ...] = ENDS,
) -> Answer:
    """The whole rig for a pod that must be let in; fails the test with what is wrong."""
    answer = call(pod, plan, namespace=namespace, entry=entry)
    assert answer.response["allowed"] is True, answer.response["status"]
    faults = [*schema_faults(answer.pod, versions), *api_faults(answer.pod)]
    assert faults == []
    again = call(answer.pod, plan, namespace=namespace, entry=entry)
    assert again.ops == [], "the second call must find nothing to do"
    assert again.response["allowed"] is True, again.response["status"]
    return answer


def schema_faults(pod: JsonObject, versions: tuple[str, ...]) -> list[str]:
    """What the strict schemas of `versions` do not take, at most one fault a version."""
    found = []
    for version in versions:
        fault = jsonschema.exceptions.best_match(_validator(version).iter_errors(pod))
        if fault is not None:
            found.append(f"{version}: {fault.json_path}: {fault.message[:200]}")
    return found


@cache
def _validator(version: str) -> Any:
    """The validator `kubernetes-validate --strict` makes anew for every document, kept."""
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    schema = utils.schema_contents(f"{folder}/pod-v1.json", version)
    definitions = utils.schema_contents(f"{folder}/_definitions.json", version)
    registry: Any = referencing.Registry()
    for one in (schema, definitions):
        registry = (
            referencing.Resource.from_contents(
                one, default_specification=referencing.jsonschema.DRAFT202012
            )
            @ registry
        )
    return jsonschema.Draft202012Validator(schema, registry=registry)
