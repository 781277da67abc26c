"""What a pod's annotations make of the plan (KUBERNETES §2).

Laws: an unknown key under our prefix, in whatever case, denies; a guarded one counts only in
namespaces the platform lists; a value out of bounds denies, and is never mended.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.injector import capture, quantity
from outrider.injector.names import (
    ANNOTATIONS,
    CONFIG_PREFIX,
    OWN_VARIABLES,
    POLICY_BUNDLE_VARIABLE,
    POLICY_PATH_VARIABLE,
    Annotation,
)
from outrider.injector.plan import Plan
from outrider.injector.reading import Pod, shown
from outrider.injector.reasons import DeniedError, Reason

VALUE_CHARS: Final = 16_384
MOST_VARIABLES: Final = 64
MEMORY_FLOOR: Final = "256Mi"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_SECONDS: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_IMAGE: Final = re.compile(r"[a-z0-9][\w./:-]{0,400}@sha256:[0-9a-f]{64}", re.ASCII)
_CONFIG_MAP: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_URL: Final = re.compile(r"(https|oci)://[!-~]{1,1000}", re.ASCII)
_VARIABLE: Final = re.compile(r"(OUTRIDER_[A-Z0-9_]{1,200})=([^\r\n\0]{0,4096})")


def chosen(pod: Pod, namespace: str, plan: Plan) -> Plan:
    """`plan` as the pod's annotations change it. Raises `DeniedError` naming the annotation."""
    found = _ours(pod)
    allowed = namespace in plan.exceptions.guarded_annotations
    for annotation in found:
        if ANNOTATIONS[annotation].guarded and not allowed:
            raise DeniedError(
                Reason.GUARDED_ANNOTATION,
                f"{_where(annotation)} can weaken enforcement: this namespace is not listed under "
                "guardedAnnotations; take it away, or ask the platform team",
            )
    for annotation, value in found.items():
        try:
            plan = _APPLIED[annotation](plan, value)
        except ValueError as fault:
            raise DeniedError(
                Reason.BAD_ANNOTATION,
                f"{_where(annotation)} is {shown(value)!r}: {fault}; it takes "
                f"{ANNOTATIONS[annotation].takes}",
            ) from fault
    return _whole(plan, namespace)


def _ours(pod: Pod) -> dict[Annotation, str]:
    """Our annotations on the pod, in the enum's order."""
    known = {one.key: one for one in Annotation}
    for key, value in pod.annotations.items():
        # The API server lowers the case of a key before it judges it, and keeps it as it was.
        if not key.lower().startswith(CONFIG_PREFIX):
            continue
        if key not in known:
            raise DeniedError(
                Reason.BAD_ANNOTATION,
                f"metadata.annotations.{shown(key)}: no such annotation; there are "
                + ", ".join(sorted(Annotation)),
            )
        if len(value) > VALUE_CHARS:
            raise DeniedError(
                Reason.BAD_ANNOTATION,
                f"{_where(known[key])} is longer than {VALUE_CHARS} characters",
            )
    return {one: pod.annotations[one.key] for one in Annotation if one.key in pod.annotations}


def _where(annotation: Annotation) -> str:
    return f"metadata.annotations.{annotation.key}"


def _whole(plan: Plan, namespace: str) -> Plan:
    """What no annotation alone can break: limits that belong together."""
    resources = plan.resources
    if quantity.amount(resources.memory_request) > quantity.amount(resources.memory_limit):
        raise DeniedError(
            Reason.BAD_ANNOTATION,
            f"{_where(Annotation.MEMORY_REQUEST)}: {resources.memory_request} is more than the "
            f"limit, {resources.memory_limit}",
        )
    if not plan.native_sidecar and namespace not in plan.exceptions.classic_sidecar:
        raise DeniedError(
            Reason.GUARDED_ANNOTATION,
            f"{_where(Annotation.NATIVE_SIDECAR)} is false: this namespace is not listed under "
            "classicSidecar",
        )
    return plan


def _quantity(low: str, high: str, value: str) -> str:
    found = quantity.amount(value)
    if not quantity.amount(low) <= found <= quantity.amount(high):
        raise ValueError(f"is not from {low} to {high}")
    return value


def _seconds(low: int, high: int, value: str) -> int:
    if _SECONDS.fullmatch(value) is None or not low <= int(value) <= high:
        raise ValueError(f"is not from {low} to {high} seconds")
    return int(value)


def _cpu_request(plan: Plan, value: str) -> Plan:
    cpu = _quantity("1m", "64", value)
    return replace(plan, resources=replace(plan.resources, cpu_request=cpu))


def _memory_request(plan: Plan, value: str) -> Plan:
    memory = _quantity("64Mi", "16Gi", value)
    return replace(plan, resources=replace(plan.resources, memory_request=memory))


