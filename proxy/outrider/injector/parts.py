"""Our containers and volumes, as a plan makes them: every field written out, defaults included.

Laws: the same plan and DNS servers give the same parts; nothing is left to the API server's
defaults, so that what comes back can be compared; settings travel in the container's environment,
which nobody may change once the pod is made.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject, json_digest
from outrider.injector import names
from outrider.injector.capture import ruleset
from outrider.injector.names import Port
from outrider.injector.plan import IdentitySource, Plan, Preset

STARTUP_PROBES: Final = 120
VERIFY_LIMIT_S: Final = 10
_RUN_SIZE: Final = "64Mi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is added to a pod, each list in its order."""

    init_containers: tuple[JsonObject, ...]
    containers: tuple[JsonObject, ...]
    volumes: tuple[JsonObject, ...]
    digest: str
    """Of all three."""


@lru_cache(maxsize=64)
def parts_of(plan: Plan, nameservers: tuple[str, ...]) -> Parts:
    """The same parts for equal arguments, kept: most pods are patched alike. Nobody changes them.

    Raises `ValueError` where the capture of `plan` has no ruleset.
    """
    sidecar = _sidecar(plan)
    volumes = tuple(_volumes(plan))
    before: list[JsonObject] = []
    after: list[JsonObject] = []
    if plan.capture.mode is not CaptureMode.COOPERATIVE:
        before = [_net_init(plan, nameservers)]
        if plan.native_sidecar:  # a plain container is not up yet when an init container runs
            after = [_verify(plan)]
    if plan.native_sidecar:
        sidecar["restartPolicy"] = "Always"
    native, plain = ([sidecar], []) if plan.native_sidecar else ([], [sidecar])
    init_containers = (*before, *native, *after)
    return Parts(
        init_containers=init_containers,
        containers=tuple(plain),
        volumes=volumes,
        digest=json_digest([*init_containers, *plain, *volumes]),
    )


