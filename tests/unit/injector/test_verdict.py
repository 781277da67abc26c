"""The truth table, row by row, and the goldens: what each shape of pod is answered."""

import dataclasses

import orjson
import pytest

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import Entry, Hardening, Sidecar
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import judge
from tests.support import admission_pss
from tests.support.admission import EVERY, LISTED, a_container, a_plan, a_pod, admitted
from tests.support.admission_shapes import CONFINED, GOLDENS, SHAPES, golden

INJECTED = (Outcome.INJECTED, Reason.OK)
UNTOUCHED = (Outcome.UNCHANGED, Reason.OK)
SKIPPED = (Outcome.SKIPPED, Reason.OPTED_OUT)
NOT_OUT = (Outcome.DENIED, Reason.OPT_OUT_NOT_ACCEPTED)
NON_ROOT = {"securityContext": {"runAsNonRoot": True}}
INVALID = (Outcome.DENIED, Reason.INVALID_VALUE)


_MANY = ["10.96.0.10"] * 257


def _with_capabilities(**lists: list[str]) -> JsonObject:
    context: JsonObject = {"runAsUser": 1000, "capabilities": dict(lists)}
    return a_container(securityContext=context)


@pytest.mark.parametrize(
    ("entry", "namespace", "label", "expected"),
    [
        pytest.param(Entry.NAMESPACE, "agents", None, INJECTED, id="enabled-none"),
        pytest.param(Entry.NAMESPACE, "agents", "enabled", INJECTED, id="enabled-enabled"),
        pytest.param(Entry.NAMESPACE, "agents", "disabled", NOT_OUT, id="enabled-disabled"),
        pytest.param(Entry.NAMESPACE, LISTED, "disabled", SKIPPED, id="enabled-disabled-listed"),
        pytest.param(Entry.NAMESPACE, LISTED, None, INJECTED, id="listed-but-not-disabled"),
        pytest.param(Entry.POD, "agents", "enabled", INJECTED, id="unlabelled-enabled"),
        pytest.param(Entry.POD, "agents", "disabled", UNTOUCHED, id="unlabelled-disabled"),
        pytest.param(Entry.POD, "agents", None, UNTOUCHED, id="unlabelled-none"),
        *(
            pytest.param(entry, namespace, value, INVALID, id=f"{entry}-{namespace}-{value!r}")
            for entry in Entry
            for namespace in ("agents", LISTED)
            for value in ("Enabled", "DISABLED", "true", "", "disabled ", "no")
        ),
    ],
)
def test_truth_table(
    entry: Entry, namespace: str, label: str | None, expected: tuple[Outcome, Reason]
) -> None:
    labels = {} if label is None else {"outrider.dev/inject": label}
    verdict = judge(entry, namespace, a_pod(labels=labels), a_plan())
    assert (verdict.outcome, verdict.reason) == expected
    assert bool(verdict.ops) == (verdict.outcome is Outcome.INJECTED)
    assert verdict.message


def test_an_invalid_value_is_answered_with_the_valid_ones() -> None:
    verdict = judge(
        Entry.NAMESPACE, "agents", a_pod(labels={"outrider.dev/inject": "off"}), a_plan()
    )
    assert (
        verdict.message == "metadata.labels.outrider.dev/inject is 'off'; give enabled or disabled"
    )


