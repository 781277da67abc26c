"""What a pod may not have beside our sidecar (KUBERNETES §3, §6), each denial naming the field.

Laws: everything here judges the author's containers, never ours; a trusted platform container is
free of the rules the platform listed it for, and of no other.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.mounts import MOST_VARIABLES, refuse_mounts, volume_uses
from outrider.injector.names import (
    ALLOWED_CAPABILITIES,
    DROPPED_CAPABILITIES,
    MESH_CONTAINERS,
    NO_PROXY,
    NO_PROXY_VARIABLES,
    PROXY_URL,
    PROXY_VARIABLES,
    SECRET_DRIVERS,
    TRUSTED_CAPABILITIES,
    UID,
    Port,
)
from outrider.injector.others import Others, security
from outrider.injector.plan import Plan
from outrider.injector.reading import (
    Container,
    Place,
    Pod,
    entries,
    malformed,
    members,
    objects,
    shown,
    words,
)
from outrider.injector.reasons import DeniedError, Reason
from outrider.injector.resolution import refuse_names

_PORTS: Final = frozenset(port.value for port in Port)
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")
_CONNECTING: Final = ("httpGet", "tcpSocket")
"""What of a probe or hook connects to a `host`; `exec` and `grpc` have none."""
_WINDOWS_LABELS: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")


def refuse_pod(pod: Pod) -> None:
    """Raises `DeniedError` for what the pod as a whole may not be."""
    for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        value = pod.spec.get(field)
        if value is not None and value is not False:
            what = (
                "every container of the pod could reach into the sidecar"
                if field == "shareProcessNamespace"
                else "capture would rewrite the node, and the sidecar could not be kept apart"
            )
            raise DeniedError(Reason.HOST_NAMESPACE, f"spec.{field} is true: {what}")
    system = members(pod.spec.get("os"), "spec.os").get("name")
    selector = members(pod.spec.get("nodeSelector"), "spec.nodeSelector")
    for where, value in (
        ("spec.os.name", system),
        *((f"spec.nodeSelector.{label}", selector.get(label)) for label in _WINDOWS_LABELS),
    ):
        if isinstance(value, str) and value.lower() == "windows":
            raise DeniedError(Reason.UNSUPPORTED_OS, f"{where} is windows: there is no capture")


def refuse_others(pod: Pod, others: Others, plan: Plan, namespace: str) -> None:
    """Raises `DeniedError` for the first thing of the author's that goes round the sidecar."""
    _refuse_uids(pod, others)
    eased = (
        plan.capture.mode is CaptureMode.COOPERATIVE
        or namespace in plan.exceptions.guarded_annotations
    )
    if not eased:
        _refuse_users_of_images(pod, others)
        _refuse_root(pod, others)
        refuse_names(pod)
        _refuse_node_connecting(others)
        _refuse_node_listening(others)
    _refuse_capabilities(others)
    refuse_mounts(pod, others, plan, eased=eased)
    if namespace not in plan.exceptions.agent_secrets:
        _refuse_secrets(pod, others)
    _refuse_ports(others)
    if plan.capture.mode is not CaptureMode.TRANSPARENT:
        _refuse_proxies(others)


def _refuse_uids(pod: Pod, others: Others) -> None:
    whole = "spec.securityContext"
    context = members(pod.spec.get("securityContext"), whole)
    fields: list[tuple[Place, str, Json]] = [
        (whole, name, context.get(name)) for name in ("runAsUser", "runAsGroup", "fsGroup")
    ]
    groups = entries(context.get("supplementalGroups"), whole, "supplementalGroups")
    fields += [(whole, "supplementalGroups", group) for group in groups]
    for one in others.every:
        own = security(one)
        fields += [(one, name, own.get(name)) for name in ("runAsUser", "runAsGroup")]
    for where, name, value in fields:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise malformed(where, name, what="is no number")
        if value == UID:
            place = where if isinstance(where, str) else f"{where.where}.securityContext"
            raise DeniedError(
                Reason.RESERVED_UID, f"{place}.{name} is {UID}, the sidecar's own: choose another"
            )


def _refuse_users_of_images(pod: Pod, others: Others) -> None:
    for one in without_user(pod, others):
        raise DeniedError(
            Reason.RESERVED_UID,
            f"{one.where}.securityContext.runAsUser is not set, nor is the pod's: the image's own "
            f"user counts then, and may be the sidecar's, {UID}: set runAsUser",
        )


