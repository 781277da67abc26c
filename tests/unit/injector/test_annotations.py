"""Annotations: what each makes of the plan, who may use it, and what is out of bounds."""

import dataclasses

import pytest

from outrider.core.capture import CaptureMode
from outrider.injector.annotations import chosen
from outrider.injector.names import ANNOTATIONS, Annotation
from outrider.injector.plan import Plan, Sidecar
from outrider.injector.reading import read_pod
from outrider.injector.reasons import DeniedError, Reason
from tests.support.admission import EARLIER, LISTED, a_plan, a_pod

TAKEN = {
    Annotation.CPU_REQUEST: ("250m", lambda p: p.resources.cpu_request, "250m"),
    Annotation.MEMORY_REQUEST: ("200M", lambda p: p.resources.memory_request, "200M"),
    Annotation.MEMORY_LIMIT: ("1Gi", lambda p: p.resources.memory_limit, "1Gi"),
    Annotation.LOG_LEVEL: ("DEBUG", lambda p: p.sidecar.log_level, "DEBUG"),
    Annotation.STARTUP_TIMEOUT: ("110", lambda p: p.sidecar.startup_timeout_s, 110),
    Annotation.SHUTDOWN_GRACE: ("0", lambda p: p.sidecar.shutdown_grace_s, 0),
    Annotation.CAPTURE_MODE: (
        "cooperative",
        lambda p: p.capture.mode,
        CaptureMode.COOPERATIVE,
    ),
    Annotation.SKIP_OUTBOUND_PORTS: (
        "22, 9000-9010",
        lambda p: p.capture.skip_ports,
        ("22", "9000-9010"),
    ),
    Annotation.SKIP_SUBNETS: (
        "10.0.0.1/8,fd00::/8",
        lambda p: p.capture.skip_subnets,
        ("10.0.0.0/8", "fd00::/8"),
    ),
    Annotation.INBOUND: ("off", lambda p: p.sidecar.inbound, False),
    Annotation.NATIVE_SIDECAR: ("false", lambda p: p.native_sidecar, False),
    Annotation.POLICY_BUNDLE: (
        "https://policy.example/b.tar.gz",
        lambda p: p.sidecar.environment,
        (("OUTRIDER_POLICY__BUNDLE__URL", "https://policy.example/b.tar.gz"),),
    ),
    Annotation.CONFIG_MAP: ("agent-1", lambda p: p.sidecar.config_map, "agent-1"),
    Annotation.IMAGE: (EARLIER, lambda p: p.image, EARLIER),
    Annotation.ADDITIONAL_ENV: (
        " OUTRIDER_B=2=3\n\nOUTRIDER_A=[1, 2]\n",
        lambda p: p.sidecar.environment,
        (("OUTRIDER_A", "[1, 2]"), ("OUTRIDER_B", "2=3")),
    ),
}


def _chosen(annotations: dict[str, str], namespace: str = LISTED) -> Plan:
    return chosen(read_pod(a_pod(annotations=annotations)), namespace, a_plan())


@pytest.mark.parametrize("annotation", list(Annotation))
def test_every_annotation_is_taken_where_it_may_be(annotation: Annotation) -> None:
    given, read, expected = TAKEN[annotation]
    assert read(_chosen({annotation.key: given})) == expected


@pytest.mark.parametrize("annotation", list(Annotation))
def test_guarded_ones_count_in_listed_namespaces_alone(annotation: Annotation) -> None:
    given = TAKEN[annotation][0]
    if not ANNOTATIONS[annotation].guarded:
        assert _chosen({annotation.key: given}, "agents") != a_plan()
        return
    with pytest.raises(DeniedError) as caught:
        _chosen({annotation.key: given}, "agents")
    assert caught.value.reason is Reason.GUARDED_ANNOTATION
    assert annotation.key in caught.value.message


