"""Every setting of the injector, its safe default, meaning, unit and range: one YAML file.

Laws: keys are those of the chart's values (camelCase); add, never repurpose; a default is safe in
production; unknown and repeated keys are faults; nothing is read from the environment, so that what
the file says is what is in force. `outrider injector run` and `outrider inject` read the same file.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from outrider.config.checks import split_address
from outrider.config.load import fault_lines, read_document, refuse
from outrider.config.texts import Fault, text_faults
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject

Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Namespaces = Annotated[tuple[Namespace, ...], Field(max_length=1000)]
ObjectName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253)
]
Label = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")]
Quantity = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Image = Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]{0,511}$")]
Variable = Annotated[str, Field(pattern=r"^OUTRIDER_[A-Z0-9_]{1,120}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(ge=0.01, le=3600)]
AbsolutePath = Annotated[str, Field(pattern=r"^/[!-~]{0,1023}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceList:
    namespaces: Namespaces = ()
    """Names of namespaces, each in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSecrets:
    exceptions: Namespaces = ()
    """Namespaces whose agents may hold upstream secrets: automounted tokens, volumes of
    secrets, secret environment. Everywhere else such a pod is denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedContainer:
    """A container of the platform's own, such as a mesh's."""

    name: Namespace
    """Its name, in full."""
    image_prefix: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]{2,511}$")]
    """What its image must begin with, registry and repository included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedCapture:
    mode: Literal["transparent", "enforce-drop", "cooperative"] = "transparent"
    """`transparent`: every connection is redirected to the sidecar; `enforce-drop`: what does not
    go to it by itself is rejected; `cooperative`: no rules, for honest clients only."""
    watch: bool = False
    """Probe the rules every 10 s for the pod's whole life; three missed probes make it unready."""
    dns_servers: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    """IP addresses of the DNS servers that pods may ask. Default: those of a pod's `dnsConfig`,
    else the injector's own."""
    skip_outbound_ports: Annotated[tuple[Port, ...], Field(max_length=64)] = ()
    """Destination ports that no pod's rules capture. Each is a way round the sidecar."""
    skip_subnets: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    """CIDRs that no pod's rules capture. Each is a way round the sidecar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetInit:
    run_as_root: bool = False
    """Run net-init as root with NET_ADMIN, for images whose builder lost file capabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedIdentity:
    source: Literal["csi", "hostPath", "file", "none"] = "csi"
    """Where the sidecar finds the SPIFFE Workload API: a CSI volume, a folder of the node
    (`hostPath`, which breaks Pod Security baseline), files that the CSI driver writes in place of a
    socket (`file`; their names stand in the sidecar's own `identity.files`), or nowhere."""
    csi_driver: ObjectName = "csi.spiffe.io"
    """The CSI driver, with sources `csi` and `file`."""
    host_path: AbsolutePath = "/run/spire/agent-sockets"
    """The node's folder of the agent's socket, with source `hostPath`."""
    socket_name: FileName = "spire-agent.sock"
    """Name of the socket in the volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarResources:
    preset: Literal["burstable", "guaranteed"] = "burstable"
    """`guaranteed` sets limits equal to requests: the sidecar decides its pod's QoS class."""
    cpu_request: Quantity = "50m"
    """CPU asked for; there is no CPU limit with preset `burstable`."""
    memory_request: Quantity = "128Mi"
    """Memory asked for."""
    memory_limit: Quantity = "512Mi"
    """Memory it may take; with preset `guaranteed` it is the request as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedSidecar:
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least grave log lines the sidecar writes."""
    startup_timeout_s: Annotated[int, Field(ge=1, le=115)] = 90
    """Seconds it may take to be ready, below its probe's 120; then it exits and names the fault."""
    shutdown_grace_s: Annotated[int, Field(ge=0, le=600)] = 20
    """Seconds that exchanges under way get to end. The pod's own grace period is shared with it."""
    config_map: ObjectName | None = None
    """ConfigMap in the pod's namespace that holds the sidecar's settings, `outrider.yaml`, mounted
    at /etc/outrider. Default: environment alone."""
    policy_config_map: ObjectName | None = None
    """ConfigMap in the pod's namespace that holds policy, mounted at /etc/outrider-policy; for
    demonstrations, since nobody signs it."""
    inbound: bool = True
    """Declare the port at which peers reach the sidecar, and let it listen there."""
    environment: Annotated[dict[Variable, str], Field(max_length=64)] = field(default_factory=dict)
    """Settings of every sidecar, as `OUTRIDER_…` variables; values are YAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    addresses: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = ("0.0.0.0:10250",)
    """Where the webhook listens, `host:port` with host an IP address; `[::]:10250` on IPv6."""
    telemetry_addresses: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = (
        "0.0.0.0:15020",
    )
    """Where `/metrics`, `/livez` and `/readyz` are served, without TLS and without secrets."""
    body_bytes: Annotated[int, Field(ge=1 << 16, le=64 << 20)] = 8 << 20
    """Largest AdmissionReview, bytes."""
    buffered_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 30)] = 64 << 20
    """All reviews held in memory together, bytes; beyond it 503, which the API server tells."""
    body_s: Seconds = 5.0
    """Seconds a review may take to arrive; nobody waits longer for its answer."""
    head_s: Seconds = 5.0
    """Seconds from a connection's handshake to the end of its first head."""
    idle_s: Seconds = 120.0
    """Seconds from an answer to the end of the next head; API servers keep connections 90 s."""
    handshake_s: Seconds = 5.0
    """Seconds of a TLS handshake."""
    handshakes: Annotated[int, Field(ge=2, le=65_536)] = 256
    """TLS handshakes under way at most, beside `connections`; of one address half as many. One more
    ends the oldest, so that callers who end none keep no API server out."""
    connections: Annotated[int, Field(ge=8, le=65_536)] = 512
    """Connections at most. One more closes another: the one idle longest, else the one that has
    asked longest, so that bodies that drip keep no API server out."""
    delay_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds it serves on after SIGTERM, until nobody is sent here any more."""
    grace_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds that reviews under way get to end after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesApi:
    url: str | None = None
    """`https://host:port` of the API server. Default: what Kubernetes puts in the environment."""
    directory: AbsolutePath = "/var/run/secrets/kubernetes.io/serviceaccount"
    """Folder of `token` and `ca.crt`, both read again on each call."""
    timeout_s: Seconds = 5.0
    """Seconds a call may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    mode: Literal["self", "certManager", "provided"] = "self"
    """`self`: the injector makes its certificate and tells the API server the CA; `certManager` and
    `provided`: files, which take no rights in the cluster."""
    directory: AbsolutePath = "/etc/outrider-webhook"
    """Folder of `tls.crt`, `tls.key` and, where there is one, `ca.crt`, with modes `certManager`
    and `provided`; read again when it changes."""
    namespace: Namespace = "outrider-system"
    """Namespace of the injector, with mode `self`."""
    service: Namespace = "outrider-injector"
    """Name of the injector's Service, with mode `self`: the certificate is for it."""
    secret: ObjectName = "outrider-injector-tls"  # noqa: S105 - a name
    """Name of the Secret that holds CA and certificate, with mode `self`; it must exist."""
    lease: ObjectName = "outrider-injector"
    """Name of the Lease whose holder renews, with mode `self`; it must exist."""
    configuration: ObjectName = "outrider-injector"
    """Name of the MutatingWebhookConfiguration whose `caBundle` is kept, with mode `self`."""
    ca_days: Annotated[float, Field(ge=1, le=3650)] = 90.0
    """Days a CA lives, with mode `self`; the next is made at two thirds."""
    leaf_hours: Annotated[float, Field(ge=0.1, le=2160)] = 24.0
    """Hours a certificate lives, with mode `self`; the next is made at two thirds."""
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """Seconds a new CA stands beside the old one before it signs, so that every API server has
    heard of it, with mode `self`."""
    look_s: Annotated[float, Field(ge=0.05, le=300)] = 10.0
    """Seconds between two looks at Lease, Secret and configuration, with mode `self`."""
    lease_s: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds of silence after which another replica takes the Lease, with mode `self`."""
    api: KubernetesApi = field(default_factory=KubernetesApi)
    """How the API server is reached, with mode `self`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectorSettings:
    """The injector's whole configuration."""

    image: Image
    """The one image of sidecar, net-init and verify, by digest (`…@sha256:…`)."""
    accepted_images: Annotated[tuple[Image, ...], Field(max_length=16)] = ()
    """Images of earlier releases that a pod may already carry, by digest; the admission policies
    hold the same list."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When nodes fetch it."""
    revision: Label = ""
    """This injector's name among several, as in the label `outrider.dev/rev`; empty for the default
    one."""
    opt_out: NamespaceList = field(default_factory=NamespaceList)
    """Labelled namespaces in which a pod labelled `disabled` is left alone; elsewhere it is denied.
    """
    guarded_annotations: NamespaceList = field(default_factory=NamespaceList)
    """Namespaces whose pods may carry annotations that can weaken enforcement, such as the capture
    mode; may run as root or as the image's user, mount volumes of every kind, and name DNS servers,
    search domains and `hostAliases` of their own. Elsewhere all of it denies."""
    agent_secrets: AgentSecrets = field(default_factory=AgentSecrets)
    """Who may hold upstream secrets beside the sidecar."""
    classic_sidecar: NamespaceList = field(default_factory=NamespaceList)
    """Namespaces in which the sidecar may be a plain container, for clusters without native
    sidecars."""
    harden_app_containers: Literal["patch", "audit", "off"] = "patch"
    """Outside cooperative mode: `patch` takes SETUID, SETGID, NET_RAW and escalation from the other
    containers; `audit` warns; `off` leaves them able to walk round the capture."""
    trusted_containers: Annotated[tuple[TrustedContainer, ...], Field(max_length=64)] = ()
    """Containers of the platform that are neither hardened nor asked for secrets, and may add
    SETUID, SETGID, SETFCAP and SETPCAP; privileged, without `runAsUser` or with a volume that no
    agent may mount they are denied too. Command and arguments are the pod author's: list no image
    with a shell, an interpreter or `su`."""
    inline_csi_drivers: Annotated[tuple[ObjectName, ...], Field(max_length=64)] = ()
    """CSI drivers that a pod outside cooperative mode may name in a volume of its own, beside those
    of secrets. Such a driver may carry traffic of the agent's from the node, past the sidecar."""
    capture: InjectedCapture = field(default_factory=InjectedCapture)
    """How a pod's connections reach the sidecar."""
    net_init: NetInit = field(default_factory=NetInit)
    """How the capture rules are loaded."""
    identity: InjectedIdentity = field(default_factory=InjectedIdentity)
    """Where the sidecar's SPIFFE identity comes from."""
    resources: SidecarResources = field(default_factory=SidecarResources)
    """What the sidecar may take."""
    sidecar: InjectedSidecar = field(default_factory=InjectedSidecar)
    """What every sidecar is told."""
    webhook: Webhook = field(default_factory=Webhook)
    """The listener that the API server calls."""
    certificates: Certificates = field(default_factory=Certificates)
    """What the listener shows."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least grave log lines the injector writes."""
    startup_timeout_s: Seconds = 60.0
    """Seconds it may take to hold a certificate; then it exits and names what it waited for."""


