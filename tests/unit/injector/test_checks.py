"""What goes round the sidecar is denied by its reason, naming the field; near misses are not."""

import dataclasses

import orjson
import pytest

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import Entry, TrustedContainer
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod, admitted, call
from tests.support.admission_hostile import HOSTILE, NEAR_MISSES, UNLESS_GUARDED

TRUSTED = a_plan(trusted=(TrustedContainer(name="vault", image_prefix="registry.example/vault@"),))
VAULT = "registry.example/vault@sha256:" + "c" * 64


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_pods_are_denied(name: str) -> None:
    case = HOSTILE[name]
    answer = call(case.pod, a_plan(case.mode))
    assert answer.response["allowed"] is False
    assert (answer.admitted.outcome, answer.admitted.reason) == (Outcome.DENIED, case.reason)
    assert case.says in orjson.dumps(answer.response["status"]).decode()
    assert answer.ops == []


@pytest.mark.parametrize("name", list(NEAR_MISSES))
def test_near_misses_are_injected(name: str) -> None:
    assert admitted(NEAR_MISSES[name], a_plan()).admitted.outcome is Outcome.INJECTED


def test_every_reason_for_a_pod_has_a_hostile_case() -> None:
    elsewhere = {
        Reason.OK,
        Reason.OPTED_OUT,
        Reason.OPT_OUT_NOT_ACCEPTED,
        Reason.INVALID_VALUE,
        Reason.BAD_ANNOTATION,
        Reason.GUARDED_ANNOTATION,
        Reason.DNS_UNKNOWN,
        Reason.MALFORMED,
        Reason.INTERNAL,
    }
    assert {case.reason for case in HOSTILE.values()} | elsewhere == set(Reason)


@pytest.mark.parametrize(
    "name", [name for name, case in HOSTILE.items() if case.reason is Reason.AGENT_SECRET]
)
def test_secrets_are_allowed_in_listed_namespaces_alone(name: str) -> None:
    assert judge(Entry.NAMESPACE, LISTED, HOSTILE[name].pod, a_plan()).outcome is Outcome.INJECTED


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, case in HOSTILE.items()
        if case.reason is not Reason.AGENT_SECRET and not case.lifted
    ],
)
def test_no_other_rule_is_lifted_where_secrets_are(name: str) -> None:
    case = HOSTILE[name]
    verdict = judge(Entry.NAMESPACE, LISTED, case.pod, a_plan(case.mode))
    assert verdict.reason is case.reason


@pytest.mark.parametrize("name", list(UNLESS_GUARDED))
def test_what_guarded_annotations_lift_passes_there_and_without_capture(name: str) -> None:
    pod = UNLESS_GUARDED[name].pod
    assert judge(Entry.NAMESPACE, LISTED, pod, a_plan()).outcome is Outcome.INJECTED
    cooperative = judge(Entry.NAMESPACE, "agents", pod, a_plan(CaptureMode.COOPERATIVE))
    assert cooperative.outcome is Outcome.INJECTED
    dropping = judge(Entry.NAMESPACE, "agents", pod, a_plan(CaptureMode.ENFORCE_DROP))
    assert dropping.reason is UNLESS_GUARDED[name].reason


def test_a_trusted_container_may_be_root() -> None:
    for image, expected in ((VAULT, Reason.OK), ("x:1", Reason.RESERVED_UID)):
        root = a_container("vault", image=image, securityContext={"runAsUser": 0})
        pod = a_pod(a_container(), root)
        assert judge(Entry.NAMESPACE, "agents", pod, TRUSTED).reason is expected


