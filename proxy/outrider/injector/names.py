"""Every label, annotation, container, volume, port, path and uid of injection: the one place.

Laws: a name once released is kept; what an author could guess is reserved, not hidden. The table
of annotations in the docs is made from this file.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

DOMAIN: Final = "outrider.dev"
CONFIG_PREFIX: Final = "config.outrider.dev/"

INJECT_LABEL: Final = "outrider.dev/inject"
"""On a namespace or a pod: `enabled` or `disabled`."""
AGENT_LABEL: Final = "outrider.dev/agent"
"""A name for dashboards; set to the service account's name when absent. Never an identity."""
REVISION_LABEL: Final = "outrider.dev/rev"
"""Which injector a namespace (or, where that is not labelled, a pod) is served by."""
INJECTED_LABEL: Final = "outrider.dev/injected"
"""Written back: `true`."""
STATUS_ANNOTATION: Final = "outrider.dev/status"
"""Written back: what was added, as JSON."""
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
DEFAULT_LOGS_CONTAINER: Final = "kubectl.kubernetes.io/default-logs-container"
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

SIDECAR: Final = "outrider"
NET_INIT: Final = "outrider-net-init"
VERIFY: Final = "outrider-verify"
RESERVED_PREFIX: Final = "outrider"
"""Container and volume names that begin so are ours."""
MESH_CONTAINERS: Final = frozenset({"istio-proxy", "istio-init"})

RUN_VOLUME: Final = "outrider-run"
STATE_VOLUME: Final = "outrider-state"
WORKLOAD_VOLUME: Final = "spiffe-workload-api"
CONFIG_VOLUME: Final = "outrider-config"
POLICY_VOLUME: Final = "outrider-policy"
VOLUMES: Final = (RUN_VOLUME, STATE_VOLUME, WORKLOAD_VOLUME, CONFIG_VOLUME, POLICY_VOLUME)
TOKEN_VOLUME_PREFIX: Final = "kube-api-access-"  # noqa: S105 - a volume's name
TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path

RUN_PATH: Final = "/run/outrider"
STATE_PATH: Final = "/var/lib/outrider"
CONFIG_PATH: Final = "/etc/outrider"
CONFIG_FILE: Final = "/etc/outrider/outrider.yaml"
POLICY_PATH: Final = "/etc/outrider-policy"
WORKLOAD_PATH: Final = "/spiffe-workload-api"
OUTRIDER_BINARY: Final = "/usr/local/bin/outrider"
NFT_BINARY: Final = "/usr/bin/nft"

SPIFFE_DRIVER: Final = "csi.spiffe.io"
SECRET_DRIVERS: Final = (
    "csi.cert-manager.io", "secrets-store.csi.k8s.io", "spiffe.csi.cert-manager.io",
)  # fmt: skip
"""CSI drivers whose volumes hold nothing but secrets: keys, certificates, what vaults give."""
VOLUME_KINDS: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""Kinds of volumes for which no node sends where the pod's author says; a CSI driver's are those of
listed drivers."""
KUBELET_PATH: Final = "/var/lib/kubelet"

UID: Final = 2102
"""uid and gid of the sidecar; no other container may have either."""
HELPER_UID: Final = 65534
"""uid and gid of net-init and verify: captured like any other."""

ALLOWED_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
    }
)
"""What an agent's container may add, in any case, with `CAP_` before it or not: Pod Security's
baseline without what changes who a process is."""
TRUSTED_CAPABILITIES: Final = ALLOWED_CAPABILITIES | {"SETFCAP", "SETGID", "SETPCAP", "SETUID"}
"""What a container of the platform's may add: the whole baseline."""
DROPPED_CAPABILITIES: Final = ("SETUID", "SETGID", "NET_RAW")
"""What every other container must drop: runtimes grant these three by default."""

PROXY_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
NO_PROXY_VARIABLES: Final = ("NO_PROXY", "no_proxy")
PROXY_URL: Final = "http://127.0.0.1:15001"
NO_PROXY: Final = "localhost,127.0.0.1,::1"

POD_UID_VARIABLE: Final = "OUTRIDER_POD_UID"
CONFIG_VARIABLE: Final = "OUTRIDER_CONFIG"
DATA_VARIABLE: Final = "OUTRIDER_DATA_DIR"
CAPTURE_MODE_VARIABLE: Final = "OUTRIDER_CAPTURE__MODE"
CAPTURE_WATCH_VARIABLE: Final = "OUTRIDER_CAPTURE__WATCH"
IDENTITY_VARIABLE: Final = "OUTRIDER_IDENTITY__SOURCE"
LOG_LEVEL_VARIABLE: Final = "OUTRIDER_TELEMETRY__LOG_LEVEL"
STARTUP_VARIABLE: Final = "OUTRIDER_STARTUP_TIMEOUT_S"
GRACE_VARIABLE: Final = "OUTRIDER_DRAIN__GRACE_S"
CLASSIC_VARIABLE: Final = "OUTRIDER_DRAIN__CLASSIC"
POLICY_BUNDLE_VARIABLE: Final = "OUTRIDER_POLICY__BUNDLE__URL"
POLICY_PATH_VARIABLE: Final = "OUTRIDER_POLICY__PATH"
IDENTITY_FOLDER_VARIABLE: Final = "OUTRIDER_IDENTITY__FILES__DIRECTORY"
ENDPOINT_VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
OWN_VARIABLES: Final = frozenset(
    {
        POD_UID_VARIABLE,
        CONFIG_VARIABLE,
        DATA_VARIABLE,
        CAPTURE_MODE_VARIABLE,
        CAPTURE_WATCH_VARIABLE,
        IDENTITY_VARIABLE,
        IDENTITY_FOLDER_VARIABLE,
        LOG_LEVEL_VARIABLE,
        STARTUP_VARIABLE,
        GRACE_VARIABLE,
        CLASSIC_VARIABLE,
    }
)
"""What the injector sets itself; `additional-env` may not."""


