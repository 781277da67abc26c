"""The injector's settings as the patch needs them: frozen, whole, free of I/O."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.injector.names import KUBELET_PATH, SPIFFE_DRIVER

AGENT_SOCKET_FOLDER: Final = "/run/spire/agent-sockets"


class Entry(StrEnum):
    """By which webhook entry a pod comes: an AdmissionReview carries no namespace labels."""

    NAMESPACE = "namespace"
    """The namespace is labelled."""
    POD = "pod"
    """The namespace is not; the pod is."""


class Hardening(StrEnum):
    PATCH = "patch"
    AUDIT = "audit"
    OFF = "off"


class IdentitySource(StrEnum):
    CSI = "csi"
    HOST_PATH = "hostPath"
    FILE = "file"
    """A CSI driver that writes the SVID as files, in place of a socket."""
    NONE = "none"
    """No SVID: a laptop's cluster."""


class Preset(StrEnum):
    BURSTABLE = "burstable"
    GUARANTEED = "guaranteed"
    """Requests are limits, because our container decides the pod's class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Where the Workload API's socket comes from."""

    source: IdentitySource = IdentitySource.CSI
    driver: str = SPIFFE_DRIVER
    host_path: str = AGENT_SOCKET_FOLDER
    socket_name: str = "spire-agent.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Quantities as Kubernetes spells them."""

    preset: Preset = Preset.BURSTABLE
    cpu_request: str = "50m"
    memory_request: str = "128Mi"
    memory_limit: str = "512Mi"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedContainer:
    """A platform container that some rules do not bind: by name and its image's beginning."""

    name: str
    image_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """Namespaces in which the platform allows what is refused elsewhere."""

    opt_out: frozenset[str] = frozenset()
    guarded_annotations: frozenset[str] = frozenset()
    agent_secrets: frozenset[str] = frozenset()
    classic_sidecar: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    mode: CaptureMode = CaptureMode.TRANSPARENT
    watch: bool = False
    run_as_root: bool = False
    nameservers: tuple[str, ...] = ()
    """DNS servers of pods with a cluster DNS policy: IP addresses."""
    skip_ports: tuple[str, ...] = ()
    """Ports or ranges, such as `5432` or `9000-9010`."""
    skip_subnets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    log_level: str = "INFO"
    startup_timeout_s: int = 90
    shutdown_grace_s: int = 20
    inbound: bool = True
    config_map: str | None = None
    """ConfigMap whose `outrider.yaml` is the settings file, mounted at /etc/outrider."""
    policy_config_map: str | None = None
    """ConfigMap with a policy bundle, mounted at /etc/outrider-policy."""
    environment: tuple[tuple[str, str], ...] = ()
    """`OUTRIDER_…` settings of every sidecar, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a patch depends on besides the pod; two equal plans give equal patches."""

    image: str
    accepted_images: tuple[str, ...] = ()
    """Images of ours that a pod may carry already: the previous release's."""
    image_pull_policy: str = "IfNotPresent"
    revision: str = ""
    hardening: Hardening = Hardening.PATCH
    """Outside cooperative mode, where nothing is captured that could be gone round."""
    native_sidecar: bool = True
    capture: Capture = field(default_factory=Capture)
    identity: Identity = field(default_factory=Identity)
    resources: Resources = field(default_factory=Resources)
    sidecar: Sidecar = field(default_factory=Sidecar)
    exceptions: Exceptions = field(default_factory=Exceptions)
    trusted: tuple[TrustedContainer, ...] = ()
    inline_drivers: frozenset[str] = frozenset()
    """CSI drivers that a volume may name, besides those of secrets."""
    reserved_paths: tuple[str, ...] = (AGENT_SOCKET_FOLDER, KUBELET_PATH)
    """Folders of the node that no agent may mount, nor what is above or below them; that of
    `identity` is one besides."""