@pytest.mark.parametrize(
    "key", ["outrider.dev/Inject", "outrider.dev/INJECT", "outrider.dev/injected"]
)
def test_a_label_of_another_case_opts_nobody_out(key: str) -> None:
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(labels={key: "disabled"}), a_plan())
    assert (verdict.outcome, verdict.reason) == INJECTED


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_answer_is_the_golden_one(name: str) -> None:
    """Written anew by `python -m tests.support.admission_shapes`; read the difference first."""
    assert golden(SHAPES[name]) == orjson.loads((GOLDENS / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_api_server_takes_every_patched_shape(name: str) -> None:
    shape = SHAPES[name]
    admitted(shape.pod, shape.plan, namespace=shape.namespace, entry=shape.entry, versions=EVERY)


def test_every_golden_has_its_shape() -> None:
    assert {path.stem for path in GOLDENS.glob("*.json")} == set(SHAPES)


def test_a_cooperative_pod_passes_pod_security_restricted() -> None:
    shape = SHAPES["restricted-cooperative"]
    assert admission_pss.restricted(admitted(shape.pod, shape.plan).pod) == []


@pytest.mark.parametrize("watch", [False, True])
@pytest.mark.parametrize("mode", [CaptureMode.TRANSPARENT, CaptureMode.ENFORCE_DROP])
def test_a_captured_pod_breaks_pod_security_by_net_admin_alone(
    mode: CaptureMode, watch: bool
) -> None:
    pod = a_pod(a_container(securityContext=CONFINED))
    patched = admitted(pod, a_plan(mode, capture_watch=watch)).pod
    only = ["outrider-net-init: adds NET_ADMIN"]
    assert admission_pss.restricted(patched) == only
    assert admission_pss.baseline(patched) == only


def test_net_init_as_root_breaks_it_further() -> None:
    pod = a_pod(a_container(securityContext=CONFINED))
    patched = admitted(pod, a_plan(capture_run_as_root=True)).pod
    assert admission_pss.restricted(patched) == [
        "outrider-net-init: adds NET_ADMIN",
        "outrider-net-init: runAsNonRoot",
        "outrider-net-init: runAsUser 0",
    ]


@pytest.mark.parametrize(
    ("spec", "servers"),
    [
        pytest.param({}, ["10.96.0.10"], id="cluster"),
        pytest.param({"dnsPolicy": "ClusterFirstWithHostNet"}, ["10.96.0.10"], id="cluster-host"),
        pytest.param(
            {"dnsConfig": {"nameservers": ["10.9.9.9"]}}, ["10.9.9.9", "10.96.0.10"], id="both"
        ),
        pytest.param(
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.9.9.9"]}},
            ["10.9.9.9"],
            id="own-alone",
        ),
        pytest.param(
            {"dnsPolicy": "Default", "dnsConfig": {"nameservers": ["10.9.9.9"]}},
            ["10.9.9.9"],
            id="default-with-own",
        ),
    ],
)
def test_the_dns_servers_let_out_are_those_the_pod_asks(
    spec: dict[str, object], servers: list[str]
) -> None:
    pod = admitted(a_pod(**spec), a_plan(), namespace=LISTED).pod
    rules = pod["spec"]["initContainers"][0]["args"][0]  # type: ignore[index,call-overload]
    assert f"ip daddr {{ {', '.join(servers)} }} udp dport 53 accept" in rules


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        pytest.param({"dnsPolicy": "Default"}, {}, id="of-the-node"),
        pytest.param({"dnsPolicy": "None"}, {}, id="none"),
        pytest.param({}, {"capture_nameservers": ()}, id="injector-knows-none"),
        pytest.param({"dnsConfig": {"nameservers": ["1.1.1.1 accept"]}}, {}, id="nft-words"),
        pytest.param({"dnsConfig": {"nameservers": ["fe80::1%eth0"]}}, {}, id="zone"),
        pytest.param({"dnsConfig": {"nameservers": ["192.0.2.53"]}}, {}, id="of-its-own-choice"),
        pytest.param(
            {"dnsConfig": {"nameservers": ["10.96.0.10", "192.0.2.53"]}}, {}, id="one-of-its-own"
        ),
        pytest.param(
            {"dnsConfig": {"nameservers": [f"10.0.0.{n}" for n in range(40)]}}, {}, id="too-many"
        ),
    ],
)
def test_a_pod_whose_dns_nobody_knows_is_denied(
    spec: dict[str, object], changes: dict[str, object]
) -> None:
    capture = {k: v for k, v in changes.items() if k != "capture_nameservers"}
    plan = a_plan(**capture)
    if "capture_nameservers" in changes:
        plan = dataclasses.replace(plan, capture=dataclasses.replace(plan.capture, nameservers=()))
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(**spec), plan)
    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, Reason.DNS_UNKNOWN)
    assert "spec.dns" in verdict.message


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"dnsConfig": {"nameservers": _MANY}}, "spec.dnsConfig.nameservers", id="dns"),
        pytest.param({"dnsConfig": {"searches": _MANY}}, "spec.dnsConfig.searches", id="searches"),
        pytest.param(
            {"securityContext": {"supplementalGroups": [1] * 257}},
            "spec.securityContext.supplementalGroups",
            id="groups",
        ),
        pytest.param(
            {"containers": [_with_capabilities(add=_MANY)]}, "capabilities.add", id="added"
        ),
        pytest.param(
            {"containers": [_with_capabilities(drop=_MANY)]}, "capabilities.drop", id="dropped"
        ),
    ],
)
def test_no_list_is_judged_that_is_longer_than_any_pods(spec: JsonObject, where: str) -> None:
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(**{**NON_ROOT, **spec}), a_plan())
    assert (verdict.outcome, verdict.reason) == (Outcome.DENIED, Reason.MALFORMED)
    assert verdict.message.endswith(f"{where} has more than 256 entries")


