"""Shapes of pods as people write them, each with the plan and the answer that is expected.

Their goldens, patched, stand in tests/unit/injector/goldens; `python -m
tests.support.admission_shapes` writes them anew.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.names import annotation_table
from outrider.injector.plan import Entry, Identity, IdentitySource, Plan, Preset, Resources, Sidecar
from outrider.injector.reasons import reason_table
from outrider.injector.verdict import judge
from tests.support.admission import LISTED, a_container, a_plan, a_pod, call

GOLDENS: Final = Path(__file__).parents[1] / "unit" / "injector" / "goldens"
PAGE: Final = Path(__file__).parents[2] / "deploy" / "kubernetes" / "injection.md"
COOPERATIVE: Final = a_plan(CaptureMode.COOPERATIVE)
DROP: Final = a_plan(CaptureMode.ENFORCE_DROP)
CONFINED: Final[JsonObject] = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}
TOKEN: Final[JsonObject] = {
    "name": "kube-api-access-x2x4z",
    "projected": {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {
                "configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }
            },
        ],
    },
}
TOKEN_MOUNT: Final[JsonObject] = {
    "name": "kube-api-access-x2x4z",
    "readOnly": True,
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    pod: JsonObject
    plan: Plan = field(default_factory=a_plan)
    namespace: str = "agents"
    entry: Entry = Entry.NAMESPACE


SHAPES: Final[dict[str, Shape]] = {
    "plain": Shape(pod=a_pod()),
    "null-lists": Shape(
        pod={
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "agent-",
                "namespace": "",
                "labels": None,
                "annotations": None,
            },
            "spec": {
                "automountServiceAccountToken": False,
                "initContainers": None,
                "volumes": None,
                "securityContext": None,
                "containers": [
                    a_container(
                        env=None,
                        volumeMounts=None,
                        ports=None,
                        securityContext={"runAsUser": 1000, "capabilities": None},
                    )
                ],
            },
        }
    ),
    "init-containers": Shape(
        pod=a_pod(
            a_container(),
            a_container("helper", securityContext=CONFINED),
            initContainers=[a_container("migrate"), a_container("fetch", restartPolicy="Always")],
            volumes=[{"name": "work", "emptyDir": {}}],
        )
    ),
    "restricted-cooperative": Shape(
        pod=a_pod(a_container(securityContext=CONFINED)), plan=COOPERATIVE
    ),
    "restricted-transparent": Shape(pod=a_pod(a_container(securityContext=CONFINED))),
    "cooperative-with-init": Shape(
        pod=a_pod(
            a_container(env=[{"name": "MODEL", "value": "small"}]),
            initContainers=[a_container("migrate")],
        ),
        plan=COOPERATIVE,
    ),
    "enforce-drop": Shape(
        pod=a_pod(a_container(env=[{"name": "http_proxy", "value": "http://127.0.0.1:15001"}])),
        plan=DROP,
    ),
    "labelled-pod": Shape(pod=a_pod(labels={"outrider.dev/inject": "enabled"}), entry=Entry.POD),
    "annotated-free": Shape(
        pod=a_pod(
            annotations={
                "config.outrider.dev/cpu-request": "0.25",
                "config.outrider.dev/memory-request": "200M",
                "config.outrider.dev/memory-limit": "1024Mi",
                "config.outrider.dev/log-level": "DEBUG",
                "config.outrider.dev/startup-timeout": "60",
                "config.outrider.dev/shutdown-grace": "25",
                "team": "a/b~c",
            }
        )
    ),
    "annotated-guarded": Shape(
        pod=a_pod(
            annotations={
                "config.outrider.dev/skip-outbound-ports": "5432,9000-9010",
                "config.outrider.dev/skip-subnets": "10.1.0.0/16,2001:db8::/48",
                "config.outrider.dev/inbound": "off",
                "config.outrider.dev/policy-bundle": "oci://registry.example/policy:1",
                "config.outrider.dev/configmap": "agent-settings",
                "config.outrider.dev/additional-env": "OUTRIDER_ENVIRONMENT=prod$(X)\n",
            }
        ),
        namespace=LISTED,
    ),
    "classic-sidecar": Shape(
        pod=a_pod(
            annotations={"config.outrider.dev/native-sidecar": "false"},
            initContainers=[a_container("migrate")],
        ),
        namespace=LISTED,
    ),
    "capture-watched": Shape(pod=a_pod(), plan=a_plan(capture_watch=True)),
    "dual-stack-dns-guarded": Shape(
        pod=a_pod(
            dnsPolicy="None",
            dnsConfig={"nameservers": ["10.96.0.11", "fd00::a"], "searches": ["svc.cluster.local"]},
        ),
        namespace=LISTED,
    ),
    "guaranteed": Shape(
        pod=a_pod(
            a_container(
                resources={
                    "requests": {"cpu": "1", "memory": "1Gi"},
                    "limits": {"cpu": "1", "memory": "1Gi"},
                }
            )
        ),
        plan=a_plan(resources=Resources(preset=Preset.GUARANTEED, cpu_request="250m")),
    ),
    "host-path-identity": Shape(
        pod=a_pod(), plan=a_plan(identity=Identity(source=IdentitySource.HOST_PATH))
    ),
    "config-maps": Shape(
        pod=a_pod(volumes=[{"name": "app", "configMap": {"name": "app"}}]),
        plan=a_plan(
            identity=Identity(source=IdentitySource.NONE),
            sidecar=Sidecar(
                config_map="outrider",
                policy_config_map="outrider-rego",
                environment=(("OUTRIDER_PROFILE", "demo"),),
            ),
        ),
    ),
    "token-where-listed": Shape(
        pod=a_pod(
            a_container(volumeMounts=[TOKEN_MOUNT]),
            automountServiceAccountToken=None,
            serviceAccountName="robot",
            volumes=[TOKEN],
        ),
        namespace=LISTED,
    ),
}


def golden(shape: Shape) -> JsonObject:
    """What is written down of a shape: the pod, the answer and the patched pod."""

    verdict = judge(shape.entry, shape.namespace, shape.pod, shape.plan)
    return {
        "entry": shape.entry.value,
        "namespace": shape.namespace,
        "captureMode": shape.plan.capture.mode.value,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason.value,
        "message": verdict.message,
        "warnings": list(verdict.warnings),
        "pod": shape.pod,
        "ops": list(verdict.ops),
        "patched": call(shape.pod, shape.plan, namespace=shape.namespace, entry=shape.entry).pod,
    }


def page(text: str) -> str:
    """The page of injection with its tables as the code has them."""
    for word, table in (("annotations", annotation_table()), ("reasons", reason_table())):
        mark, _, rest = text.partition(f"<!-- {word}: ")
        comment, _, rest = rest.partition("-->\n")
        _, end, rest = rest.partition("<!-- end -->")
        assert end, f"the page has no place for {word}"
        text = f"{mark}<!-- {word}: {comment}-->\n{table}{end}{rest}"
    return text


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    GOLDENS.mkdir(exist_ok=True)
    for name, shape in SHAPES.items():
        text = orjson.dumps(golden(shape), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (GOLDENS / f"{name}.json").write_bytes(text)


if __name__ == "__main__":
    main()