def _refuse_root(pod: Pod, others: Others) -> None:
    """The files of name resolution are one for all containers of a pod, and root's to write."""
    for one in others.untrusted():
        if _effective(pod, one, "runAsUser") == 0:
            raise DeniedError(
                Reason.RESERVED_UID,
                f"{one.where} runs as root (runAsUser is 0), which may rewrite /etc/hosts, and the "
                "sidecar reads that too: set another runAsUser",
            )


def without_user(pod: Pod, others: Others) -> Iterator[Container]:
    """Containers whose user the image says, the platform's as well."""
    for one in others.every:
        if _effective(pod, one, "runAsUser") is None:
            yield one


def maybe_root(pod: Pod, others: Others) -> Iterator[Container]:
    """Untrusted containers that run as root, or may for all the pod says."""
    for one in others.untrusted():
        user = _effective(pod, one, "runAsUser")
        if not user and not (user is None and _effective(pod, one, "runAsNonRoot") is True):
            yield one


def _effective(pod: Pod, one: Container, field: str) -> Json:
    """A container's own, else the pod's."""
    own = security(one).get(field)
    if own is not None:
        return own
    return members(pod.spec.get("securityContext"), "spec.securityContext").get(field)


def _refuse_capabilities(others: Others) -> None:
    for one in others.every:
        context = security(one)
        privileged = context.get("privileged")
        if privileged is not None and privileged is not False:
            raise DeniedError(
                Reason.CAPABILITY,
                f"{one.where}.securityContext.privileged is true: it could undo capture",
            )
        windows = members(context.get("windowsOptions"), one, "securityContext.windowsOptions")
        if windows.get("hostProcess"):
            raise DeniedError(
                Reason.UNSUPPORTED_OS,
                f"{one.where}.securityContext.windowsOptions.hostProcess is true",
            )
        if context.get("procMount") not in (None, "Default"):
            raise DeniedError(
                Reason.CAPABILITY,
                f"{one.where}.securityContext.procMount is not Default: it could write the "
                "kernel's settings",
            )
        capabilities = members(context.get("capabilities"), one, "securityContext.capabilities")
        allowed = TRUSTED_CAPABILITIES if others.is_trusted(one) else ALLOWED_CAPABILITIES
        for name in words(capabilities.get("add"), one, "securityContext.capabilities.add"):
            if name.upper().removeprefix("CAP_") not in allowed:
                raise DeniedError(
                    Reason.CAPABILITY,
                    f"{one.where}.securityContext.capabilities.add has {shown(name)}: it could go "
                    "round the sidecar; an image that starts as root and steps down must start as "
                    "its own user",
                )


def _refuse_secrets(pod: Pod, others: Others) -> None:
    """Agents hold no upstream secrets (KUBERNETES §6, rules 10 to 12)."""
    volumes = dict(_secret_volumes(pod))
    for one in others.untrusted():
        for field, name in volume_uses(one):
            if name in volumes:
                raise _secret(f"{one.where}.{field} mounts {shown(name)}, {volumes[name]}")
        for variable in objects(one.body.get("env"), one, "env", most=MOST_VARIABLES):
            if variable.get("valueFrom") is None:
                continue
            source = members(variable["valueFrom"], one, "env.valueFrom")
            if source.get("secretKeyRef") is not None:
                name = shown(str(variable.get("name")))
                raise _secret(f"{one.where}.env {name} comes of a Secret (secretKeyRef)")
        for source in objects(one.body.get("envFrom"), one, "envFrom"):
            if source.get("secretRef") is not None:
                raise _secret(f"{one.where}.envFrom comes of a Secret (secretRef)")
    if pod.spec.get("automountServiceAccountToken") is True and any(others.untrusted()):
        raise _secret("spec.automountServiceAccountToken is true: set it to false")


def _secret(what: str) -> DeniedError:
    return DeniedError(
        Reason.AGENT_SECRET,
        f"{what}: agents hold no secrets; the sidecar attaches credentials, or the platform lists "
        "this namespace under agentSecrets.exceptions",
    )


