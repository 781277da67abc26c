"""The API server asks the real injector, through the chart's own Service and configuration."""

from collections.abc import Iterator

import orjson
import pytest

from tests.support.admission import a_pod
from tests.support.chart import Object
from tests.support.control_plane import ControlPlane
from tests.support.live_injector import OURS, a_chart, a_running_injector, asked, injected
from tests.support.release import a_namespace

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hooked(plane: ControlPlane) -> Iterator[ControlPlane]:
    with a_chart(plane) as chart, a_running_injector(chart):
        yield chart


def test_a_pod_of_a_labelled_namespace_is_injected(hooked: ControlPlane) -> None:
    pod = orjson.loads(asked(hooked, a_pod()).checked())
    assert [one["name"] for one in pod["spec"]["initContainers"]] == OURS
    assert pod["metadata"]["labels"]["outrider.dev/injected"] == "true"
    status = orjson.loads(pod["metadata"]["annotations"]["outrider.dev/status"])
    assert status["captureMode"] == "transparent"


@pytest.mark.parametrize(("namespace", "label", "expected"), [
    pytest.param("open", "enabled", OURS, id="pod-path"),
    pytest.param("closed", "enabled", OURS, id="pod-path-in-a-disabled-namespace"),
    pytest.param("hooked", "enabled", OURS, id="both-labelled"),
    pytest.param("open", None, [], id="nobody"),
    pytest.param("closed", None, [], id="disabled"),
    pytest.param("lenient", "disabled", [], id="opted-out-where-allowed"),
])  # fmt: skip
def test_the_truth_table_holds_end_to_end(
    hooked: ControlPlane, namespace: str, label: str | None, expected: list[str]
) -> None:
    labels = {} if label is None else {"outrider.dev/inject": label}
    assert injected(asked(hooked, a_pod(labels=labels), namespace)) == expected


@pytest.mark.parametrize(("changes", "words"), [
    pytest.param({"labels": {"outrider.dev/inject": "disabled"}}, "opt_out_not_accepted",
                 id="opted-out"),
    pytest.param({"hostNetwork": True}, "host_namespace", id="host-network"),
    pytest.param({"securityContext": {"runAsUser": 2102}}, "reserved_uid", id="our-uid"),
    pytest.param({"annotations": {"config.outrider.dev/capture-mode": "cooperative"}},
                 "guarded_annotation", id="guarded"),
    pytest.param({"automountServiceAccountToken": True}, "agent_secret", id="token"),
])  # fmt: skip
def test_a_denial_says_its_reason_and_the_field(
    hooked: ControlPlane, changes: Object, words: str
) -> None:
    told = asked(hooked, a_pod(**changes))
    assert told.code != 0
    assert words in told.err
    assert "outrider.dev" in told.err  # the entry that was asked


def test_what_the_injector_makes_passes_the_policies_and_is_stored(hooked: ControlPlane) -> None:
    pod = a_pod(name="stored")
    made = hooked.made({**pod, "metadata": {**pod["metadata"], "namespace": "hooked"}})
    spec = made["spec"]
    assert isinstance(spec, dict)
    assert [one["name"] for one in spec["initContainers"]] == OURS


def test_a_mutating_webhook_after_us_does_not_get_before_us(hooked: ControlPlane) -> None:
    # a webhook of somebody else's is stood in for by what it would leave behind
    first = orjson.loads(asked(hooked, a_pod()).checked())
    container = {"name": "vault-agent-init", "image": "x:1", "securityContext": {
        "capabilities": {"drop": ["ALL"]}}}  # fmt: skip
    first["spec"]["initContainers"].insert(0, container)
    kept = ("name", "labels", "annotations")
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": first["spec"],
           "metadata": {key: first["metadata"][key] for key in kept}}  # fmt: skip
    assert injected(asked(hooked, pod)) == [*OURS, "vault-agent-init"]


def test_pod_security_lets_in_cooperative_pods_and_names_one_violation_otherwise(
    hooked: ControlPlane,
) -> None:
    a_namespace(hooked, "baseline", **{
        "inject": "enabled", "pod-security.kubernetes.io/enforce": "restricted"})  # fmt: skip
    told = asked(hooked, a_pod(_restricted()), "baseline")
    assert told.code != 0
    # csi volumes pass; net-init's NET_ADMIN alone stands in the way
    assert "outrider-net-init" in told.err
    assert "NET_ADMIN" in told.err
    for other in ("runAsNonRoot", "seccompProfile", "allowPrivilegeEscalation", "volumes"):
        assert f"{other} " not in told.err.partition("violates")[2]


def _restricted() -> Object:
    return {
        "name": "agent",
        "image": "registry.example/agent:1",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def test_nothing_is_written_on_a_dry_run(hooked: ControlPlane) -> None:
    before = hooked.kubectl("get", "events", "-A", "-o", "name").checked()
    asked(hooked, a_pod(name="dry")).checked()
    assert hooked.kubectl("get", "pod", "dry", "-n", "hooked").code != 0
    assert hooked.kubectl("get", "events", "-A", "-o", "name").checked() == before
