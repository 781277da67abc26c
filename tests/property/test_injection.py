"""Laws of injection over generated pods (KUBERNETES §3.11)."""

import copy
from typing import Any

import jsonpatch
import orjson
from hypothesis import assume, event, given, settings, strategies as st

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.applying import applied
from outrider.injector.plan import Entry, Hardening, Plan
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support.admission import EARLIER, ENDS, LISTED, a_plan, schema_faults
from tests.support.admission_api import api_faults

NAMES = st.sampled_from(["agent", "helper", "vault", "fetch", "migrate", "log"])
OURS = {"outrider-net-init", "outrider", "outrider-verify"}

CONTEXTS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "allowPrivilegeEscalation": st.none() | st.booleans(),
        "runAsUser": st.sampled_from([0, 1000, 2101, 2103, 2102]),
        "privileged": st.sampled_from([None, False, False, True]),
        "capabilities": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "add": st.none()
                | st.lists(st.sampled_from(["CHOWN", "KILL", "NET_RAW"]), max_size=1),
                "drop": st.none()
                | st.lists(st.sampled_from(["ALL", "SETUID", "NET_RAW", "KILL"]), max_size=3),
            },
        ),
    },
)
ENV = st.none() | st.lists(
    st.sampled_from(
        [
            {"name": "A", "value": "1"},
            {"name": "http_proxy", "value": "http://127.0.0.1:15001"},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "HTTPS_PROXY", "value": "http://proxy.example"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]
    ),
    max_size=2,
    unique_by=lambda one: one["name"],
)
BODIES = st.fixed_dictionaries(
    {"image": st.just("registry.example/agent:1")},
    optional={
        "securityContext": CONTEXTS,
        "env": ENV,
        "ports": st.none() | st.just([{"containerPort": 8080}]),
        "volumeMounts": st.none() | st.just([{"name": "work", "mountPath": "/work"}]),
    },
)
_HOSTS = st.sampled_from(["", None, "127.0.0.1", "192.0.2.66"])
_ACTIONS = st.fixed_dictionaries({"port": st.just(80)}, optional={"host": _HOSTS}).flatmap(
    lambda action: st.sampled_from([{"httpGet": action}, {"tcpSocket": action}])
)
_ASKED = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), _ACTIONS),
        "lifecycle": st.fixed_dictionaries(
            {}, optional={"postStart": _ACTIONS, "preStop": _ACTIONS}
        ),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"containerPort": st.just(8080)},
                optional={"hostPort": st.sampled_from([0, None, 80])},
            ),
            max_size=2,
        ),
    },
)
"""What the kubelet does for a container, here or elsewhere."""


@st.composite
def pods(draw: st.DrawFn) -> JsonObject:
    """Pods an API server takes: 0 to 3 init containers, lists absent, null or empty."""
    count = draw(st.integers(0, 3))
    names = draw(st.lists(NAMES, min_size=count + 1, max_size=count + 2, unique=True))
    bodies = [{"name": name, **draw(BODIES)} for name in names]
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": bodies[count:],
        "volumes": [{"name": "work", "emptyDir": {}}],
    }
    if count or draw(st.booleans()):
        spec["initContainers"] = bodies[:count] or draw(st.sampled_from([None, []]))
    if not any(body.get("volumeMounts") for body in bodies):
        absent = draw(st.sampled_from(["absent", None, []]))
        spec.pop("volumes")
        spec |= {} if absent == "absent" else {"volumes": absent}
    name = draw(st.sampled_from(["name", "generateName"]))
    metadata: dict[str, Any] = {name: "p-x"} | draw(st.sampled_from([{}, {"namespace": ""}]))
    metadata |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "labels": st.none() | st.just({}) | st.just({"a": "b"}),
                "annotations": st.none() | st.just({}) | st.just({"a.example/b_c": "d"}),
            },
        )
    )
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


PLANS = st.builds(
    a_plan,
    st.sampled_from(list(CaptureMode)),
    capture_watch=st.booleans(),
    capture_run_as_root=st.booleans(),
    hardening=st.sampled_from(list(Hardening)),
    native_sidecar=st.booleans(),
)


def _names(pod: Any, group: str) -> list[str]:
    return [body["name"] for body in pod["spec"].get(group) or ()]


@settings(max_examples=120)
@given(pods(), PLANS)
def test_a_patched_pod_is_valid_and_the_second_call_does_nothing(
    pod: JsonObject, plan: Plan
) -> None:
    before = copy.deepcopy(pod)
    verdict = judge(Entry.NAMESPACE, LISTED, pod, plan)
    event(verdict.reason.value)
    assert pod == before
    assert judge(Entry.NAMESPACE, LISTED, pod, plan) == verdict
    if verdict.outcome is Outcome.DENIED:
        assert verdict.ops == ()
        return
    patched = jsonpatch.apply_patch(pod, list(verdict.ops))
    assert patched == applied(pod, verdict.ops)
    assert [*schema_faults(patched, ENDS), *api_faults(patched)] == []
    again = judge(Entry.NAMESPACE, LISTED, patched, plan)
    assert (again.outcome, again.ops) == (Outcome.UNCHANGED, ())