def test_without_capture_dns_does_not_matter() -> None:
    pod = a_pod(dnsPolicy="Default")
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan(CaptureMode.COOPERATIVE)).outcome is (
        Outcome.INJECTED
    )


def test_a_dns_server_of_the_platforms_may_be_named() -> None:
    pod = a_pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.96.0.10"]}, **NON_ROOT)
    verdict = judge(Entry.NAMESPACE, "agents", pod, a_plan())
    assert (verdict.outcome, verdict.warnings) == (Outcome.INJECTED, ())


def test_one_of_the_pods_own_choice_is_warned_of_where_the_namespace_may() -> None:
    pod = a_pod(dnsConfig={"nameservers": ["192.0.2.53"]}, **NON_ROOT)
    (warning,) = judge(Entry.NAMESPACE, LISTED, pod, a_plan()).warnings
    assert "192.0.2.53" in warning


def test_audit_warns_and_leaves_the_containers_alone() -> None:
    pod = a_pod(a_container(), a_container("confined", securityContext=CONFINED), **NON_ROOT)
    verdict = judge(Entry.NAMESPACE, "agents", pod, a_plan(hardening=Hardening.AUDIT))
    assert [line.partition(" may gain")[0] for line in verdict.warnings] == [
        "spec.containers[0] (agent)"
    ]
    assert not [op for op in verdict.ops if "/spec/containers" in str(op["path"])]


def test_a_grace_longer_than_the_pods_is_warned_of() -> None:
    plan = a_plan(sidecar=Sidecar(shutdown_grace_s=40))
    short, long = (
        judge(
            Entry.NAMESPACE, "agents", a_pod(terminationGracePeriodSeconds=given, **NON_ROOT), plan
        )
        for given in (30, 40)
    )
    assert ["terminationGracePeriodSeconds is 30" in line for line in short.warnings] == [True]
    assert long.warnings == ()


@pytest.mark.parametrize(
    ("spec", "agent"),
    [
        pytest.param({}, "default", id="default"),
        pytest.param({"serviceAccountName": "robot"}, "robot", id="named"),
        pytest.param({"serviceAccount": "old"}, "old", id="old-field"),
        pytest.param({"serviceAccountName": "x" * 62 + ".y"}, "x" * 62, id="cut-to-a-label"),
        pytest.param({"labels": {"outrider.dev/agent": "mine"}}, "mine", id="given"),
    ],
)
def test_the_agents_name_is_its_label_or_its_service_account(
    spec: dict[str, object], agent: str
) -> None:
    pod = admitted(a_pod(**spec), a_plan()).pod
    assert pod["metadata"]["labels"]["outrider.dev/agent"] == agent  # type: ignore[index,call-overload]


def test_a_status_that_the_author_wrote_is_written_over() -> None:
    lie = {"outrider.dev/status": '{"version":"9"}'}
    pod = admitted(a_pod(annotations=lie, labels={"outrider.dev/injected": "false"}), a_plan()).pod
    metadata = pod["metadata"]
    status = orjson.loads(metadata["annotations"]["outrider.dev/status"])  # type: ignore[index,call-overload]
    assert metadata["labels"]["outrider.dev/injected"] == "true"  # type: ignore[index,call-overload]
    assert list(status) == [
        "version",
        "rev",
        "captureMode",
        "initContainers",
        "containers",
        "volumes",
        "configHash",
    ]
    assert status["initContainers"] == ["outrider-net-init", "outrider", "outrider-verify"]