def _secret_volumes(pod: Pod) -> Iterator[tuple[str, str]]:
    """Volumes that carry a secret, and what it is."""
    for place, volume in enumerate(pod.volumes):
        name, where = str(volume["name"]), f"spec.volumes[{place}]"
        if volume.get("secret") is not None:
            yield name, "a Secret"
        if members(volume.get("csi"), f"{where}.csi").get("driver") in SECRET_DRIVERS:
            yield name, "a CSI volume of secrets"
        projected = members(volume.get("projected"), f"{where}.projected")
        for source in objects(projected.get("sources"), f"{where}.projected.sources"):
            for kind, words_ in _PROJECTED.items():
                if source.get(kind) is not None:
                    yield name, words_


_PROJECTED: Final[Mapping[str, str]] = {
    "secret": "a projected Secret",
    "serviceAccountToken": "a service account's token (automountServiceAccountToken: false)",
    "podCertificate": "a certificate's private key",
}


def _refuse_ports(others: Others) -> None:
    for one in others.every:
        if one.name in MESH_CONTAINERS:
            raise DeniedError(
                Reason.PORT_CONFLICT,
                f"{one.where} is Istio's, whose ports 15000 to 15021 are the sidecar's too: "
                "inject one of the two",
            )
        for port in objects(one.body.get("ports"), one, "ports"):
            number = port.get("containerPort")
            if isinstance(number, int) and number in _PORTS:
                raise DeniedError(
                    Reason.PORT_CONFLICT,
                    f"{one.where}.ports has containerPort {number}, which container outrider "
                    f"listens on ({Port(number).name.lower()})",
                )


def _refuse_node_connecting(others: Others) -> None:
    """A probe or hook is the kubelet's own connection, with headers of the author's choice, and
    no rule of the pod's catches it."""
    for one in others.every:
        hooks = members(one.body.get("lifecycle"), one, "lifecycle")
        asked = [(name, one.body.get(name)) for name in _PROBES]
        asked += [(f"lifecycle.{name}", hooks.get(name)) for name in _HOOKS]
        for field, action in asked:
            if action is not None:
                _refuse_host(one, field, members(action, one, field))


def _refuse_host(one: Container, field: str, action: JsonObject) -> None:
    for kind in _CONNECTING:
        host = members(action.get(kind), one, field, kind).get("host")
        if host is not None and not isinstance(host, str):
            raise malformed(one, field, kind, "host", what="is no text")
        if host:
            raise DeniedError(
                Reason.HOST_NAMESPACE,
                f"{one.where}.{field}.{kind}.host is {shown(host)}: the node would connect there, "
                "past the sidecar; leave it out, and the pod's own address is asked",
            )


def _refuse_node_listening(others: Others) -> None:
    """What comes in is answered unjudged: a port of the node lets in all who reach the node."""
    for one in others.every:
        for port in objects(one.body.get("ports"), one, "ports"):
            number = port.get("hostPort")
            if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
                raise malformed(one, "ports.hostPort", what="is no number")
            if number:
                raise DeniedError(
                    Reason.HOST_NAMESPACE,
                    f"{one.where}.ports has hostPort {number}: whoever reaches the node could "
                    "connect in, and is answered past the sidecar; take it away and use a Service",
                )


def proxy_variables() -> dict[str, str]:
    """What tells an app's HTTP clients of the sidecar, in both cases."""
    return {
        **dict.fromkeys(PROXY_VARIABLES, PROXY_URL),
        **dict.fromkeys(NO_PROXY_VARIABLES, NO_PROXY),
    }


def _refuse_proxies(others: Others) -> None:
    wanted = proxy_variables()
    for one in others.every:
        for variable in objects(one.body.get("env"), one, "env", most=MOST_VARIABLES):
            name: Json = variable.get("name")
            if not isinstance(name, str) or name not in wanted:
                continue
            if variable.get("valueFrom") is not None or variable.get("value") != wanted[name]:
                raise DeniedError(
                    Reason.PROXY_ENV_CONFLICT,
                    f"{one.where}.env {name} is set already, to something else than "
                    f"{wanted[name]}: take it away",
                )


def unhardened(one: Container) -> tuple[bool, list[str]]:
    """What a container lacks of rule 10: whether it may gain privileges, and what it keeps."""
    context = security(one)
    capabilities = members(context.get("capabilities"), one, "capabilities")
    dropped = set(words(capabilities.get("drop"), one, "capabilities.drop"))
    kept = [] if "ALL" in dropped else [c for c in DROPPED_CAPABILITIES if c not in dropped]
    return context.get("allowPrivilegeEscalation") is not False, kept
