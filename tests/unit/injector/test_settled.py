"""From the settings file to the plan."""

import pytest

from outrider.config.injector import validate_injector
from outrider.core.capture import CaptureMode
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import (
    Capture,
    Exceptions,
    Hardening,
    Identity,
    IdentitySource,
    Plan,
    Preset,
    Resources,
    Sidecar,
    TrustedContainer,
)
from outrider.injector.settled import plan_of
from tests.support.admission import EARLIER, IMAGE

FULL: JsonObject = {
    "image": IMAGE,
    "acceptedImages": [EARLIER],
    "imagePullPolicy": "Always",
    "revision": "blue",
    "optOut": {"namespaces": ["a"]},
    "guardedAnnotations": {"namespaces": ["b"]},
    "agentSecrets": {"exceptions": ["c"]},
    "classicSidecar": {"namespaces": ["d"]},
    "hardenAppContainers": "audit",
    "trustedContainers": [{"name": "vault", "imagePrefix": "registry.example/vault@"}],
    "inlineCsiDrivers": ["shares.csi.example"],
    "capture": {
        "mode": "enforce-drop",
        "watch": True,
        "dnsServers": ["10.0.0.10"],
        "skipOutboundPorts": [5432],
        "skipSubnets": ["10.1.0.0/16"],
    },
    "netInit": {"runAsRoot": True},
    "identity": {
        "source": "hostPath",
        "csiDriver": "csi.own.example",
        "hostPath": "/run/own",
        "socketName": "own.sock",
    },
    "resources": {
        "preset": "guaranteed",
        "cpuRequest": "1",
        "memoryRequest": "256Mi",
        "memoryLimit": "1Gi",
    },
    "sidecar": {
        "logLevel": "DEBUG",
        "startupTimeoutS": 60,
        "shutdownGraceS": 5,
        "configMap": "settings",
        "policyConfigMap": "rego",
        "inbound": False,
        "environment": {"OUTRIDER_PROFILE": "production"},
    },
}


def test_the_least_file_gives_the_default_plan() -> None:
    plan = plan_of(validate_injector({"image": IMAGE}), resolv_nameservers=("10.96.0.10",))
    assert plan == Plan(image=IMAGE, capture=Capture(nameservers=("10.96.0.10",)))


def test_every_setting_of_the_pods_reaches_the_plan() -> None:
    assert plan_of(validate_injector(FULL), resolv_nameservers=("10.96.0.10",)) == Plan(
        image=IMAGE,
        accepted_images=(EARLIER,),
        image_pull_policy="Always",
        revision="blue",
        hardening=Hardening.AUDIT,
        capture=Capture(
            mode=CaptureMode.ENFORCE_DROP,
            watch=True,
            run_as_root=True,
            nameservers=("10.0.0.10",),
            skip_ports=("5432",),
            skip_subnets=("10.1.0.0/16",),
        ),
        identity=Identity(
            source=IdentitySource.HOST_PATH,
            driver="csi.own.example",
            host_path="/run/own",
            socket_name="own.sock",
        ),
        resources=Resources(
            preset=Preset.GUARANTEED, cpu_request="1", memory_request="256Mi", memory_limit="1Gi"
        ),
        sidecar=Sidecar(
            log_level="DEBUG",
            startup_timeout_s=60,
            shutdown_grace_s=5,
            inbound=False,
            config_map="settings",
            policy_config_map="rego",
            environment=(("OUTRIDER_PROFILE", "production"),),
        ),
        exceptions=Exceptions(
            opt_out=frozenset({"a"}),
            guarded_annotations=frozenset({"b"}),
            agent_secrets=frozenset({"c"}),
            classic_sidecar=frozenset({"d"}),
        ),
        trusted=(TrustedContainer(name="vault", image_prefix="registry.example/vault@"),),
        inline_drivers=frozenset({"shares.csi.example"}),
    )


def test_of_a_resolv_conf_what_no_rule_can_name_is_left_out() -> None:
    plan = plan_of(
        validate_injector({"image": IMAGE}),
        resolv_nameservers=("127.0.0.53", "fe80::1%eth0", "x", "FD00::A"),
    )
    assert plan.capture.nameservers == ("fd00::a",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"capture": {"dnsServers": ["0.0.0.0"]}}, "capture.dnsServers"),
        ({"capture": {"skipSubnets": ["0.0.0.0/0"]}}, "capture.skipSubnets"),
        ({"resources": {"memoryLimit": "128Mi"}}, "resources.memoryLimit is 128Mi"),
        ({"resources": {"memoryRequest": "1Gi"}}, "resources.memoryRequest is 1Gi"),
        (
            {"sidecar": {"environment": {"OUTRIDER_CAPTURE__MODE": "cooperative"}}},
            "sidecar.environment has OUTRIDER_CAPTURE__MODE",
        ),
        (
            {
                "sidecar": {
                    "policyConfigMap": "rego",
                    "environment": {"OUTRIDER_POLICY__BUNDLE__URL": "https://p.example/b.tar.gz"},
                }
            },
            "sidecar.policyConfigMap stands beside OUTRIDER_POLICY__BUNDLE__URL",
        ),
    ],
)
def test_settings_no_pod_could_be_patched_by_are_refused(change: JsonObject, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(validate_injector({"image": IMAGE, **change}))