class Port(IntEnum):
    """Ports of the sidecar; an app container that declares one of them is refused."""

    CONTROL = 15000
    EGRESS = 15001
    GRPC = 15002
    INGRESS = 15006
    AUTHZ = 15010
    TELEMETRY = 15020


TELEMETRY_PORT_NAME: Final = "outrider-tel"
INGRESS_PORT_NAME: Final = "outrider-in"


class Inject(StrEnum):
    """Values of the label `outrider.dev/inject`."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Annotation(StrEnum):
    """Annotations that configure a pod's sidecar, each below `config.outrider.dev/`."""

    CPU_REQUEST = "cpu-request"
    MEMORY_REQUEST = "memory-request"
    MEMORY_LIMIT = "memory-limit"
    LOG_LEVEL = "log-level"
    STARTUP_TIMEOUT = "startup-timeout"
    SHUTDOWN_GRACE = "shutdown-grace"
    CAPTURE_MODE = "capture-mode"
    SKIP_OUTBOUND_PORTS = "skip-outbound-ports"
    SKIP_SUBNETS = "skip-subnets"
    INBOUND = "inbound"
    NATIVE_SIDECAR = "native-sidecar"
    POLICY_BUNDLE = "policy-bundle"
    CONFIG_MAP = "configmap"
    IMAGE = "image"
    ADDITIONAL_ENV = "additional-env"

    @property
    def key(self) -> str:
        """The whole annotation key."""
        return CONFIG_PREFIX + self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationDoc:
    """What an annotation takes and does. Guarded ones can weaken enforcement."""

    guarded: bool
    takes: str
    does: str


ANNOTATIONS: Final = {
    Annotation.CPU_REQUEST: AnnotationDoc(
        guarded=False, takes="a quantity, 1m to 64", does="CPU that the sidecar asks for"
    ),
    Annotation.MEMORY_REQUEST: AnnotationDoc(
        guarded=False,
        takes="a quantity, 64Mi to 16Gi, at most the limit",
        does="memory that the sidecar asks for",
    ),
    Annotation.MEMORY_LIMIT: AnnotationDoc(
        guarded=False, takes="a quantity, 256Mi to 16Gi", does="memory that the sidecar may take"
    ),
    Annotation.LOG_LEVEL: AnnotationDoc(
        guarded=False, takes="DEBUG, INFO, WARNING or ERROR", does="least grave log lines written"
    ),
    Annotation.STARTUP_TIMEOUT: AnnotationDoc(
        guarded=False,
        takes="seconds, 5 to 110",
        does="how long the sidecar may take to be up; then it ends, naming what failed",
    ),
    Annotation.SHUTDOWN_GRACE: AnnotationDoc(
        guarded=False,
        takes="seconds, 0 to 3600",
        does="how long exchanges under way get to end; part of the pod's grace period",
    ),
    Annotation.CAPTURE_MODE: AnnotationDoc(
        guarded=True,
        takes="transparent, enforce-drop or cooperative",
        does="how the agent's traffic is caught",
    ),
    Annotation.SKIP_OUTBOUND_PORTS: AnnotationDoc(
        guarded=True,
        takes="ports or ranges with commas, at most 64, such as 5432,9000-9010",
        does="TCP ports that are let out uncaught",
    ),
    Annotation.SKIP_SUBNETS: AnnotationDoc(
        guarded=True,
        takes="CIDRs with commas, at most 64",
        does="destinations that are let out uncaught, by any protocol",
    ),
    Annotation.INBOUND: AnnotationDoc(
        guarded=True,
        takes="by-name or off",
        does="whether port 15006 is declared for agents that call this one",
    ),
    Annotation.NATIVE_SIDECAR: AnnotationDoc(
        guarded=True,
        takes="true or false",
        does="false makes the sidecar a plain container, for clusters without native sidecars",
    ),
    Annotation.POLICY_BUNDLE: AnnotationDoc(
        guarded=True,
        takes="a URL, https:// or oci://",
        does="where this pod's policy bundle comes from",
    ),
    Annotation.CONFIG_MAP: AnnotationDoc(
        guarded=True,
        takes="a ConfigMap of the pod's namespace",
        does="whose `outrider.yaml` is the sidecar's settings file",
    ),
    Annotation.IMAGE: AnnotationDoc(
        guarded=True, takes="an image with its sha256 digest", does="the image of our containers"
    ),
    Annotation.ADDITIONAL_ENV: AnnotationDoc(
        guarded=True,
        takes="lines `OUTRIDER_…=value`, at most 64",
        does="settings laid over the platform's",
    ),
}


def annotation_table() -> str:
    """The Markdown table of `ANNOTATIONS` that the docs carry, free ones first."""
    rows = [
        f"| `{one.value}` | {'guarded' if doc.guarded else 'free'} | {doc.takes} | {doc.does} |"
        for one, doc in ANNOTATIONS.items()
    ]
    head = ("| `config.outrider.dev/…` | | takes | does |", "| --- | --- | --- | --- |")
    return "\n".join((*head, *rows)) + "\n"