def test_without_annotations_the_plan_stays() -> None:
    assert _chosen({"config.outrider.example/x": "1", "other": "y"}) == a_plan()


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("cpu-request", "0"),
        ("cpu-request", "65"),
        ("cpu-request", "much"),
        ("memory-request", "63Mi"),
        ("memory-request", "513Mi"),
        ("memory-limit", "255Mi"),
        ("memory-limit", "17Gi"),
        ("memory-limit", "-1Gi"),
        ("log-level", "debug"),
        ("startup-timeout", "111"),
        ("startup-timeout", "4"),
        ("startup-timeout", "9s"),
        ("startup-timeout", "٩٠"),
        ("shutdown-grace", "3601"),
        ("shutdown-grace", ""),
        ("capture-mode", "Transparent"),
        ("capture-mode", "off"),
        ("skip-outbound-ports", "0"),
        ("skip-outbound-ports", ""),
        ("skip-outbound-ports", "22 accept"),
        ("skip-outbound-ports", ",".join(["22"] * 65)),
        ("skip-subnets", "0.0.0.0/0"),
        ("skip-subnets", "::/0"),
        ("skip-subnets", "10.0.0.0/8 } accept"),
        ("inbound", "on"),
        ("native-sidecar", "False"),
        ("policy-bundle", "http://policy.example/b"),
        ("policy-bundle", "https://policy.example/a b"),
        ("configmap", "../x"),
        ("configmap", "A"),
        ("image", "outrider:latest"),
        ("image", "outrider@sha256:" + "A" * 64),
        ("additional-env", "PATH=/x"),
        ("additional-env", "OUTRIDER_POD_UID=x"),
        ("additional-env", "OUTRIDER_CAPTURE__MODE=cooperative"),
        ("additional-env", "OUTRIDER_A=1\nOUTRIDER_A=2"),
        ("additional-env", "OUTRIDER_A"),
        ("additional-env", "\n".join(f"OUTRIDER_A{n}=1" for n in range(65))),
        ("additional-env", "OUTRIDER_A=" + "x" * 20_000),
    ],
)
def test_what_is_out_of_bounds_denies(annotation: str, value: str) -> None:
    with pytest.raises(DeniedError) as caught:
        _chosen({f"config.outrider.dev/{annotation}": value})
    assert caught.value.reason is Reason.BAD_ANNOTATION
    assert f"config.outrider.dev/{annotation}" in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "key",
    [
        "config.outrider.dev/uid",
        "config.outrider.dev/run-as-user",
        "config.outrider.dev/",
        "config.outrider.dev/Capture-Mode",
        "Config.Outrider.Dev/capture-mode",
        "CONFIG.OUTRIDER.DEV/cpu-request",
    ],
)
def test_an_unknown_key_under_our_prefix_denies_in_any_case(key: str) -> None:
    with pytest.raises(DeniedError) as caught:
        _chosen({key: "1"})
    assert caught.value.reason is Reason.BAD_ANNOTATION


def test_a_request_above_the_limit_denies() -> None:
    with pytest.raises(DeniedError) as caught:
        _chosen(
            {
                "config.outrider.dev/memory-limit": "300Mi",
                "config.outrider.dev/memory-request": "301Mi",
            }
        )
    assert "301Mi is more than the limit, 300Mi" in caught.value.message


def test_a_plain_container_takes_a_listed_namespace() -> None:
    plan = a_plan()
    plan = dataclasses.replace(
        plan, exceptions=dataclasses.replace(plan.exceptions, classic_sidecar=frozenset())
    )
    pod = read_pod(a_pod(annotations={"config.outrider.dev/native-sidecar": "false"}))
    with pytest.raises(DeniedError, match="classicSidecar"):
        chosen(pod, LISTED, plan)


def test_a_bundle_of_its_own_takes_the_place_of_the_config_map() -> None:
    path = (("OUTRIDER_POLICY__PATH", "/elsewhere"),)
    plan = a_plan(sidecar=Sidecar(policy_config_map="rego", environment=path))
    pod = read_pod(a_pod(annotations={"config.outrider.dev/policy-bundle": "oci://r.example/p:1"}))
    sidecar = chosen(pod, LISTED, plan).sidecar
    assert sidecar.policy_config_map is None
    assert sidecar.environment == (("OUTRIDER_POLICY__BUNDLE__URL", "oci://r.example/p:1"),)