def _container(plan: Plan, name: str) -> JsonObject:
    return {
        "name": name,
        "image": plan.image,
        "imagePullPolicy": plan.image_pull_policy,
        "terminationMessagePath": "/dev/termination-log",
        # What it says on its way out stands in the pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _sidecar(plan: Plan) -> JsonObject:
    ports: list[Json] = [_port(names.TELEMETRY_PORT_NAME, Port.TELEMETRY)]
    if plan.sidecar.inbound:
        ports.append(_port(names.INGRESS_PORT_NAME, Port.INGRESS))
    return {
        **_container(plan, names.SIDECAR),
        "command": [names.OUTRIDER_BINARY, "run"],
        "env": _environment(plan),
        "ports": ports,
        "resources": _resources(
            plan,
            cpu=plan.resources.cpu_request,
            memory=plan.resources.memory_request,
            limit=plan.resources.memory_limit,
        ),
        "securityContext": _confined(names.UID),
        "startupProbe": {
            **_probe("/readyz"),
            "periodSeconds": 1,
            "failureThreshold": STARTUP_PROBES,
        },
        "readinessProbe": {**_probe("/readyz"), "periodSeconds": 5},
        "livenessProbe": _probe("/livez"),
        "volumeMounts": _mounts(plan),
    }


def _net_init(plan: Plan, nameservers: tuple[str, ...]) -> JsonObject:
    rules = ruleset(
        plan.capture.mode,
        nameservers=nameservers,
        skip_ports=plan.capture.skip_ports,
        skip_subnets=plan.capture.skip_subnets,
    )
    confined = _confined(names.HELPER_UID)
    confined["capabilities"] = {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    if plan.capture.run_as_root:  # for images whose build lost the file capability of nft
        confined |= {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    return {
        **_container(plan, names.NET_INIT),
        "command": [names.NFT_BINARY],
        "args": [rules],
        "resources": _resources(plan, cpu="10m", memory="16Mi", limit="64Mi"),
        "securityContext": confined,
    }


def _verify(plan: Plan) -> JsonObject:
    once: list[Json] = [
        names.OUTRIDER_BINARY,
        "capture",
        "verify",
        "--mode",
        plan.capture.mode.value,
    ]
    container: JsonObject = {
        **_container(plan, names.VERIFY),
        "command": once,
        "resources": _resources(plan, cpu="10m", memory="64Mi", limit="128Mi"),
        "securityContext": _confined(names.HELPER_UID),
    }
    if plan.capture.watch:
        container |= {
            "command": [*once, "--watch"],
            "restartPolicy": "Always",
            # Nothing of the user's starts before capture was proven once.
            "startupProbe": {
                "exec": {"command": list(once)},
                "timeoutSeconds": VERIFY_LIMIT_S + 2,
                "periodSeconds": 1,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
        }
    return container


def _environment(plan: Plan) -> list[Json]:
    sidecar = plan.sidecar
    ours = {
        names.DATA_VARIABLE: names.STATE_PATH,
        names.CAPTURE_MODE_VARIABLE: plan.capture.mode.value,
        names.CAPTURE_WATCH_VARIABLE: "true" if _is_watched(plan) else "false",
        names.LOG_LEVEL_VARIABLE: sidecar.log_level,
        names.STARTUP_VARIABLE: str(sidecar.startup_timeout_s),
        names.GRACE_VARIABLE: str(sidecar.shutdown_grace_s),
        "TMPDIR": names.RUN_PATH,
        **_identity_variables(plan),
    }
    if not plan.native_sidecar:  # the agent is not told to go before us
        ours[names.CLASSIC_VARIABLE] = "true"
    if sidecar.config_map is not None:
        ours[names.CONFIG_VARIABLE] = names.CONFIG_FILE
    merged = {**dict(sidecar.environment), **ours}
    if sidecar.policy_config_map is not None:
        # The platform may name a file in it: a bundle in place of a folder of Rego.
        merged.setdefault(names.POLICY_PATH_VARIABLE, names.POLICY_PATH)
    uid: JsonObject = {
        "name": names.POD_UID_VARIABLE,
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}},
    }
    # The kubelet replaces `$(NAME)` in values; a doubled `$` stands for itself.
    found: list[Json] = [uid]
    for key, value in sorted(merged.items()):
        found.append({"name": key, "value": value.replace("$", "$$")})
    return found


def _is_watched(plan: Plan) -> bool:
    capture = plan.capture
    return capture.watch and plan.native_sidecar and capture.mode is not CaptureMode.COOPERATIVE


def _identity_variables(plan: Plan) -> dict[str, str]:
    match plan.identity.source:
        case IdentitySource.CSI | IdentitySource.HOST_PATH:
            socket = f"unix://{names.WORKLOAD_PATH}/{plan.identity.socket_name}"
            return {names.IDENTITY_VARIABLE: "workload_api", names.ENDPOINT_VARIABLE: socket}
        case IdentitySource.FILE:
            return {
                names.IDENTITY_VARIABLE: "files",
                names.IDENTITY_FOLDER_VARIABLE: names.WORKLOAD_PATH,
            }
        case IdentitySource.NONE:
            return {names.IDENTITY_VARIABLE: "none"}


def _mounts(plan: Plan) -> list[Json]:
    found: list[Json] = [
        {"name": names.RUN_VOLUME, "mountPath": names.RUN_PATH},
        {"name": names.STATE_VOLUME, "mountPath": names.STATE_PATH},
    ]
    read_only = {
        names.WORKLOAD_VOLUME: names.WORKLOAD_PATH,
        names.CONFIG_VOLUME: names.CONFIG_PATH,
        names.POLICY_VOLUME: names.POLICY_PATH,
    }
    present = {str(volume["name"]) for volume in _volumes(plan)}
    for name, path in read_only.items():
        if name in present:
            found.append({"name": name, "mountPath": path, "readOnly": True})
    return found


def _volumes(plan: Plan) -> list[JsonObject]:
    found: list[JsonObject] = [
        {"name": names.RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": _RUN_SIZE}},
        {"name": names.STATE_VOLUME, "emptyDir": {}},
    ]
    identity = plan.identity
    match identity.source:
        case IdentitySource.CSI | IdentitySource.FILE:
            csi: JsonObject = {"driver": identity.driver, "readOnly": True}
            found.append({"name": names.WORKLOAD_VOLUME, "csi": csi})
        case IdentitySource.HOST_PATH:
            folder: JsonObject = {"path": identity.host_path, "type": "Directory"}
            found.append({"name": names.WORKLOAD_VOLUME, "hostPath": folder})
        case IdentitySource.NONE:
            pass
    for name, config_map in (
        (names.CONFIG_VOLUME, plan.sidecar.config_map),
        (names.POLICY_VOLUME, plan.sidecar.policy_config_map),
    ):
        if config_map is not None:
            source: JsonObject = {"name": config_map, "defaultMode": 0o644}
            found.append({"name": name, "configMap": source})
    return found


def _resources(plan: Plan, *, cpu: str, memory: str, limit: str) -> JsonObject:
    if plan.resources.preset is Preset.GUARANTEED:
        whole: JsonObject = {"cpu": cpu, "memory": limit}
        return {"requests": dict(whole), "limits": whole}
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


def _confined(uid: int) -> JsonObject:
    return {
        "runAsUser": uid,
        "runAsGroup": uid,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _probe(path: str) -> JsonObject:
    return {
        "httpGet": {"path": path, "port": Port.TELEMETRY.value, "scheme": "HTTP"},
        "timeoutSeconds": 2,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def _port(name: str, port: Port) -> JsonObject:
    return {"name": name, "containerPort": port.value, "protocol": "TCP"}