def test_a_trusted_container_says_its_user_too() -> None:
    own = a_container(securityContext={"runAsUser": 7})
    for context, reason in (({}, Reason.RESERVED_UID), ({"runAsUser": 100}, Reason.OK)):
        vault = a_container("vault", image=VAULT, securityContext=context)
        pod = a_pod(own, vault, securityContext=None)
        assert judge(Entry.NAMESPACE, "agents", pod, TRUSTED).reason is reason
        assert judge(Entry.NAMESPACE, LISTED, pod, TRUSTED).reason is Reason.OK
        without = dataclasses.replace(TRUSTED, capture=a_plan(CaptureMode.COOPERATIVE).capture)
        assert judge(Entry.NAMESPACE, "agents", pod, without).reason is Reason.OK


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"securityContext": {"privileged": True}}, Reason.CAPABILITY),
        ({"securityContext": {"procMount": "Unmasked"}}, Reason.CAPABILITY),
        ({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}, Reason.CAPABILITY),
        ({"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}, Reason.CAPABILITY),
        ({"volumeMounts": [{"name": "node", "mountPath": "/n"}]}, Reason.RESERVED_MOUNT),
        ({"ports": [{"containerPort": 80, "hostPort": 80}]}, Reason.HOST_NAMESPACE),
        (
            {"livenessProbe": {"httpGet": {"host": "192.0.2.66", "port": 80}}},
            Reason.HOST_NAMESPACE,
        ),
    ],
)
def test_a_trusted_container_gets_no_hold_of_the_node(changes: JsonObject, reason: Reason) -> None:
    node = {"name": "node", "hostPath": {"path": "/srv"}}
    pod = a_pod(a_container(), a_container("vault", image=VAULT, **changes), volumes=[node])
    assert judge(Entry.NAMESPACE, "agents", pod, TRUSTED).reason is reason


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"securityContext": {"capabilities": {"add": ["SETUID"]}}}, id="setuid"),
        pytest.param({"securityContext": {"capabilities": {"add": ["cap_setfcap"]}}}, id="setfcap"),
        pytest.param({"envFrom": [{"secretRef": {"name": "s"}}]}, id="secret"),
        pytest.param({"volumeMounts": [{"name": "outrider-run", "mountPath": "/x"}]}, id="run"),
    ],
)
def test_a_trusted_container_is_free_of_these_rules(changes: JsonObject) -> None:
    def outcome(**more: object) -> Outcome:
        pod = a_pod(a_container(), a_container(**{**changes, **more}))
        return judge(Entry.NAMESPACE, "agents", pod, TRUSTED).outcome

    assert outcome(name="vault", image=VAULT) is Outcome.INJECTED
    assert outcome(name="vault2", image=VAULT) is Outcome.DENIED
    assert outcome(name="vault", image="registry.example/agent:1") is Outcome.DENIED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"securityContext": {"runAsUser": 2102}}, Reason.RESERVED_UID),
        (
            {"volumeMounts": [{"name": "outrider-state", "mountPath": "/x"}]},
            Reason.RESERVED_MOUNT,
        ),
        (
            {"volumeMounts": [{"name": "spiffe-workload-api", "mountPath": "/x"}]},
            Reason.RESERVED_MOUNT,
        ),
        ({"ports": [{"containerPort": 15001}]}, Reason.PORT_CONFLICT),
    ],
)
def test_a_trusted_container_is_bound_by_the_others(changes: JsonObject, reason: Reason) -> None:
    pod = a_pod(a_container(), a_container("vault", image=VAULT, **changes))
    assert judge(Entry.NAMESPACE, "agents", pod, TRUSTED).reason is reason