@settings(max_examples=120)
@given(pods(), PLANS)
def test_the_users_containers_keep_their_order_and_fields(pod: JsonObject, plan: Plan) -> None:
    verdict = judge(Entry.NAMESPACE, LISTED, pod, plan)
    assume(verdict.outcome is Outcome.INJECTED)
    patched: Any = applied(pod, verdict.ops)
    for group in ("initContainers", "containers"):
        theirs = [b for b in patched["spec"].get(group) or () if b["name"] not in OURS]
        assert [body["name"] for body in theirs] == _names(pod, group)
        for body, was in zip(theirs, pod["spec"].get(group) or (), strict=True):  # type: ignore[union-attr,call-overload,index,arg-type]
            kept = {"env", "securityContext"}
            assert {k: v for k, v in body.items() if k not in kept} == {
                k: v for k, v in was.items() if k not in kept
            }
            env, context = was.get("env") or [], was.get("securityContext") or {}
            assert (body.get("env") or [])[: len(env)] == env
            after = body.get("securityContext") or {}
            changed = {"allowPrivilegeEscalation", "capabilities"}
            assert {k: v for k, v in after.items() if k not in changed} == {
                k: v for k, v in context.items() if k not in changed
            }
            added = (context.get("capabilities") or {}).get("add")
            assert (after.get("capabilities") or {}).get("add") == added


@settings(max_examples=120)
@given(pods(), PLANS, st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), max_size=3))
def test_whatever_another_webhook_puts_before_us_ours_come_first(
    pod: JsonObject, plan: Plan, inserted: list[tuple[int, str]]
) -> None:
    verdict = judge(Entry.NAMESPACE, LISTED, pod, plan)
    assume(verdict.outcome is Outcome.INJECTED)
    patched: Any = applied(pod, verdict.ops)
    ours = [name for name in _names(patched, "initContainers") if name in OURS]
    listed = patched["spec"].setdefault("initContainers", [])
    listed = patched["spec"]["initContainers"] = listed or []
    for number, (place, letter) in enumerate(inserted):
        listed.insert(place, {"name": f"x{number}{letter}", "image": "x"})
    others = [body["name"] for body in listed if body["name"] not in OURS]
    again = judge(Entry.NAMESPACE, LISTED, patched, plan)
    assert again.outcome is not Outcome.DENIED
    final = _names(applied(patched, again.ops), "initContainers")
    assert final == [*ours, *others]


def _through_the_node(body: Any) -> bool:
    """Written another way than the rule: by what the pod says as text."""
    said = orjson.dumps(body).decode()
    return '"127.0.0.1"' in said or '"192.0.2.66"' in said or '"hostPort":80' in said


@settings(max_examples=150)
@given(
    st.lists(_ASKED, min_size=1, max_size=2),
    st.sampled_from(list(CaptureMode)),
    st.sampled_from(["agents", LISTED]),
)
def test_the_node_does_nothing_elsewhere_for_a_captured_pod(
    bodies: list[Any], mode: CaptureMode, namespace: str
) -> None:
    containers = [
        {"name": f"a{place}", "image": "x:1", **body} for place, body in enumerate(bodies)
    ]
    pod: JsonObject = {
        "metadata": {"name": "p"},
        "spec": {"securityContext": {"runAsUser": 7}, "containers": containers},
    }
    verdict = judge(Entry.NAMESPACE, namespace, pod, a_plan(mode))
    event(verdict.reason.value)
    eased = namespace == LISTED or mode is CaptureMode.COOPERATIVE
    denied = any(map(_through_the_node, bodies)) and not eased
    assert verdict.reason is (Reason.HOST_NAMESPACE if denied else Reason.OK)


@settings(max_examples=60)
@given(
    pods(),
    PLANS,
    st.sampled_from(["outrider", "outrider-net-init", "outrider-x", "outriders"]),
    st.booleans(),
)
def test_a_container_of_our_name_never_passes_for_ours(
    pod: JsonObject, plan: Plan, name: str, init: bool
) -> None:
    """Not even with an image that we accept."""
    fake = {"name": name, "image": EARLIER, "restartPolicy": "Always"}
    spec: Any = pod["spec"]
    if init:
        spec["initContainers"] = [*(spec.get("initContainers") or ()), fake]
    else:
        spec["containers"].append({"name": name, "image": EARLIER})
    assert judge(Entry.NAMESPACE, LISTED, pod, plan).reason is Reason.RESERVED_NAME


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 3000) | st.sampled_from(["", "x", "outrider"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "spec",
                    "containers",
                    "initContainers",
                    "volumes",
                    "name",
                    "labels",
                    "annotations",
                    "env",
                    "securityContext",
                    "capabilities",
                    "add",
                    "csi",
                    "driver",
                    "dnsConfig",
                    "nameservers",
                    "dnsPolicy",
                    "ports",
                    "config.outrider.dev/image",
                    "volumeMounts",
                    "projected",
                    "sources",
                    "hostPath",
                    "path",
                    "httpGet",
                    "preStop",
                    "host",
                    "hostPort",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150)
@given(_ANY, PLANS)
def test_nothing_but_a_verdict_comes_of_whatever_is_sent(value: Any, plan: Plan) -> None:
    for pod in (
        value,
        {"spec": value},
        {"metadata": value, "spec": {"containers": [{"name": "a"}]}},
    ):
        verdict = judge(Entry.NAMESPACE, "agents", pod, plan)
        assert verdict.outcome in set(Outcome)
        if verdict.outcome is Outcome.DENIED:
            assert verdict.message


@settings(max_examples=150)
@given(
    pods(),
    _ANY,
    st.sampled_from(
        [
            "securityContext",
            "env",
            "volumeMounts",
            "ports",
            "envFrom",
            "livenessProbe",
            "lifecycle",
        ]
    ),
)
def test_a_container_of_any_shape_gives_a_verdict(pod: Any, value: Any, field: str) -> None:
    pod["spec"]["containers"][0][field] = value
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).outcome in set(Outcome)