for _class in list(vars().values()):
    if isinstance(_class, type) and is_dataclass(_class) and _class.__module__ == __name__:
        _class.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]
            extra="forbid",
            use_attribute_docstrings=True,
            alias_generator=to_camel,
            validate_by_alias=True,
            validate_by_name=False,
        )

_ADAPTER: Final = TypeAdapter(InjectorSettings)
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")


def load_injector(path: Path) -> InjectorSettings:
    """The settings in the file at `path`. Raises `ConfigError`, one line a fault."""
    return validate_injector(read_document(path))


def validate_injector(document: JsonObject) -> InjectorSettings:
    """`document` as the injector's settings. Raises `ConfigError`, one line a fault."""
    refuse(text_faults(document))
    try:
        settings = _ADAPTER.validate_python(document)
    except ValidationError as fault:
        lines = fault_lines(fault, injector_schema(), "outrider injector schema")
        raise ConfigError("\n".join(lines)) from fault
    refuse(_faults(settings))
    return settings


def injector_schema() -> JsonObject:
    """The JSON Schema (2020-12) of the injector's settings file."""
    found: JsonObject = _ADAPTER.json_schema(by_alias=True)
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "Outrider injector settings"
    return found


def dump_injector(settings: InjectorSettings) -> JsonObject:
    """`settings` with every default filled in, as JSON under the keys of the file."""
    shown: JsonObject = _ADAPTER.dump_python(settings, mode="json", by_alias=True)
    return shown