def test_a_trusted_container_is_not_hardened() -> None:
    pod = a_pod(a_container(), a_container("vault", image=VAULT))
    patched = admitted(pod, TRUSTED).pod
    containers = patched["spec"]["containers"]  # type: ignore[index,call-overload]
    assert ["securityContext" in body for body in containers] == [True, False]


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"securityContext": []}, id="security-context"),
        pytest.param({"securityContext": {"runAsUser": "2102"}}, id="uid-text"),
        pytest.param({"securityContext": {"runAsUser": 2102.0}}, id="uid-float"),
        pytest.param({"securityContext": {"capabilities": {"add": "ALL"}}}, id="added-text"),
        pytest.param({"securityContext": {"capabilities": {"add": [1]}}}, id="added-number"),
        pytest.param({"env": {"A": "b"}}, id="env-object"),
        pytest.param({"envFrom": [None]}, id="env-from-null"),
        pytest.param({"volumeMounts": "x"}, id="mounts-text"),
        pytest.param({"ports": [15001]}, id="ports-number"),
        pytest.param({"ports": [{"hostPort": "80"}]}, id="host-port-text"),
        pytest.param({"ports": [{"hostPort": False}]}, id="host-port-truth"),
        pytest.param({"ports": [{"hostPort": 0.0}]}, id="host-port-fraction"),
        pytest.param({"livenessProbe": []}, id="probe-list"),
        pytest.param({"startupProbe": {"httpGet": "192.0.2.66"}}, id="action-text"),
        pytest.param({"readinessProbe": {"tcpSocket": {"host": 7}}}, id="host-number"),
        pytest.param({"readinessProbe": {"tcpSocket": {"host": []}}}, id="host-list"),
        pytest.param({"lifecycle": "preStop"}, id="lifecycle-text"),
        pytest.param({"lifecycle": {"preStop": [{}]}}, id="hook-list"),
    ],
)
def test_what_has_the_wrong_shape_is_malformed(container: JsonObject) -> None:
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(a_container(**container)), a_plan())
    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, Reason.MALFORMED)


@pytest.mark.parametrize(
    "spec",
    [
        {"securityContext": {"supplementalGroups": 2102}},
        {"securityContext": {"fsGroup": True}},
        {"terminationGracePeriodSeconds": "30"},
        {"dnsConfig": []},
        {"volumes": [{"name": "v", "csi": 1}]},
        {"volumes": [{"name": "v", "projected": {"sources": {}}}]},
        {"os": "windows"},
    ],
)
def test_a_pod_of_the_wrong_shape_is_malformed(spec: JsonObject) -> None:
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(**spec), a_plan())
    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, Reason.MALFORMED)


def test_what_the_node_would_do_is_told_by_its_path_and_what_to_do() -> None:
    asks = a_container(lifecycle={"preStop": {"httpGet": {"host": "evil\x00host", "port": 80}}})
    listens = a_container(ports=[{"containerPort": 80}, {"containerPort": 81, "hostPort": 8181}])
    probed = judge(Entry.NAMESPACE, "agents", a_pod(asks), a_plan()).message
    assert probed == (
        "spec.containers[0] (agent).lifecycle.preStop.httpGet.host is evil�host: the node would "
        "connect there, past the sidecar; leave it out, and the pod's own address is asked"
    )
    heard = judge(Entry.NAMESPACE, "agents", a_pod(listens), a_plan()).message
    assert heard == (
        "spec.containers[0] (agent).ports has hostPort 8181: whoever reaches the node could "
        "connect in, and is answered past the sidecar; take it away and use a Service"
    )


def test_host_namespaces_and_ids_are_denied_in_every_mode() -> None:
    for mode in CaptureMode:
        for name in ("host-hostNetwork", "uid-of-the-pod", "adds-NET_RAW", "secret-in-env"):
            case = HOSTILE[name]
            assert judge(Entry.NAMESPACE, "agents", case.pod, a_plan(mode)).reason is case.reason


def test_a_million_characters_of_annotation_cost_little_and_change_nothing() -> None:
    pod = a_pod(annotations={f"note-{n}": "n" * 100_000 for n in range(10)})
    plain = judge(Entry.NAMESPACE, "agents", a_pod(annotations={"note": "n"}), a_plan())
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan()).ops == plain.ops


def test_exceptions_do_not_leak_from_one_list_to_another() -> None:
    plan = dataclasses.replace(
        a_plan(),
        exceptions=dataclasses.replace(a_plan().exceptions, agent_secrets=frozenset()),
    )
    case = HOSTILE["secret-volume"]
    assert judge(Entry.NAMESPACE, LISTED, case.pod, plan).reason is Reason.AGENT_SECRET
