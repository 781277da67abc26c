"""Whether a pod is injected, and how: one answer for webhook, command line and tests.

1. Read the pod whole. 2. The truth table of KUBERNETES §2. 3. Annotations. 4. What the pod as a
whole may not be. 5. DNS. 6. Our parts; those that stand there already must be equal. 7. What the
author's containers may not have. 8. The patch.

Laws: pure and stable, the pod is not changed; every answer carries a closed reason and a sentence;
a pod that is let pass without a sidecar is one the platform listed, or never was ours.
"""

from dataclasses import dataclass, replace
from typing import Final

import orjson

from outrider import __version__
from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector import names
from outrider.injector.annotations import chosen
from outrider.injector.capture import nameserver
from outrider.injector.checks import (
    maybe_root,
    refuse_others,
    refuse_pod,
    unhardened,
    without_user,
)
from outrider.injector.names import Inject
from outrider.injector.others import Others, others_of
from outrider.injector.parts import Parts, parts_of
from outrider.injector.patch import Marks, mark_ops, operations, sidecar_image, split
from outrider.injector.plan import Entry, Hardening, Plan
from outrider.injector.reading import Pod, malformed, members, read_pod, shown, words
from outrider.injector.reasons import DeniedError, Outcome, Reason
from outrider.injector.resolution import own_names

MOST_WARNINGS: Final = 8
MOST_ANNOTATIONS: Final = 256 << 10
"""Bytes of annotations that an API server takes of one object."""
_DEFAULT_GRACE_S: Final = 30
_LABEL_CHARS: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    outcome: Outcome
    reason: Reason
    message: str
    ops: tuple[JsonObject, ...] = ()
    warnings: tuple[str, ...] = ()
    capture_mode: CaptureMode | None = None
    """How the pod's traffic is caught, where it carries a sidecar."""


def judge(entry: Entry, namespace: str, pod: Json, plan: Plan) -> Verdict:
    """The answer for `pod`, which came by `entry` and belongs to `namespace`."""
    try:
        read = read_pod(pod)
        return _opted(entry, namespace, read, plan) or _injected(namespace, read, plan)
    except DeniedError as fault:
        return Verdict(outcome=Outcome.DENIED, reason=fault.reason, message=fault.message)


def _opted(entry: Entry, namespace: str, pod: Pod, plan: Plan) -> Verdict | None:
    """The truth table; None says inject."""
    label = pod.labels.get(names.INJECT_LABEL)
    where = f"metadata.labels.{names.INJECT_LABEL}"
    match entry, label:
        case (_, Inject.ENABLED) | (Entry.NAMESPACE, None):
            return None
        case Entry.POD, None | Inject.DISABLED:
            # The webhook is not called for these: nobody asked for a sidecar.
            return Verdict(
                outcome=Outcome.UNCHANGED, reason=Reason.OK, message="not labelled for injection"
            )
        case _, Inject.DISABLED if namespace in plan.exceptions.opt_out:
            return Verdict(
                outcome=Outcome.SKIPPED,
                reason=Reason.OPTED_OUT,
                message=f"{where} is disabled, and this namespace is listed under optOut",
            )
        case _, Inject.DISABLED:
            raise DeniedError(
                Reason.OPT_OUT_NOT_ACCEPTED,
                f"{where} is disabled, but the namespace is enabled and not listed under "
                "optOut.namespaces: take the label away, or ask the platform team",
            )
        case _:
            raise DeniedError(
                Reason.INVALID_VALUE,
                f"{where} is {shown(str(label))!r}; give {' or '.join(Inject)}",
            )


def _injected(namespace: str, pod: Pod, plan: Plan) -> Verdict:
    plan = chosen(pod, namespace, plan)
    refuse_pod(pod)
    servers, warnings = _nameservers(pod, namespace, plan)
    standing = sidecar_image(pod)
    if standing is not None and standing in plan.accepted_images:
        plan = replace(plan, image=standing)
    parts = _parts(plan, servers)
    parted = split(pod, parts)
    others = others_of(parted.others, plan)
    refuse_others(pod, others, plan, namespace)
    hardening = _hardening(plan)
    ops = (
        *operations(
            pod,
            parts,
            parted,
            others,
            harden=hardening is Hardening.PATCH,
            proxied=plan.capture.mode is not CaptureMode.TRANSPARENT,
        ),
        *mark_ops(pod, _marks(pod, plan, parts, others)),
    )
    if hardening is Hardening.AUDIT:
        warnings += _audited(others)
    if plan.capture.mode is not CaptureMode.COOPERATIVE:
        warnings += _may_be_anybody(pod, others)
        warnings += _may_be_root(pod, others)
    warnings += [f"{found}, to the sidecar as well" for found in own_names(pod)]
    warnings += _grace(pod, plan)
    return Verdict(
        outcome=Outcome.INJECTED if ops else Outcome.UNCHANGED,
        reason=Reason.OK,
        message=_said(parts, plan) if ops else "carries the sidecar already",
        ops=ops,
        warnings=tuple(warnings[:MOST_WARNINGS]),
        capture_mode=plan.capture.mode,
    )


def _parts(plan: Plan, servers: tuple[str, ...]) -> Parts:
    try:
        return parts_of(plan, servers)
    except ValueError as fault:
        raise DeniedError(Reason.DNS_UNKNOWN, f"spec.dnsConfig.nameservers: {fault}") from fault