def is_pinned(image: str) -> bool:
    """Whether `image` is named by its digest."""
    return _DIGEST.search(image) is not None


def _faults(settings: InjectorSettings) -> Iterator[Fault]:
    yield from _address_faults(settings)
    yield from _network_faults(settings)
    certificates = settings.certificates
    if certificates.lease_s < 2 * certificates.look_s:
        yield Fault(
            key="certificates.leaseS",
            value=certificates.lease_s,
            allowed="give at least twice certificates.lookS, or the Lease is lost between looks",
        )
    url = certificates.api.url
    if url is not None and not re.fullmatch(r"https://[^/@?#\s]{1,255}/?", url):
        yield Fault(
            key="certificates.api.url", value=url, allowed="give https://host:port and no more"
        )


def _address_faults(settings: InjectorSettings) -> Iterator[Fault]:
    for key, addresses in (
        ("webhook.addresses", settings.webhook.addresses),
        ("webhook.telemetryAddresses", settings.webhook.telemetry_addresses),
    ):
        for address in addresses:
            if split_address(address) is None:
                yield Fault(key=key, value=address, allowed="give host:port, host an IP address")


def _network_faults(settings: InjectorSettings) -> Iterator[Fault]:
    for server in settings.capture.dns_servers:
        if not _parses(ipaddress.ip_address, server):
            yield Fault(key="capture.dnsServers", value=server, allowed="give an IP address")
    for subnet in settings.capture.skip_subnets:
        if not _parses(ipaddress.ip_network, subnet):
            yield Fault(key="capture.skipSubnets", value=subnet, allowed="give a CIDR")


def _parses(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return "%" not in text  # a zone means something on one machine alone