def _memory_limit(plan: Plan, value: str) -> Plan:
    memory = _quantity(MEMORY_FLOOR, "16Gi", value)
    return replace(plan, resources=replace(plan.resources, memory_limit=memory))


def _log_level(plan: Plan, value: str) -> Plan:
    if value not in _LEVELS:
        raise ValueError("is no level")
    return replace(plan, sidecar=replace(plan.sidecar, log_level=value))


def _startup_timeout(plan: Plan, value: str) -> Plan:
    limit_s = _seconds(5, 110, value)
    return replace(plan, sidecar=replace(plan.sidecar, startup_timeout_s=limit_s))


def _shutdown_grace(plan: Plan, value: str) -> Plan:
    grace_s = _seconds(0, 3600, value)
    return replace(plan, sidecar=replace(plan.sidecar, shutdown_grace_s=grace_s))


def _capture_mode(plan: Plan, value: str) -> Plan:
    if value not in set(CaptureMode):
        raise ValueError("is no capture mode")
    return replace(plan, capture=replace(plan.capture, mode=CaptureMode(value)))


def _skip_ports(plan: Plan, value: str) -> Plan:
    ports = tuple(capture.port_range(one) for one in _listed(value))
    return replace(plan, capture=replace(plan.capture, skip_ports=ports))


def _skip_subnets(plan: Plan, value: str) -> Plan:
    subnets = tuple(capture.subnet(one) for one in _listed(value))
    return replace(plan, capture=replace(plan.capture, skip_subnets=subnets))


def _listed(value: str) -> list[str]:
    found = value.split(",")
    if len(found) > capture.MOST_SKIPPED:
        raise ValueError(f"has more than {capture.MOST_SKIPPED} entries")
    return found


def _inbound(plan: Plan, value: str) -> Plan:
    if value not in {"by-name", "off"}:
        raise ValueError("is neither")
    return replace(plan, sidecar=replace(plan.sidecar, inbound=value == "by-name"))


def _native_sidecar(plan: Plan, value: str) -> Plan:
    if value not in {"true", "false"}:
        raise ValueError("is neither")
    return replace(plan, native_sidecar=value == "true")


def _policy_bundle(plan: Plan, value: str) -> Plan:
    if _URL.fullmatch(value) is None:
        raise ValueError("is no such URL")
    kept = tuple(one for one in plan.sidecar.environment if one[0] != POLICY_PATH_VARIABLE)
    sidecar = replace(plan.sidecar, policy_config_map=None, environment=kept)  # one source
    return _with_variables(replace(plan, sidecar=sidecar), {POLICY_BUNDLE_VARIABLE: value})


def _config_map(plan: Plan, value: str) -> Plan:
    if _CONFIG_MAP.fullmatch(value) is None:
        raise ValueError("is no name of a ConfigMap")
    return replace(plan, sidecar=replace(plan.sidecar, config_map=value))


def _image(plan: Plan, value: str) -> Plan:
    if _IMAGE.fullmatch(value) is None:
        raise ValueError("is no image with a digest")
    return replace(plan, image=value)


def _additional_env(plan: Plan, value: str) -> Plan:
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    if len(lines) > MOST_VARIABLES:
        raise ValueError(f"has more than {MOST_VARIABLES} lines")
    given: dict[str, str] = {}
    for line in lines:
        found = _VARIABLE.fullmatch(line)
        if found is None:
            raise ValueError("has a line that is not OUTRIDER_…=value")
        if found[1] in OWN_VARIABLES or found[1] in given:
            raise ValueError(f"sets {shown(found[1])}, which is the injector's, or set twice")
        given[found[1]] = found[2]
    return _with_variables(plan, given)


def _with_variables(plan: Plan, given: dict[str, str]) -> Plan:
    merged = {**dict(plan.sidecar.environment), **given}
    environment = tuple(sorted(merged.items()))
    return replace(plan, sidecar=replace(plan.sidecar, environment=environment))


_APPLIED: Final[dict[Annotation, Callable[[Plan, str], Plan]]] = {
    Annotation.CPU_REQUEST: _cpu_request,
    Annotation.MEMORY_REQUEST: _memory_request,
    Annotation.MEMORY_LIMIT: _memory_limit,
    Annotation.LOG_LEVEL: _log_level,
    Annotation.STARTUP_TIMEOUT: _startup_timeout,
    Annotation.SHUTDOWN_GRACE: _shutdown_grace,
    Annotation.CAPTURE_MODE: _capture_mode,
    Annotation.SKIP_OUTBOUND_PORTS: _skip_ports,
    Annotation.SKIP_SUBNETS: _skip_subnets,
    Annotation.INBOUND: _inbound,
    Annotation.NATIVE_SIDECAR: _native_sidecar,
    Annotation.POLICY_BUNDLE: _policy_bundle,
    Annotation.CONFIG_MAP: _config_map,
    Annotation.IMAGE: _image,
    Annotation.ADDITIONAL_ENV: _additional_env,
}