def _said(parts: Parts, plan: Plan) -> str:
    added = [str(body["name"]) for body in (*parts.init_containers, *parts.containers)]
    return f"injected {', '.join(added)}; capture {plan.capture.mode.value}"


def _hardening(plan: Plan) -> Hardening:
    cooperative = plan.capture.mode is CaptureMode.COOPERATIVE
    return Hardening.OFF if cooperative else plan.hardening


def _nameservers(pod: Pod, namespace: str, plan: Plan) -> tuple[tuple[str, ...], list[str]]:
    """The DNS servers the pod may ask, and what to warn of. One of the author's own choice would be
    a host that anything may be said to, on port 53."""
    if plan.capture.mode is CaptureMode.COOPERATIVE:
        return (), []
    where = "spec.dnsConfig.nameservers"
    config = members(pod.spec.get("dnsConfig"), "spec.dnsConfig")
    given = words(config.get("nameservers"), where)
    for text in given:
        try:
            nameserver(text)
        except ValueError as fault:
            raise DeniedError(Reason.DNS_UNKNOWN, f"{where}: {shown(str(fault))}") from fault
    policy = pod.spec.get("dnsPolicy") or "ClusterFirst"
    cluster = () if policy in ("Default", "None") else plan.capture.nameservers
    servers = tuple(dict.fromkeys((*cluster, *given)))
    if not servers:
        raise DeniedError(
            Reason.DNS_UNKNOWN,
            f"spec.dnsPolicy is {shown(str(policy))}, and nobody knows its DNS servers: name them "
            f"in {where}",
        )
    foreign = [text for text in given if text not in plan.capture.nameservers]
    if not foreign:
        return servers, []
    if namespace not in plan.exceptions.guarded_annotations:
        raise DeniedError(
            Reason.DNS_UNKNOWN,
            f"{where}: {shown(', '.join(foreign))} is no DNS server of the platform's, and nothing "
            "would judge what goes to its port 53: take it away, or ask the platform team for "
            "capture.dnsServers",
        )
    return servers, [f"{where}: UDP and TCP to port 53 of {shown(', '.join(foreign))} are let out"]


def _audited(others: Others) -> list[str]:
    return [
        f"{one.where} may gain privileges or keeps {', '.join(kept) or 'none'}: with SETUID it "
        "could take the sidecar's uid, with NET_RAW go round capture"
        for one in others.untrusted()
        for may_gain, kept in (unhardened(one),)
        if may_gain or kept
    ]


def _may_be_anybody(pod: Pod, others: Others) -> list[str]:
    found = [shown(one.name) for one in without_user(pod, others)]
    if not found:
        return []
    return [f"runs as the user of its image, which may be the sidecar's: {', '.join(found)}"]


def _may_be_root(pod: Pod, others: Others) -> list[str]:
    found = [shown(one.name) for one in maybe_root(pod, others)]
    if not found:
        return []
    return [f"may run as root and rewrite /etc/hosts, which the sidecar shares: {', '.join(found)}"]


def _grace(pod: Pod, plan: Plan) -> list[str]:
    granted = pod.spec.get("terminationGracePeriodSeconds")
    if granted is None:
        granted = _DEFAULT_GRACE_S
    if isinstance(granted, bool) or not isinstance(granted, int):
        raise malformed("spec.terminationGracePeriodSeconds", what="is no number")
    if plan.sidecar.shutdown_grace_s <= granted:
        return []
    shortfall = (
        f"spec.terminationGracePeriodSeconds is {granted}, less than the sidecar's shutdown grace "
        f"of {plan.sidecar.shutdown_grace_s}: exchanges may be cut"
    )
    return [shortfall]


def _marks(pod: Pod, plan: Plan, parts: Parts, others: Others) -> Marks:
    status: JsonObject = {
        "version": __version__,
        "rev": plan.revision,
        "captureMode": plan.capture.mode.value,
        "initContainers": [body["name"] for body in parts.init_containers],
        "containers": [body["name"] for body in parts.containers],
        "volumes": [volume["name"] for volume in parts.volumes],
        "configHash": parts.digest,
    }
    annotations = {
        names.STATUS_ANNOTATION: orjson.dumps(status).decode(),
        names.SAFE_TO_EVICT: _safe_to_evict(pod, parts),
    }
    first = next((one.name for one in others.every if one.group == "containers"), None)
    if first is not None:
        for key in (names.DEFAULT_CONTAINER, names.DEFAULT_LOGS_CONTAINER):
            annotations[key] = pod.annotations.get(key, first)
    labels = {names.INJECTED_LABEL: "true"}
    agent = pod.labels.get(names.AGENT_LABEL) or _service_account(pod)
    if agent:
        labels[names.AGENT_LABEL] = agent
    return Marks(labels=labels, annotations=annotations)


def _service_account(pod: Pod) -> str:
    named = pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccount") or "default"
    return str(named)[:_LABEL_CHARS].rstrip("-._")


def _safe_to_evict(pod: Pod, parts: Parts) -> str:
    """Our emptyDirs, behind those the author named."""
    given = pod.annotations.get(names.SAFE_TO_EVICT, "")
    if len(given) > MOST_ANNOTATIONS:
        key = f"metadata.annotations.{names.SAFE_TO_EVICT}"
        raise malformed(key, what=f"is longer than all annotations may be, {MOST_ANNOTATIONS}")
    listed = [name for name in given.split(",") if name]
    ours = [str(volume["name"]) for volume in parts.volumes if "emptyDir" in volume]
    return ",".join(dict.fromkeys((*listed, *ours)))