def test_what_the_author_said_of_kubectl_and_the_autoscaler_stays() -> None:
    said = {
        "kubectl.kubernetes.io/default-container": "other",
        "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "cache",
    }
    pod = admitted(a_pod(annotations=said), a_plan()).pod
    annotations = pod["metadata"]["annotations"]  # type: ignore[index,call-overload]
    assert annotations["kubectl.kubernetes.io/default-container"] == "other"
    assert annotations["kubectl.kubernetes.io/default-logs-container"] == "agent"
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"] == (
        "cache,outrider-run,outrider-state"
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param("a," * (1 << 17), Reason.OK, id="as-long-as-it-may-be"),
        pytest.param("a," * (1 << 17) + "a", Reason.MALFORMED, id="longer"),
        pytest.param("a," * 3_900_000, Reason.MALFORMED, id="a-whole-review"),
    ],
)
def test_volumes_that_an_author_names_are_read_as_far_as_an_api_server_takes_them(
    said: str, reason: Reason
) -> None:
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
    verdict = judge(Entry.NAMESPACE, "agents", a_pod(annotations={key: said}), a_plan())
    assert verdict.reason is reason
    assert (key in verdict.message) is (reason is Reason.MALFORMED)


@pytest.mark.parametrize(
    ("whole", "own", "warned"),
    [
        pytest.param(None, None, True, id="nobody-says"),
        pytest.param({"runAsNonRoot": True}, None, False, id="pod-says"),
        pytest.param(None, {"runAsUser": 1000}, False, id="container-has-a-user"),
        pytest.param({"runAsUser": 1000}, {"runAsUser": 0}, True, id="container-overrides"),
        pytest.param({"runAsNonRoot": False}, {"runAsNonRoot": True}, False, id="container-says"),
        pytest.param(None, {"runAsUser": 0, "runAsNonRoot": True}, True, id="root-that-denies-it"),
        pytest.param({"runAsUser": 0}, {"runAsUser": None}, True, id="null-is-the-pods"),
        pytest.param({"runAsUser": 1000}, {"runAsUser": None}, False, id="null-is-the-pods-user"),
    ],
)
def test_a_container_that_may_be_root_is_warned_of(
    whole: dict[str, object] | None, own: dict[str, object] | None, warned: bool
) -> None:
    pod = a_pod(a_container(securityContext=own), securityContext=whole)
    lines = judge(Entry.NAMESPACE, LISTED, pod, a_plan()).warnings
    lines = tuple(line for line in lines if "user of its image" not in line)
    assert [line.endswith("/etc/hosts, which the sidecar shares: agent") for line in lines] == (
        [True] if warned else []
    )
    assert judge(Entry.NAMESPACE, "agents", pod, a_plan(CaptureMode.COOPERATIVE)).warnings == ()


def test_names_that_the_author_resolves_are_warned_of_where_the_namespace_may() -> None:
    aliases = [{"ip": "192.0.2.7", "hostnames": ["api.example"]}]
    pod = a_pod(hostAliases=aliases, **NON_ROOT)
    (line,) = judge(Entry.NAMESPACE, LISTED, pod, a_plan()).warnings
    assert line == "spec.hostAliases says where api.example is, to the sidecar as well"
    assert (
        judge(Entry.NAMESPACE, LISTED, a_pod(hostAliases=[], **NON_ROOT), a_plan()).warnings == ()
    )


def test_a_user_that_the_image_says_is_warned_of_where_the_namespace_may() -> None:
    pod = a_pod(a_container(securityContext={"runAsNonRoot": True}), securityContext=None)
    (line,) = judge(Entry.NAMESPACE, LISTED, pod, a_plan()).warnings
    assert line == "runs as the user of its image, which may be the sidecar's: agent"
    assert judge(Entry.NAMESPACE, LISTED, a_pod(), a_plan()).warnings == ()
