"""What a pod is answered: five outcomes, and a closed set of reasons that is a metric label too."""

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    INJECTED = "injected"
    UNCHANGED = "unchanged"
    """Injected already, or never ours to inject: nothing is patched."""
    SKIPPED = "skipped"
    """Opted out, where the platform accepts that."""
    DENIED = "denied"
    ERROR = "error"


class Reason(StrEnum):
    OK = "ok"
    OPTED_OUT = "opted_out"
    OPT_OUT_NOT_ACCEPTED = "opt_out_not_accepted"
    INVALID_VALUE = "invalid_value"
    BAD_ANNOTATION = "bad_annotation"
    GUARDED_ANNOTATION = "guarded_annotation"
    HOST_NAMESPACE = "host_namespace"
    UNSUPPORTED_OS = "unsupported_os"
    RESERVED_NAME = "reserved_name"
    RESERVED_UID = "reserved_uid"
    CAPABILITY = "capability"
    RESERVED_MOUNT = "reserved_mount"
    AGENT_SECRET = "agent_secret"  # noqa: S105 - a reason
    PORT_CONFLICT = "port_conflict"
    PROXY_ENV_CONFLICT = "proxy_env_conflict"
    DNS_UNKNOWN = "dns_unknown"
    MALFORMED = "malformed"
    INTERNAL = "internal"


REMEDIES: Final = {
    Reason.OK: ("injected, or nothing to do", ""),
    Reason.OPTED_OUT: ("labelled `disabled` where that is accepted", ""),
    Reason.OPT_OUT_NOT_ACCEPTED: (
        "labelled `disabled` in a namespace that is enabled",
        "take the label away, or list the namespace under `optOut.namespaces`",
    ),
    Reason.INVALID_VALUE: ("the label has another value", "give `enabled` or `disabled`"),
    Reason.BAD_ANNOTATION: (
        "an annotation is unknown, or its value out of bounds",
        "see the table above",
    ),
    Reason.GUARDED_ANNOTATION: (
        "an annotation that can weaken enforcement",
        "take it away, or list the namespace under `guardedAnnotations.namespaces`",
    ),
    Reason.HOST_NAMESPACE: (
        (
            "`hostNetwork`, `hostPID`, `hostIPC`, `shareProcessNamespace`; a `host` in a probe or "
            "hook; a `hostPort`"
        ),
        "agents run without them; the last two pass where `guardedAnnotations` do",
    ),
    Reason.UNSUPPORTED_OS: ("a Windows pod", "agents run on Linux"),
    Reason.RESERVED_NAME: (
        "a container or volume of our name that is not what we would write",
        "rename or remove it; keep other webhooks off `outrider*`",
    ),
    Reason.RESERVED_UID: (
        "uid or gid 2102, the sidecar's; root; or no `runAsUser`, so that the image may choose",
        "set `runAsUser` to another; root and none pass where `guardedAnnotations` do",
    ),
    Reason.CAPABILITY: (
        "privileged, `procMount`, or a capability beyond the few that are harmless",
        "start the image as its own user in place of stepping down from root",
    ),
    Reason.RESERVED_MOUNT: (
        "a mount of our volumes, of the SPIFFE driver's, of node folders, of NFS and its like",
        "take it away or claim it (`persistentVolumeClaim`); more passes with `guardedAnnotations`",
    ),
    Reason.AGENT_SECRET: (
        "a mounted token or Secret, or a Secret in the environment",
        "take it away: the sidecar attaches credentials; or list it under `agentSecrets`",
    ),
    Reason.PORT_CONFLICT: ("a port of ours is declared, or Istio's sidecar is there", "move it"),
    Reason.PROXY_ENV_CONFLICT: (
        "`HTTP_PROXY` and its like point elsewhere",
        "take them away, or capture with `transparent`",
    ),
    Reason.DNS_UNKNOWN: (
        "the pod's DNS servers are unknown or its own choice; `hostAliases`, `searches`, `ndots`",
        "list servers in `capture.dnsServers`; the others pass where `guardedAnnotations` do",
    ),
    Reason.MALFORMED: ("the pod or the review cannot be read whole", "mend the field it names"),
    Reason.INTERNAL: ("a fault of ours", "report it, with the injector's log"),
}
"""Reason -> what it means, and what to do about it."""


def reason_table() -> str:
    """The Markdown table of `REMEDIES` that the docs carry."""
    rows = [
        f"| `{one.value}` | {means} | {todo or '-'} |" for one, (means, todo) in REMEDIES.items()
    ]
    return "\n".join(("| reason | means | to do |", "| --- | --- | --- |", *rows)) + "\n"


class DeniedError(Exception):
    """A pod that is refused: why, and a sentence that names the field at fault."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
